"""Whether two sets of counts come from one distribution: the G-test, its rare outcomes pooled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_EXPECTED = 5.0  # below that the statistic's distribution is no longer near to chi-squared (Cochran 1954)
_WIDEST = 10  # bits


@dataclass(frozen=True, slots=True)
class TwoSampleTest:
    """How likely counts at least as different as these are if both engines sample one distribution.

    Attributes:
        statistic: G, which is distributed as chi-squared with ``degrees`` degrees of freedom; the largest of several
            tests where there are.
        p_value: Of all tests together (Bonferroni).
        bins, pooled: How many outcomes were held against each other, and how many shots fell into the one that rare
            ones were pooled in.
        tests: One, of whole outcomes; or where outcomes are too rare for that one for each window of bits.
    """

    statistic: float
    degrees: int
    p_value: float
    bins: int
    pooled: int
    tests: int = 1


def two_sample_test(first: Mapping[str, int], second: Mapping[str, int]) -> TwoSampleTest | None:
    """The test; ``None`` where there are too few shots for any.

    Where more than half of the shots fall on outcomes that are too rare to be compared, windows of neighbouring bits
    are compared instead, as wide as the shots allow, and the p-values combined.

    Args:
        first: Occurrences by bit string.
        second: Likewise, of independent shots.
    """
    shots = sum(first.values()) + sum(second.values())
    if not first or not second:
        return None
    whole = _g_test(first, second)
    if whole is not None and whole.pooled <= shots / 2:
        return whole
    width = min(int(math.log2(max(min(sum(first.values()), sum(second.values())) / 20, 1))), _WIDEST)
    length = len(next(iter(first)))
    if width < 1 or length <= width:
        return whole
    found = []
    for start in range(length - width + 1):
        windows = [_window(counts, start, start + width) for counts in (first, second)]
        test = _g_test(*windows)
        if test is not None:
            found.append(test)
    if not found:
        return whole
    worst = min(found, key=lambda test: test.p_value)
    p_value = min(1.0, worst.p_value * len(found))
    return TwoSampleTest(worst.statistic, worst.degrees, p_value, worst.bins, worst.pooled, len(found))


def _window(counts: Mapping[str, int], start: int, stop: int) -> Counter[str]:
    out: Counter[str] = Counter()
    for bits, number in counts.items():
        out[bits[start:stop]] += number
    return out


def _g_test(first: Mapping[str, int], second: Mapping[str, int]) -> TwoSampleTest | None:
    """G = 2 sum O ln(O / E) over bins with at least five expected in either sample; ``None`` where that leaves none."""
    outcomes = sorted(first.keys() | second.keys())
    table = np.array([[counts.get(bits, 0) for bits in outcomes] for counts in (first, second)], dtype=np.float64)
    shares = table.sum(axis=1) / table.sum()
    often = table.sum(axis=0) * shares.min() >= _EXPECTED
    kept = table[:, often]
    rare = table[:, ~often].sum(axis=1, keepdims=True)
    pooled = int(rare.sum())
    if pooled * shares.min() >= _EXPECTED:
        kept = np.hstack([kept, rare])
    bins = kept.shape[1]
    if bins == 0 or (bins == 1 and pooled):  # what was pooled hides any difference
        return None
    if bins == 1:
        return TwoSampleTest(0.0, 0, 1.0, 1, pooled)
    expected = _expected(kept)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(kept > 0, kept * np.log(kept / expected), 0.0)
    statistic = max(2.0 * float(terms.sum()), 0.0)
    return TwoSampleTest(statistic, bins - 1, chi_squared_tail(statistic, bins - 1), bins, pooled)


def _expected(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """The probability that chi-squared with so many degrees of freedom exceeds the statistic.

    The regularised upper incomplete gamma function of degrees/2 and statistic/2, by its series where that converges
    fast and by a continued fraction elsewhere; to about 1e-12.

    Source: Press et al., "Numerical Recipes", 3rd edition, section 6.2.
    """
    a, x = degrees / 2, statistic / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1.0 / a
        n = a
        while abs(term) > 1e-16 * abs(total):
            n += 1.0
            term *= x / n
            total += term
        return max(1.0 - total * front, 0.0)
    tiny = 1e-300
    b = x + 1.0 - a
    c, d = 1.0 / tiny, 1.0 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2.0
        d = an * d + b
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = b + an / c
        c = c if abs(c) > tiny else tiny
        step = d * c
        h *= step
        if abs(step - 1.0) < 1e-15:
            break
    return min(h * front, 1.0)
