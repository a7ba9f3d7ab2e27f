"""The two-sample test keeps its false alarms and finds differences; its tail is chi-squared's."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima_execution.homogeneity import chi_squared_tail, two_sample_test


def draw(rng, weights, shots, width):
    outcomes = rng.choice(len(weights), size=shots, p=np.array(weights) / np.sum(weights))
    return Counter(format(k, f"0{width}b") for k in outcomes.tolist())


@given(st.floats(0, 300))
def test_the_tail_has_its_closed_forms(x):
    assert chi_squared_tail(x, 2) == pytest.approx(math.exp(-x / 2), rel=1e-11)
    assert chi_squared_tail(x, 1) == pytest.approx(math.erfc(math.sqrt(x / 2)), rel=1e-10, abs=1e-15)
    assert chi_squared_tail(x, 4) == pytest.approx(math.exp(-x / 2) * (1 + x / 2), rel=1e-11)


def test_the_tail_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 3, 10, 100, 1023):
        for x in (0.1, 1.0, degrees / 2, degrees, 2 * degrees + 5, 5.0 * degrees + 20):
            assert chi_squared_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("weights", "shots", "width"),
    [
        ([1, 1], (300, 300), 1),
        ([8, 4, 2, 1], (500, 900), 2),
        (np.arange(1, 257), (1000, 1000), 8),
        ([1] * 4096, (600, 600), 12),
    ],
    ids=["coin", "skewed", "many outcomes", "windows"],
)
def test_p_values_of_one_distribution_are_not_too_small_too_often(weights, shots, width):
    rng = np.random.default_rng(7)
    values = []
    for _ in range(400):
        test = two_sample_test(*(draw(rng, weights, n, width) for n in shots))
        values.append(test.p_value)
    # Of 400 at 5 % twenty are expected, at 1 % four; 36 and 13 have a probability of some 1e-4.
    assert sum(p < 0.05 for p in values) <= 36
    assert sum(p < 0.01 for p in values) <= 13


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"01": 500}, {"10": 500}),
        ({"0": 500, "1": 500}, {"0": 700, "1": 300}),
        ({"00": 250, "01": 250, "10": 250, "11": 250}, {"00": 500, "11": 500}),
    ],
)
def test_a_difference_is_found(first, second):
    assert two_sample_test(first, second).p_value < 1e-6


def test_sparse_outcomes_are_compared_by_windows_of_bits():
    rng = np.random.default_rng(1)
    width = 24

    def sample(biased):
        bits = rng.random((1000, width)) < np.where(np.arange(width) == 17, 0.8 if biased else 0.5, 0.5)
        return Counter("".join("01"[b] for b in row) for row in bits.tolist())

    same = two_sample_test(sample(False), sample(False))
    assert same.tests > 1
    assert same.p_value > 1e-4
    assert two_sample_test(sample(True), sample(False)).p_value < 1e-6


def test_identical_certain_outcomes_agree():
    test = two_sample_test({"111": 1000}, {"111": 10})
    assert (test.statistic, test.degrees, test.p_value) == (0.0, 0, 1.0)


def test_too_few_shots_tell_nothing():
    assert two_sample_test({"0": 2}, {"1": 2}) is None
    assert two_sample_test({}, {"1": 200}) is None
