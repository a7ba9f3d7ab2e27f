"""What a report's times say of the backends together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from proxima_execution.benchmarking.report import Measurement, Report


@dataclass(frozen=True, slots=True)
class Standing:
    """One backend over a suite.

    Attributes:
        measured, cases: How many cases it was timed on, of how many.
        fastest: On how many it was the fastest.
        factor: Its times over those of the fastest on each case: the geometric mean; ``None`` where it has no time.
    """

    backend: str
    measured: int
    cases: int
    fastest: int
    factor: float | None


def by_case(report: Report) -> dict[str, list[Measurement]]:
    """The measurements of each case, in order."""
    cases: dict[str, list[Measurement]] = {}
    for measurement in report.measurements:
        cases.setdefault(measurement.case, []).append(measurement)
    return cases


def fastest_of(measurements: Sequence[Measurement]) -> float:
    """The least median; infinite where there is none."""
    return min((m.median for m in measurements), default=math.inf)


def standings(report: Report) -> list[Standing]:
    """The backends, the one nearest to the fastest first."""
    cases = by_case(report)
    found = []
    for backend in report.backends:
        factors = [
            m.median / fastest_of(group)
            for group in cases.values()
            for m in group
            if m.backend == backend and m.seconds
        ]
        found.append(
            Standing(
                backend,
                len(factors),
                len(cases),
                sum(factor == 1.0 for factor in factors),
                statistics.geometric_mean(factors) if factors else None,
            )
        )
    return sorted(found, key=lambda s: (-s.measured, s.factor or math.inf, s.backend))
