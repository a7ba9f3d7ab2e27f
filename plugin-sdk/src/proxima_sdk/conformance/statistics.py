"""Whether sampled counts can come from an exact distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# How often a right backend would fail one statistical check if its seed were drawn anew. The kit's seeds are fixed, so
# a check that passes once passes always with the same versions.
FALSE_ALARM = 1e-6

_IMPOSSIBLE = 1e-10
_SMALLEST_CELL = 10.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How well counts fit a distribution.

    Attributes:
        p_value: The probability of a fit this bad or worse; 0 where an impossible outcome occurred.
        worst: The outcome that deviates most.
        expected: Its expected number of occurrences, and ``got`` the observed one.
    """

    p_value: float
    worst: str
    expected: float
    got: int

    @property
    def accepted(self) -> bool:
        """Whether the counts may come from the distribution."""
        return self.p_value >= FALSE_ALARM


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The probability that a chi-square variable exceeds ``statistic``: a finite sum, the degrees being whole."""
    half = statistic / 2
    if half > 700:
        return 0.0
    if degrees % 2:
        total, term, step = math.erfc(math.sqrt(half)), 2 * math.exp(-half) * math.sqrt(half / math.pi), 1.5
        count = (degrees - 1) // 2
    else:
        total, term, step = 0.0, math.exp(-half), 1.0
        count = degrees // 2
    for _ in range(count):
        total += term
        term *= half / step
        step += 1
    return min(total, 1.0)


def fit(counts: Mapping[str, int], distribution: Mapping[str, float]) -> Fit:
    """Pearson's chi-square test; outcomes expected fewer than ten times are pooled.

    Args:
        counts: Occurrences by outcome, at least one.
        distribution: Exact probabilities by outcome; what is not listed cannot occur.
    """
    shots = sum(counts.values())
    expected = {key: p * shots for key, p in distribution.items() if p > _IMPOSSIBLE}
    for key, number in counts.items():
        if number and key not in expected:
            return Fit(0.0, key, 0.0, number)
    cells = [(mean, counts.get(key, 0)) for key, mean in sorted(expected.items(), key=lambda pair: -pair[1])]
    while len(cells) > 1 and cells[-1][0] < _SMALLEST_CELL:
        (mean, number), (next_mean, next_number) = cells.pop(), cells.pop()
        cells.append((mean + next_mean, number + next_number))
        cells.sort(reverse=True)
    worst = max(expected, key=lambda key: abs(counts.get(key, 0) - expected[key]) / math.sqrt(expected[key]))
    statistic = sum((number - mean) ** 2 / mean for mean, number in cells)
    p_value = chi_square_tail(statistic, len(cells) - 1) if len(cells) > 1 else 1.0
    return Fit(p_value, worst, expected[worst], counts.get(worst, 0))
