from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.contracts.result import (
    TIMING_STAGES,
    Candidate,
    CircuitInfo,
    ErrorBound,
    Expectation,
    Gradient,
    RunResult,
    Selection,
)
from proxima.contracts.result_json import ARRAYS, result_from_dict, result_to_dict
from proxima.errors import UsageError


def full(precision: str = "double", **fields) -> RunResult:
    complex_type = np.complex64 if precision == "single" else np.complex128
    state = np.array([0.6, 0.0, 0.0, 0.8j], dtype=complex_type)
    given = {
        "samples": np.array([[0, 1], [1, 1]], dtype=np.uint8),
        "statevector": state,
        "density_matrix": np.outer(state, state.conj()),
        "probabilities": np.abs(state.astype(np.complex128)) ** 2,
        "counts": {"10": 1, "11": 1},
        "expectations": (Expectation("ZZ", 1.0, 0.0, 0.1), Expectation("XX", 0.5)),
        "error_bound": ErrorBound("trace_distance", 0.01),
        "timings": dict.fromkeys(TIMING_STAGES, 0.5),
        "peak_rss_bytes": 7,
        "versions": {"engine": "1"},
        "id": "abc",
        "notes": ("A note.",),
        "tier": "B",
        "circuit": CircuitInfo("bell", 2, 2, 4, 3, "ff"),
        "selection": Selection("x", "why", (Candidate("x", True, "r", 0.1, 8, "m"), Candidate("y", False, "no"))),
    }
    return RunResult(backend="x", method="m", precision=precision, shots=2, seed=2**63 - 1, **{**given, **fields})


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_result_survives_json(precision):
    result = full(precision)
    back = result_from_dict(json.loads(json.dumps(result_to_dict(result))))
    for name in ARRAYS:
        before, after = getattr(result, name), getattr(back, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    without = dict.fromkeys(ARRAYS)
    assert full(precision, **without) == result_from_dict(result_to_dict(full(precision, **without)))


def test_gradients_survive_json_and_older_results_have_none():
    made = (
        Gradient("ZZ", ("b", "a"), np.array([0.25, -1.0]), "adjoint"),
        Gradient("XX", ("b", "a"), np.array([0.0, 1e-17]), "parameter_shift", np.array([0.1, 0.2])),
    )
    data = json.loads(json.dumps(result_to_dict(full(gradients=made))))
    for before, after in zip(made, result_from_dict(data).gradients, strict=True):
        assert (before.observable, before.parameters, before.method) == (
            after.observable,
            after.parameters,
            after.method,
        )
        np.testing.assert_array_equal(before.values, after.values)
        np.testing.assert_equal(before.standard_errors, after.standard_errors)
    assert "gradients" not in result_to_dict(full())["results"]
    assert result_from_dict(result_to_dict(full())).gradients == ()
    data["results"]["gradients"][0]["values"].append(1.0)
    with pytest.raises(UsageError, match="not a stored result"):
        result_from_dict(data)


def test_complex_numbers_are_pairs_and_every_stage_has_a_time():
    data = result_to_dict(full(timings={"execute": 0.25}))
    assert data["results"]["statevector"] == [[0.6, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.8]]
    assert data["results"]["density_matrix"][0][3] == pytest.approx([0.0, -0.48])
    assert list(data["timings"]) == list(TIMING_STAGES)
    assert data["timings"]["execute"] == 0.25
    assert data["timings"]["import"] == 0.0


def test_an_absent_part_stays_absent():
    bare = RunResult(backend="x", method="m", precision="single", shots=None, seed=0)
    data = result_to_dict(bare)
    assert (data["counts"], data["results"], data["circuit"], data["selection"]) == (None, {}, None, None)
    del data["tier"]  # as in records from before there was one
    back = result_from_dict(data)
    assert back.statevector is None
    assert back.tier is None
    assert back.counts is None


def test_samples_of_no_shots_keep_two_dimensions():
    back = result_from_dict(result_to_dict(full(samples=np.zeros((2, 0), dtype=np.uint8))))
    assert back.samples.shape == (2, 0)


def test_a_large_array_is_refused_with_its_size_and_a_way_out():
    with pytest.raises(UsageError, match="the statevector has 131,072 elements") as caught:
        result_to_dict(full(statevector=np.zeros(2**17)))
    assert "npy" in caught.value.hint
    assert result_to_dict(full(statevector=np.zeros(2**16)))["results"]["statevector"]


@given(st.sampled_from(sorted(result_to_dict(full()))), st.sampled_from([None, 3, "text", [1], {"a": 1}]))
def test_damaged_data_is_refused_and_never_crashes(field, value):
    data = {**result_to_dict(full()), field: value}
    with contextlib.suppress(UsageError):
        assert isinstance(result_from_dict(data), RunResult)


@pytest.mark.parametrize(
    "data",
    [{}, {"results": {}}, {**result_to_dict(full()), "precision": "half"}, {**result_to_dict(full()), "tier": "Z"}],
)
def test_what_is_no_result_is_refused(data):
    with pytest.raises(UsageError, match="not a stored result"):
        result_from_dict(data)
