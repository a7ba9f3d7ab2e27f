"""Holding a report against an earlier one."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from proxima.errors import UsageError
from proxima_execution.benchmarking.report import Measurement, Report

Change = Literal["faster", "slower", "same", "lost", "new", "other circuit"]

_LEAST = math.log(1.1)  # smaller differences come and go with where the linker puts things
_SIGMAS = 3.0
_FEW = 0.15  # standard deviation of the logarithm of a time where the runs are too few to tell it
_MEDIAN = math.pi / 2  # the variance of a median over that of a mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case on one backend, then and now.

    Attributes:
        ratio: Median now over median then; ``None`` where one is missing.
        beyond: The ratio, or its inverse, from which a difference is more than noise.
    """

    case: str
    backend: str
    change: Change
    ratio: float | None = None
    beyond: float | None = None


def compare(now: Report, then: Report) -> list[Comparison]:
    """Each case on each backend of the report, held against the earlier one.

    The medians differ by more than noise where their ratio is beyond 1.1 and beyond what the scatter of both sides'
    runs makes likely: three standard errors of its logarithm, and more where there are few runs (Student's t).

    Raises:
        UsageError: The earlier report was made with other options, so that ratios would say nothing.
    """
    for key in sorted(now.options.keys() | then.options.keys()):
        if now.options.get(key) != then.options.get(key):
            raise UsageError(
                f"the baseline was made with {key} {then.options.get(key)!r}, this is with {now.options.get(key)!r}",
                hint="measure with the options of the baseline",
            )
    earlier = {(m.case, m.backend): m for m in then.measurements}
    return [_compared(m, earlier.get((m.case, m.backend))) for m in now.measurements if m.status != "interrupted"]


def _compared(now: Measurement, then: Measurement | None) -> Comparison:
    if then is not None and then.circuit != now.circuit:
        return Comparison(now.case, now.backend, "other circuit")
    if then is None or not then.seconds:
        return Comparison(now.case, now.backend, "new" if now.seconds else "same")
    if not now.seconds:
        return Comparison(now.case, now.backend, "lost")
    difference = math.log(now.median / then.median)
    freedom = max(len(now.seconds) + len(then.seconds) - 2, 4)
    beyond = max(student(_SIGMAS, freedom) * math.sqrt(_variance(now) + _variance(then)), _LEAST)
    change: Change = "same" if abs(difference) <= beyond else "slower" if difference > 0 else "faster"
    return Comparison(now.case, now.backend, change, math.exp(difference), math.exp(beyond))


def _variance(measurement: Measurement) -> float:
    """Of the logarithm of the median."""
    logs = [math.log(t) for t in measurement.seconds]
    one = statistics.variance(logs) if len(logs) >= 3 else _FEW**2
    return _MEDIAN * one / len(logs)


def student(z: float, freedom: int) -> float:
    """The quantile of Student's t that is as likely as z of the normal distribution.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5, to its third term.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
