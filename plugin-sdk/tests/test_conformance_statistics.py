"""The chi-square test behind the kit's checks of counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima_sdk.conformance.statistics import FALSE_ALARM, chi_square_tail, fit


@settings(deadline=None)  # the first example imports scipy
@given(st.floats(0, 500), st.integers(1, 80))
def test_tail_agrees_with_scipy(statistic: float, degrees: int) -> None:
    from scipy.stats import chi2

    assert chi_square_tail(statistic, degrees) == pytest.approx(chi2.sf(statistic, degrees), rel=1e-9, abs=1e-12)


def test_p_values_are_uniform_for_the_right_distribution() -> None:
    rng = np.random.default_rng(0)
    weights = {"00": 0.1, "01": 0.2, "10": 0.3, "11": 0.4}
    p_values = []
    for _ in range(500):
        drawn = rng.multinomial(1000, list(weights.values()))
        p_values.append(fit(dict(zip(weights, drawn.tolist(), strict=True)), weights).p_value)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)
    assert min(p_values) > FALSE_ALARM


def test_refuses_an_impossible_outcome() -> None:
    found = fit({"0": 999, "1": 1}, {"0": 1.0})
    assert not found.accepted
    assert (found.worst, found.got) == ("1", 1)


def test_refuses_a_missing_outcome() -> None:
    assert not fit({"0": 1000}, {"0": 0.5, "1": 0.5}).accepted


def test_names_the_outcome_that_deviates_most() -> None:
    assert fit({"0": 700, "1": 200, "2": 100}, {"0": 0.5, "1": 0.2, "2": 0.3}).worst == "2"


def test_pools_rare_outcomes() -> None:
    rare = {format(k, "06b"): 1e-4 for k in range(1, 64)}
    weights = {"000000": 1 - sum(rare.values()), **rare}
    drawn = np.random.default_rng(1).multinomial(2000, list(weights.values()))
    assert fit(dict(zip(weights, drawn.tolist(), strict=True)), weights).accepted
