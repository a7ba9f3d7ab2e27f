from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import ComparedRun, RunOptions
from proxima.contracts.result import Expectation, RunResult
from proxima.errors import NotFoundError
from proxima_execution.comparison import distance_from_pool, judge_agreement, noise_threshold


def run_of(name: str, **fields) -> ComparedRun:
    precision = fields.pop("precision", "double")
    return ComparedRun(name, RunResult(backend=name, method="m", precision=precision, shots=None, seed=0, **fields))


def sample(weights, shots: int, rng) -> Counter[str]:
    numbers = rng.multinomial(shots, np.array(weights) / np.sum(weights))
    return Counter({format(i, "b"): int(n) for i, n in enumerate(numbers) if n})


@given(
    weights=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=200),
    shots=st.lists(st.integers(1, 3000), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200, deadline=None)
def test_sampling_noise_stays_below_the_threshold(weights, shots, seed):
    # 200 examples of up to 4 runs at a false-alarm rate of 1e-6 each: this fails by chance once in a thousand runs.
    rng = np.random.default_rng(seed)
    runs = [sample(weights, m, rng) for m in shots]
    pool = sum(runs, Counter())
    for run in runs:
        assert distance_from_pool(run, pool) <= noise_threshold(run.total(), pool) + 1e-12


def test_the_threshold_bounds_the_mean_distance_and_is_not_far_above_it():
    rng = np.random.default_rng(5)
    runs = [[sample([1.0] * 64, 4000, rng) for _ in range(3)] for _ in range(200)]
    distances = [distance_from_pool(r[0], sum(r, Counter())) for r in runs]
    threshold = noise_threshold(4000, sum(runs[0], Counter()))
    assert max(distances) < threshold < 3 * float(np.mean(distances))


def test_a_wrong_distribution_is_found():
    rng = np.random.default_rng(1)
    runs = [run_of(n, counts=sample([1, 0.01, 0.01, 1], 1024, rng)) for n in ("a", "b")]
    wrong = run_of("c", counts=sample([1, 1, 0.01, 1], 1024, rng))
    found = judge_agreement([*runs, wrong])
    assert found.verdict == "disagree"
    assert "the counts of c are" in found.reason
    assert all(run.distance is not None and run.threshold is not None for run in found.runs)
    assert judge_agreement(runs).verdict == "agree"


def test_says_so_where_the_shots_are_too_few_to_tell():
    runs = [run_of(n, counts={format(1000 * i + k, "020b"): 1 for k in range(100)}) for i, n in enumerate("ab")]
    found = judge_agreement(runs)
    assert found.verdict == "agree"
    assert "too few to show a difference" in found.reason


def test_statevectors_are_compared_up_to_a_global_phase():
    state = np.array([0.6, 0.8j])
    same = run_of("b", statevector=state * np.exp(2.1j))
    assert judge_agreement([run_of("a", statevector=state), same]).verdict == "agree"
    other = judge_agreement([run_of("a", statevector=state), run_of("b", statevector=state.conj())])
    assert other.verdict == "disagree"
    assert "fidelity 0.078" in other.reason  # |0.36 - 0.64|^2


def test_single_precision_is_allowed_its_rounding_and_no_more():
    state = np.array([0.6, 0.8], dtype=np.complex128)
    near, far = state + np.array([1e-6, 0]), state + np.array([1e-4, 0])
    for other, verdict in ((near, "agree"), (far, "disagree")):
        single = run_of("b", statevector=other.astype(np.complex64), precision="single")
        assert judge_agreement([run_of("a", statevector=state), single]).verdict == verdict
        double = run_of("b", statevector=other)
        assert judge_agreement([run_of("a", statevector=state), double]).verdict == "disagree"


def test_expectation_values_are_compared_within_their_standard_errors():
    exact = run_of("a", expectations=(Expectation("Z", 0.5),))
    sampled = run_of("b", expectations=(Expectation("Z", 0.52, standard_error=0.01),))
    assert judge_agreement([exact, sampled]).verdict == "agree"
    assert judge_agreement([exact, run_of("b", expectations=(Expectation("Z", 0.52),))]).verdict == "disagree"


def test_fewer_than_two_runs_are_no_comparison():
    assert judge_agreement([]).verdict == "incomplete"
    alone = judge_agreement([run_of("a", counts={"0": 1}), ComparedRun("b", None, "absent")])
    assert alone.verdict == "incomplete"
    assert "only a" in alone.reason


def asymmetric() -> Circuit:
    return Circuit.builder(3, name="asymmetric").h(0).cx(0, 1).x(1).measure_all().build()


def test_backends_that_are_right_agree_and_those_that_cannot_say_why(execution):
    found = execution.compare(asymmetric(), ["exact", "unhurried", "absent"], RunOptions(store=False))
    assert found.verdict == "agree"
    errors = {run.backend: run.error for run in found.runs}
    assert errors["exact"] == ""
    assert "the engine is not installed" in errors["absent"]
    seeds = [run.result.seed for run in found.runs if run.result]
    assert len(set(seeds)) == 2


def test_a_backend_with_flipped_bits_is_found_out(execution):
    found = execution.compare(asymmetric(), ["exact", "unhurried", "flipped"], RunOptions(store=False))
    assert found.verdict == "disagree"
    distances = {run.backend: run.distance > run.threshold for run in found.runs}
    assert distances["flipped"]
    states = RunOptions(store=False, wants=("statevector",))
    assert execution.compare(asymmetric(), ["exact", "flipped"], states).verdict == "disagree"
    assert execution.compare(asymmetric(), ["exact", "unhurried"], states).verdict == "agree"


def test_without_names_every_backend_is_tried(execution):
    found = execution.compare(asymmetric(), [], RunOptions(store=False, precision="double"))
    assert {run.backend for run in found.runs if run.result} == {"exact", "unhurried", "flipped", "unflipped", "vast"}
    assert "ZeroDivisionError" in {run.backend: run.error for run in found.runs}["failing"]


def test_an_unknown_name_is_an_error(execution):
    with pytest.raises(NotFoundError, match="exct"):
        execution.compare(asymmetric(), ["exct"], RunOptions())
