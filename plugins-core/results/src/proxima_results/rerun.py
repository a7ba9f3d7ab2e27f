"""Running a stored run again and holding the two against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proxima.contracts.execution import Execution, Progress
from proxima.contracts.records import RunRecord
from proxima.contracts.result import RunResult
from proxima.contracts.result_json import ARRAYS

_TOLERANCE = {"single": 1e-5, "double": 1e-9}


@dataclass(frozen=True, slots=True)
class Rerun:
    """A run made again.

    Attributes:
        identical: Counts and samples are the same; states, expectation values and gradients too, to rounding.
        changes: What differs in the surroundings, in sentences, e.g. the engine's version.
    """

    result: RunResult
    identical: bool
    changes: tuple[str, ...]


def rerun(record: RunRecord, execution: Execution, progress: Progress | None = None) -> Rerun:
    """Runs a record's circuit with its options on the backend, and with the seed and precision, that it used."""
    old = record.result
    options = replace(record.options, backend=old.backend, seed=old.seed, precision=old.precision, store=True)
    new = execution.run(record.circuit, options, progress=progress)
    return Rerun(new, _identical(old, new), _changes(old, new))


def _identical(old: RunResult, new: RunResult) -> bool:
    tolerance = _TOLERANCE[old.precision]
    if old.counts != new.counts or len(old.expectations) != len(new.expectations):
        return False
    if len(old.gradients) != len(new.gradients):
        return False
    for before, after in zip(old.expectations, new.expectations, strict=True):
        if abs(before.value - after.value) > tolerance * max(1.0, abs(before.value)):
            return False
    for was, is_ in zip(old.gradients, new.gradients, strict=True):
        scale = max(1.0, float(np.abs(was.values).max(initial=0.0)))
        if was.parameters != is_.parameters or not _same(was.values, is_.values, tolerance * scale):
            return False
    return all(_same(getattr(old, name), getattr(new, name), tolerance) for name in ARRAYS)


def _same(old: Any, new: Any, tolerance: float) -> bool:
    if old is None or new is None:
        return old is new
    return old.shape == new.shape and bool(np.allclose(old, new, rtol=0.0, atol=tolerance))


def _changes(old: RunResult, new: RunResult) -> tuple[str, ...]:
    changes = [
        f"{name} was {old.versions.get(name, 'absent')} and is {new.versions.get(name, 'absent')} now"
        for name in sorted({*old.versions, *new.versions})
        if old.versions.get(name) != new.versions.get(name)
    ]
    if old.method != new.method:
        changes.append(f"the method was {old.method} and is {new.method} now")
    return tuple(changes)
