"""One run's shots in parts, each with a seed of its own, and what they come to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from proxima.contracts.execution import RunOptions
from proxima.contracts.result import ErrorBound, Expectation, RunResult
from proxima.errors import UsageError
from proxima_execution.preparation import derived_seed

DIVISIBLE = frozenset({"counts", "samples", "expectation"})


def parts_of(options: RunOptions, seed: int) -> list[RunOptions]:
    """The options of each part. They follow from the run's options and seed alone, not from where they are run.

    Raises:
        UsageError: There are more parts than shots, or what is wanted is no sum over shots.
    """
    if options.parts == 1:
        return [replace(options, seed=seed, store=False)]
    whole = sorted(set(options.wants) - DIVISIBLE)
    if whole:
        raise UsageError(
            f"{whole[0].replace('_', ' ')} cannot be put together from parts",
            hint="in parts there are counts, samples and expectation values",
        )
    if options.parts > options.shots:
        raise UsageError(
            f"{options.shots} shots cannot be split in {options.parts} parts", hint="ask for fewer parts or more shots"
        )
    size, more = divmod(options.shots, options.parts)
    return [
        replace(options, shots=size + (i < more), seed=derived_seed(f"{seed} part {i}"), parts=1, store=False)
        for i in range(options.parts)
    ]


def together(results: Sequence[RunResult], shots: Sequence[int], seed: int) -> RunResult:
    """The parts' results as one: counts added, samples one after the other, expectation values averaged by shots.

    Stages of ``timings`` are added, as if the parts had run one after the other.
    """
    first = results[0]
    if len(results) == 1:
        return replace(first, seed=seed)
    counts: Counter[str] | None = None
    if first.counts is not None:
        counts = Counter()
        for result in results:
            counts.update(result.counts or {})
    samples = None
    if first.samples is not None:
        samples = np.concatenate([r.samples for r in results if r.samples is not None])
    timings: dict[str, float] = {}
    for stage, seconds in (item for result in results for item in result.timings.items()):
        timings[stage] = timings.get(stage, 0.0) + seconds
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return replace(
        first,
        seed=seed,
        shots=None if first.shots is None else sum(shots),
        counts=None if counts is None else dict(sorted(counts.items())),
        samples=samples,
        expectations=tuple(
            _average([r.expectations[i] for r in results], shots) for i in range(len(first.expectations))
        ),
        error_bound=_bound([r.error_bound for r in results], sum(shots)),
        timings=timings,
        peak_rss_bytes=max(r.peak_rss_bytes for r in results),
        notes=tuple(notes),
    )


def _average(values: Sequence[Expectation], shots: Sequence[int]) -> Expectation:
    """The mean weighted by shots; the variance of the whole is what the parts' second moments give."""
    weights = np.array(shots, dtype=np.float64) / sum(shots)
    means = np.array([v.value for v in values])
    mean = float(weights @ means)
    variance = None
    if all(v.variance is not None for v in values):
        squares = np.array([v.variance for v in values], dtype=np.float64) + means**2
        variance = max(float(weights @ squares) - mean**2, 0.0)
    errors = np.array([v.standard_error for v in values])
    return replace(values[0], value=mean, variance=variance, standard_error=float(np.linalg.norm(weights * errors)))


def _bound(bounds: Sequence[ErrorBound], shots: int) -> ErrorBound:
    """The sampling error of all shots; of another kind of bound the largest."""
    if bounds[0].kind == "sampling":
        return ErrorBound("sampling", 0.5 / shots**0.5)
    return max(bounds, key=lambda bound: bound.value)
