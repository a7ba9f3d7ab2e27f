"""Holding a report against an earlier one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from proxima.errors import UsageError
from proxima_execution.benchmarking.report import Measurement, Report

Change = Literal["faster", "slower", "same", "lost", "new", "other circuit"]

_LEAST = math.log(1.1)  # smaller differences come and go with where the linker puts things
_SIGMAS = 3.0
_FEW = 0.15  # standard deviation of the logarithm of a time where one run cannot tell it


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

    The medians differ by more than noise where their ratio is beyond three standard errors, which are taken from the
    spread of the runs, and beyond 1.1.

    Raises:
        UsageError: The earlier report was made with other options, so that ratios would say nothing.
    """
    keys = sorted(now.options.keys() | then.options.keys())
    for key in keys:
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
    beyond = max(_SIGMAS * math.hypot(_error(now), _error(then)), _LEAST)
    change: Change = "same" if abs(difference) <= beyond else "slower" if difference > 0 else "faster"
    return Comparison(now.case, now.backend, change, math.exp(difference), math.exp(beyond))


def _error(measurement: Measurement) -> float:
    """Standard error of the logarithm of the median."""
    number = len(measurement.seconds)
    spread = measurement.spread / measurement.median if number >= 3 else _FEW
    return 1.2533 * spread / math.sqrt(number)
