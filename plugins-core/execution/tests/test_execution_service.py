from __future__ import annotations

import logging
import math

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.records import ResultStore
from proxima.contracts.result import TIMING_STAGES
from proxima.contracts.result_json import result_to_dict
from proxima.errors import (
    BackendUnavailableError,
    CancelledError,
    DeadlineExceededError,
    NotFoundError,
    PermissionDeniedError,
    ResourceError,
    RunError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from proxima.events import ProgressUpdate, RunCompleted, RunStarted
from proxima.permissions import Permission


def bell(measured: bool = True) -> Circuit:
    builder = Circuit.builder(2, name="bell").h(0).cx(0, 1)
    return (builder.measure_all() if measured else builder).build()


def tilted() -> Circuit:
    return Circuit.builder(1, 1, name="tilted").append(Op.RX, (0,), (Parameter("theta"),)).measure(0, 0).build()


def test_runs_and_fills_in_what_the_result_lacks(execution):
    result = execution.run(bell(), RunOptions(shots=500, seed=3, backend="exact"))
    assert sum(result.counts.values()) == 500
    assert set(result.counts) == {"00", "11"}
    assert (result.circuit.name, result.circuit.num_qubits, result.circuit.depth) == ("bell", 2, 3)
    assert result.circuit.hash == bell().content_hash
    assert result.peak_rss_bytes > 10_000_000
    assert result.timings["total"] >= result.timings["select"] + result.timings["execute"]
    assert set(result_to_dict(result)["timings"]) == set(TIMING_STAGES)
    assert result.selection.chosen == "exact"


def test_the_same_seed_gives_the_same_counts_and_no_seed_draws_one(execution):
    first = execution.run(bell(), RunOptions(backend="exact"))
    again = execution.run(bell(), RunOptions(backend="exact", seed=first.seed))
    assert again.counts == first.counts
    assert 0 <= first.seed < 2**63
    assert execution.run(bell(), RunOptions(backend="exact")).seed != first.seed


def test_measures_every_qubit_where_counts_are_wanted_of_a_circuit_that_measures_none(execution):
    result = execution.run(bell(measured=False), RunOptions(backend="exact"))
    assert set(result.counts) == {"00", "11"}
    assert "every qubit was measured" in result.notes[0]
    assert not execution.run(bell(), RunOptions(backend="exact")).notes


def test_does_not_measure_where_only_a_state_is_wanted(execution):
    result = execution.run(bell(measured=False), RunOptions(backend="exact", wants=("statevector",)))
    assert result.counts is None
    assert result.shots is None
    assert result.notes == ()
    np.testing.assert_allclose(np.abs(result.statevector) ** 2, [0.5, 0, 0, 0.5], atol=1e-12)


def test_binds_parameters_and_refuses_those_without_a_value(execution):
    options = RunOptions(backend="exact", parameters={"theta": math.pi}, shots=10)
    assert execution.run(tilted(), options).counts == {"1": 10}
    with pytest.raises(UsageError, match="no value for theta") as caught:
        execution.run(tilted(), RunOptions(backend="exact"))
    assert "--param theta=0.5" in str(caught.value.hint)


def test_the_method_automatic_is_the_backends_own_choice(execution):
    result = execution.run(bell(), RunOptions(backend="exact", options={"method": "automatic"}))
    assert result.backend == "exact"
    with pytest.raises(UnavailableError, match="no method called 'none'"):
        execution.run(bell(), RunOptions(backend="exact", options={"method": "none"}))


def test_applies_the_noise_model(execution):
    circuit = Circuit.builder(1, 1).x(0).measure(0, 0).build()
    noise = NoiseModel.parse("amplitude_damping:1.0")
    assert execution.run(circuit, RunOptions(backend="exact", noise=noise, shots=5)).counts == {"0": 5}


def test_gives_expectation_values_and_refuses_an_observable_of_another_size(execution):
    options = RunOptions(backend="exact", wants=("expectation",), observables=(PauliSum.parse("ZZ"),))
    (value,) = execution.run(bell(), options).expectations
    assert value.value == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(UsageError, match="spans 3 qubits, the circuit has 2"):
        execution.run(bell(), RunOptions(wants=("expectation",), observables=(PauliSum.parse("ZZZ"),)))


@pytest.mark.parametrize("options", [RunOptions(shots=0), RunOptions(wants=()), RunOptions(wants=("expectation",))])
def test_refuses_options_that_make_no_sense(execution, options):
    with pytest.raises(UsageError):
        execution.run(bell(), options)


def test_auto_takes_the_quickest_and_says_why_for_each(execution):
    # Double precision rules out the backend that would be quickest but computes in single.
    result = execution.run(bell(), RunOptions(precision="double"))
    assert result.backend == "exact"
    assert (
        "10.0x faster than flipped" in result.selection.reason or "10x faster than flipped" in result.selection.reason
    )
    by_name = {c.backend: c for c in result.selection.candidates}
    assert by_name["distant"].reason.startswith("it computes in single precision only, and the run is in double")
    assert by_name["absent"].reason == "the engine is not installed"
    assert "libexact.so" in by_name["raising"].reason
    assert by_name["unhurried"].estimated_seconds == pytest.approx(0.04)
    assert not by_name["absent"].feasible
    assert by_name["absent"].estimated_seconds is None
    assert result.selection.candidates[0].backend == "exact"


def test_auto_respects_operations_noise_and_dynamic_circuits(execution):
    rotated = Circuit.builder(1, 1).rx(0.3, 0).reset(0).measure(0, 0).build()
    result = execution.run(rotated, RunOptions(noise=NoiseModel.parse("bit_flip:0.1"), precision="double"))
    reasons = {c.backend: c.reason for c in result.selection.candidates}
    assert reasons["flipped"] == "it does not simulate noise"
    assert reasons["vast"] == "it does not simulate noise"
    result = execution.run(rotated, RunOptions(precision="double"))
    assert "in the middle of a circuit" in {c.backend: c.reason for c in result.selection.candidates}["flipped"]
    turned = Circuit.builder(1, 1).rx(0.3, 0).measure(0, 0).build()
    result = execution.run(turned, RunOptions(precision="double"))
    assert {c.backend: c.reason for c in result.selection.candidates}["flipped"] == "it does not know the operation rx"
    restricted = Circuit.builder(1, 1).ry(0.3, 0).measure(0, 0).build()  # its estimate, which sees the angle, decides
    result = execution.run(restricted, RunOptions(precision="double"))
    assert {c.backend: c.feasible for c in result.selection.candidates}["flipped"]


def test_an_expensive_import_is_avoided_until_avoiding_it_has_cost_as_much(execution, monkeypatch):
    monkeypatch.setattr(execution.observations, "add", lambda *run: None)  # the estimates stay what they are
    # distant saves 0.9 ms a run and costs 50 ms to import: the 56th run or so imports it.
    chosen = [execution.run(bell(), RunOptions(store=False, shots=1)) for _ in range(60)]
    names = [r.backend for r in chosen]
    first = names.index("distant")
    assert 50 < first < 60
    assert set(names[:first]) == {"exact"}
    assert "but importing it 50 ms" in chosen[0].selection.reason
    assert "importing distant now pays off" in chosen[first].selection.reason
    assert set(names[first:]) == {"distant"}


def test_refuses_before_memory_is_taken_with_the_number_and_who_could(execution):
    circuit = Circuit.builder(40).h(0).build()
    with pytest.raises(ResourceError, match="16 TiB of memory for 40 qubits") as caught:
        execution.run(circuit, RunOptions(backend="vast", wants=("statevector",)))
    assert caught.value.exit_code == 3
    assert "no other installed backend can run it" in caught.value.hint
    small = Circuit.builder(12).h(0).build()
    with pytest.raises(UnsupportedError, match="it does not give density matrix") as refused:
        execution.run(small, RunOptions(backend="vast", wants=("density_matrix",)))
    assert "exact or unhurried can run it" in refused.value.hint


def test_auto_lists_every_reason_where_none_can(execution):
    with pytest.raises(UnavailableError) as caught:
        execution.run(Circuit.builder(40).h(0).build(), RunOptions(wants=("statevector",)))
    message = str(caught.value)
    for name in ("exact", "unhurried", "distant", "flipped", "absent", "raising", "vast", "failing"):
        assert f"  {name}: " in message
    assert "at most 12 qubits, and the circuit has 40" in message


def test_a_named_backend_is_checked_not_overruled(execution):
    assert execution.run(bell(), RunOptions(backend="unhurried")).backend == "unhurried"
    with pytest.raises(BackendUnavailableError, match="absent is not available: the engine is not installed") as caught:
        execution.run(bell(), RunOptions(backend="absent"))
    assert caught.value.hint.startswith("pip install exact-engine; ")
    with pytest.raises(UnsupportedError, match="no method called 'tableau'"):
        execution.run(bell(), RunOptions(backend="exact", options={"method": "tableau"}))


def test_an_unknown_backend_gets_the_nearest_names(execution):
    with pytest.raises(NotFoundError, match="no backend called 'exct'") as caught:
        execution.run(bell(), RunOptions(backend="exct"))
    assert "exact" in caught.value.hint


def test_an_engine_that_fails_is_a_run_error_that_names_it_and_stores_nothing(execution, kernel):
    with pytest.raises(RunError, match="failing failed: ZeroDivisionError"):
        execution.run(bell(), RunOptions(backend="failing"))
    assert kernel.services.require(ResultStore).list() == []
    (ended,) = kernel.events.replay(RunCompleted)
    assert ended.status == "failed"


def test_cancelling_and_the_deadline_stop_the_run_and_store_nothing(execution, kernel):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        execution.run(bell(), RunOptions(backend="exact"), cancel=cancel)
    with pytest.raises(DeadlineExceededError):
        execution.run(bell(), RunOptions(backend="exact", deadline=1e-9))
    assert kernel.services.require(ResultStore).list() == []


def test_an_interrupt_sets_the_cancel_token_and_stores_nothing(execution, kernel):
    cancel = CancelToken()

    def interrupt(fraction: float | None, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execution.run(bell(), RunOptions(backend="exact"), cancel=cancel, progress=interrupt)
    assert cancel.cancelled
    assert kernel.services.require(ResultStore).list() == []
    assert kernel.events.replay(RunCompleted)[-1].status == "cancelled"


def test_events_carry_the_id_that_the_record_and_the_audit_log_have(execution, kernel):
    result = execution.run(bell(), RunOptions(backend="exact"))
    (started,) = kernel.events.replay(RunStarted)
    (ended,) = kernel.events.replay(RunCompleted)
    assert started.run_id == ended.run_id == result.id
    assert ended.status == "completed"
    assert kernel.events.replay(ProgressUpdate)[0].message == "sampling"
    used = [row for row in kernel.permissions.audit.search() if row.run_id == result.id]
    assert [(row.plugin, row.permission, row.outcome) for row in used] == [
        ("backend-exact", "execute_circuits", "used")
    ]


def test_a_plugin_without_the_permission_runs_nothing(kernel, execution):
    kernel.permissions.grants.deny("backend-exact", Permission.parse("execute_circuits"), scope="session")
    with pytest.raises(PermissionDeniedError):
        execution.run(bell(), RunOptions(backend="exact"))


def test_a_plugin_without_the_permission_does_not_keep_others_from_running(home, monkeypatch):
    monkeypatch.setenv("PROXIMA_PLUGINS", "backend-exact,backend-qsim,execution,format-openqasm")
    with proxima.open() as kernel:
        quickest = kernel.run(bell(), store=False).backend
        kernel.permissions.grants.reset("backend-exact")
        allowed = kernel.run(bell(), store=False)
    assert quickest != "qsim"
    assert allowed.backend == "qsim"
    assert "may not run circuits" in " ".join(c.reason for c in allowed.selection.candidates)


def test_the_record_holds_what_was_asked_and_the_circuit_as_given(execution, kernel):
    options = RunOptions(backend="exact", parameters={"theta": 0.25}, shots=7)
    result = execution.run(tilted(), options)
    record = kernel.services.require(ResultStore).get(result.id)
    assert record.circuit == tilted()
    assert record.circuit.parameters == ("theta",)
    assert record.options == options
    assert record.result.counts == result.counts
    assert (record.plugin, record.plugin_version) == ("backend-exact", "1.0.0")
    assert record.host["proxima"] == proxima.__version__


def test_store_false_keeps_nothing(execution, kernel):
    result = execution.run(bell(), RunOptions(backend="exact", store=False))
    assert result.id == ""
    assert kernel.services.require(ResultStore).list() == []


def test_a_result_that_cannot_be_stored_is_still_given_with_the_reason(execution, kernel, home):
    (home / "home" / "data").mkdir(parents=True, exist_ok=True)
    (home / "home" / "data" / "results.sqlite").mkdir()  # in the way
    result = execution.run(bell(), RunOptions(backend="exact"))
    assert sum(result.counts.values()) == 1024
    assert result.id == ""
    assert "The result was not stored: " in result.notes[-1]


def test_without_a_result_store_a_note_says_so(home, monkeypatch):
    with proxima.open(only=["backend-exact", "execution"]) as kernel:
        result = kernel.run(bell(), backend="exact")
    assert result.id == ""
    assert "was not stored" in result.notes[-1]


def test_a_sweep_binds_anew_and_no_point_depends_on_the_others(execution):
    points = [{"theta": 0.1}, {"theta": 2.0}, {"theta": 3.0}]
    options = RunOptions(backend="exact", seed=11, store=False)
    forward = swept(execution, tilted(), points, options)
    backward = swept(execution, tilted(), points[::-1], options)
    assert [r.counts for r in forward] == [r.counts for r in backward[::-1]]
    assert [r.versions["rebound"] for r in forward] == ["0", "1", "2"]
    assert len({r.seed for r in forward}) == 3
    ones = [r.counts.get("1", 0) / 1024 for r in forward]
    expected = [math.sin(p["theta"] / 2) ** 2 for p in points]
    assert ones == pytest.approx(expected, abs=0.08)  # 5 sigma of 1024 shots
    assert swept(execution, tilted(), [], options) == []


def test_a_damaged_calibration_is_ignored_with_a_warning(execution, kernel, caplog):
    path = execution.calibration.path
    proxima.paths.Paths.ensure(kernel.paths.state)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"format": 1, "host"')
    with caplog.at_level(logging.WARNING, "proxima"):
        assert execution.run(bell(), RunOptions(precision="double")).backend == "exact"
    assert "cannot be read and is not used" in caplog.text


def test_compare_takes_one_name_as_text(execution):
    comparison = execution.compare(bell(), "exact", RunOptions(shots=10))
    assert [run.backend for run in comparison.runs] == ["exact"]


def swept(execution, circuit, points, options):
    found = dict(execution.sweep([circuit], points, options))
    return [found[number] for number in range(len(points))]
