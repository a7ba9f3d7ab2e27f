"""`auto` asks the backends that can win, and no more; `explain` asks all."""

import math

import pytest

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima_execution.adaptation import Adaptations

OPTIONS = RunOptions(precision="double", store=False)


def bell():
    return Circuit.builder(2).h(0).cx(0, 1).measure_all().build()


@pytest.fixture
def asked(execution, monkeypatch):
    """The names of the backends that are asked for an estimate, in their order."""
    names = []
    judge = execution._judge.judge

    def noting(contribution, asked, **options):
        names.append(contribution.name)
        return judge(contribution, asked, **options)

    monkeypatch.setattr(execution._judge, "judge", noting)
    return names


def test_a_backend_whose_every_run_takes_longer_is_not_asked_again(execution, asked):
    first = execution.run(bell(), OPTIONS)
    assert {"exact", "flipped", "unflipped", "vast", "failing"} <= set(asked)
    assert "not asked" not in first.selection.reason
    asked.clear()
    wide = Circuit.builder(3).h(0).measure_all().build()  # unlike the first
    second = execution.run(wide, OPTIONS)
    assert first.backend == second.backend == "exact"
    assert not {"flipped", "unflipped", "vast", "failing"} & set(asked)
    assert "not asked, by the time that any run takes there: " in second.selection.reason
    assert "flipped (10 ms)" in second.selection.reason
    assert {c.backend for c in second.selection.candidates} == set(asked)


def test_one_that_cost_more_for_a_circuit_like_this_is_not_asked_again(execution, asked, monkeypatch):
    monkeypatch.setattr(execution.observations, "add", lambda *run: None)  # the estimates stay what they are
    # Its rates say a millisecond for a run, its estimate 40; the quickest backend's say 2 and 1.3 at these sizes.
    for qubits, expected in ((10, True), (10, False), (9, True)):
        asked.clear()
        execution.run(Circuit.builder(qubits).h(0).measure_all().build(), OPTIONS)
        assert ("unhurried" in asked) is expected


def test_one_that_could_not_run_a_circuit_like_this_is_asked_where_no_other_can(execution, asked):
    circuit = Circuit.builder(2).h(0).cz(0, 1).measure_all().build()
    options = RunOptions(wants=("statevector",), precision="double", store=False)
    assert execution.run(circuit, options).backend == "exact"
    asked.clear()
    assert "could not run such a circuit before: " in execution.run(circuit, options).selection.reason
    assert "distant" not in asked  # it gives no statevector
    noisy = RunOptions(wants=("statevector",), noise=NoiseModel.parse("bit_flip:0.1"), precision="double", store=False)
    del asked[:]
    execution.explain(circuit, noisy)
    assert "distant" in asked


def test_what_is_explained_are_all_backends_whatever_was_asked_before(execution, kernel):
    for _ in range(3):
        execution.run(bell(), OPTIONS)
    explained = execution.explain(bell(), OPTIONS)
    told = {o.candidate.backend for o in explained.offers} | {r.candidate.backend for r in explained.refusals}
    assert told == {c.name for c in kernel.contributions("backends")}


@pytest.mark.parametrize(("angle", "alike"), [(0.2, True), (math.pi / 2, False)])
def test_an_angle_that_may_make_a_clifford_gate_makes_another_kind_of_circuit(angle, alike):
    def likeness(angle):
        circuit = Circuit.builder(2).h(0).rz(angle, 0).cx(0, 1).build()
        return Adaptations(RunRequest(circuit=circuit)).likeness

    assert (likeness(angle) == likeness(0.1)) is alike


def test_an_engine_that_is_absent_is_looked_for_again_after_a_while(execution, kernel, monkeypatch):
    backend = kernel.get("backends", "absent")
    probed = []
    probe = type(backend).probe
    monkeypatch.setattr(type(backend), "probe", lambda self: probed.append(1) or probe(self))
    vast = Circuit.builder(2).h(0).measure_all().build()
    for _ in range(3):
        execution.run(vast, OPTIONS)
    assert len(probed) == 1
    execution.probes()  # whoever asks for the state of all gets that of now
    assert len(probed) == 2
    monkeypatch.setattr("proxima_execution.judging._ABSENT_FOR", -1.0)
    execution.probes()
    execution.run(vast, OPTIONS)
    assert len(probed) == 4
