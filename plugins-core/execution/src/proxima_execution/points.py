"""Runs as tasks: what an executor hands to a process and what that process does with it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.result import RunResult
from proxima.errors import UnavailableError, UsageError
from proxima_execution.preparation import derived_seed

if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima_execution.service import Compiled, LocalExecution

Point = tuple[int, RunOptions]
"""The number of a circuit, and how to run it: with a seed and a backend's name."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The work of running points of some circuits (`proxima.contracts.executor.Work`).

    Attributes:
        version: Of Proxima, where the work was made.
    """

    circuits: tuple[Circuit, ...]
    version: str

    def open(self, kernel: Kernel) -> Callable[[Sequence[Point], CancelToken], Iterator[RunResult]]:
        """What runs points with this kernel's backends; a circuit is compiled once and bound for each point.

        Raises:
            UnavailableError: This process has another version of Proxima.
        """
        from proxima import __version__
        from proxima_execution.commands.backends import local_execution

        if __version__ != self.version:
            raise UnavailableError(
                f"a worker has Proxima {__version__}, and the work is from {self.version}",
                hint="install the same version everywhere",
            )
        return _Runner(local_execution(kernel), self.circuits)


class _Runner:
    def __init__(self, execution: LocalExecution, circuits: Sequence[Circuit]) -> None:
        self._execution = execution
        self._circuits = circuits
        self._compiled: dict[int, Compiled] = {}

    def __call__(self, points: Sequence[Point], cancel: CancelToken) -> Iterator[RunResult]:
        for number, group in groupby(points, itemgetter(0)):
            circuit, options, done = self._circuits[number], [each for _, each in group], 0
            while done < len(options):
                earlier = self._compiled.get(number)
                together = options[done : done + _at_once(options[done], earlier)]
                done += len(together)
                if earlier is not None and len(together) > 1:
                    yield from self._execution.run_batch(circuit, together, earlier, cancel=cancel)
                else:
                    (alone,) = together
                    result, made = self._execution.run_compiled(circuit, alone, earlier, cancel=cancel)
                    self._compiled[number] = made
                    yield result


def _at_once(options: RunOptions, earlier: Compiled | None) -> int:
    """How many points with such options are run together: a deadline is each one's own, as optimised gates are."""
    if earlier is None or options.deadline is not None or options.optimize:
        return 1
    return earlier.plan.batch


def points_of(circuits: Sequence[Circuit], bindings: Sequence[Mapping[str, float]], options: RunOptions) -> list[Point]:
    """Every circuit at every set of parameter values: point ``i * len(bindings) + j`` is circuit i at values j.

    A point's seed follows from the sweep's, its circuit and its values, so that neither the order, nor the other
    points, nor where it runs changes its result. A point that occurs twice is sampled twice.

    Raises:
        UsageError: A value is no finite number.
    """
    seed = secrets.randbits(63) if options.seed is None else options.seed
    points: list[Point] = []
    seen: dict[str, int] = {}
    for number, circuit in enumerate(circuits):
        for binding in bindings:
            values = {name: float(value) for name, value in {**options.parameters, **binding}.items()}
            for name, value in values.items():
                if not math.isfinite(value):
                    raise UsageError(f"the parameter {name} cannot be {value}", hint="give a finite number")
            key = f"{circuit.content_hash} {sorted(values.items())!r}"
            seen[key] = seen.get(key, 0) + 1
            drawn = derived_seed(f"{seed} {key} {seen[key]}")
            points.append((number, replace(options, parameters=values, seed=drawn, store=False)))
    return points
