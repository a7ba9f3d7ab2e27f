"""What a backend lacks is written in what it has, and optional passes are recorded; ``flipped`` knows h, x and cx."""

import math

import numpy as np
import pytest

from proxima.cli import main
from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import RunOptions
from proxima.contracts.operations import Op
from proxima.contracts.records import ResultStore
from proxima.errors import UnsupportedError, UsageError
from proxima_execution.adaptation import Adaptations


def swapped():
    return Circuit.builder(2, name="swapped").x(0).swap(0, 1).z(0).build()


def test_a_gate_that_a_named_backend_lacks_is_decomposed(execution):
    result = execution.run(swapped(), RunOptions(backend="unflipped", wants=("statevector",)))
    np.testing.assert_allclose(np.abs(result.statevector), [0, 0, 1, 0], atol=1e-12)
    assert result.notes == ("Operations that the backend does not know were written in those it knows: swap, z.",)
    assert result.circuit.hash == swapped().content_hash  # what was asked for, not what was made of it


def test_auto_takes_a_backend_that_needs_a_decomposition(execution):
    result = execution.run(swapped(), RunOptions(wants=("statevector",)))
    assert {c.backend for c in result.selection.candidates if c.feasible} >= {"exact", "unflipped"}


def test_a_gate_that_cannot_be_decomposed_is_named(execution):
    circuit = Circuit.builder(2).h(0).rx(0.3, 0).t(1).build()
    with pytest.raises(UnsupportedError, match="unflipped cannot run this: it does not know the operations rx, t"):
        execution.run(circuit, RunOptions(backend="unflipped", wants=("statevector",)))


def test_measuring_need_not_be_named(execution, kernel):
    declared = kernel.registry.find("backends", "unflipped").data["capabilities"]["operations"]
    assert declared == ["h", "x", "cx"]
    circuit = Circuit.builder(2).x(0).barrier(0, 1).measure_all().build()
    assert execution.run(circuit, RunOptions(backend="unflipped", shots=10, seed=1)).counts == {"01": 10}


def test_a_backend_without_seeds_and_with_errors_of_its_own_is_told_of():
    asked = Adaptations(RunRequest(circuit=swapped(), wants=("counts",)))
    device = asked.for_backend({"seeded": False, "noisy_device": True})
    assert [note.partition(":")[0] for note in device.notes] == [
        "The backend takes no seed",
        "The backend is a noisy device",
    ]
    assert asked.for_backend({"seeded": True, "noisy_device": False}).notes == ()
    states = Adaptations(RunRequest(circuit=swapped(), wants=("statevector",)))
    assert states.for_backend({"seeded": False}).notes == ()


def test_counts_of_a_decomposed_circuit_are_those_of_the_circuit(execution):
    circuit = (
        Circuit.builder(3)
        .h(0)
        .ccz(0, 1, 2)
        .cz(0, 1)
        .swap(1, 2)
        .measure_all()
        .build()
        .select(np.array([True, False, True, True, True, True, True]))
    )
    counts = execution.run(circuit, RunOptions(backend="unflipped", shots=400, seed=1)).counts
    assert set(counts) == {"000", "001"}


def wasteful():
    return Circuit.builder(2, name="wasteful").h(0).x(1).x(1).t(0).cx(0, 1).rz(0.2, 1).cx(1, 0).s(1).sdg(1).build()


def test_optimize_is_recorded_and_done_again_by_rerun(execution, kernel, capsys):
    result = execution.run(wasteful(), RunOptions(optimize=True, backend="exact", seed=4))
    assert "Optimised: 11 operations became 3, 1 of them fused into matrices." in result.notes
    record = kernel.services.require(ResultStore).get(result.id)
    assert record.options.optimize is True
    assert record.result.notes == result.notes
    assert main(["results", "rerun", result.id]) == 0
    assert kernel.services.require(ResultStore).get("last").options.optimize is True


def test_optimize_does_not_change_the_answer(execution):
    plain, optimised = (
        execution.run(wasteful(), RunOptions(optimize=on, backend="exact", wants=("statevector",))).statevector
        for on in (False, True)
    )
    assert abs(np.vdot(plain, optimised)) == pytest.approx(1.0, abs=1e-12)


def test_a_backend_without_matrices_gets_only_what_cancels(execution):
    circuit = Circuit.builder(2).h(0).x(1).x(1).cx(0, 1).build()
    result = execution.run(circuit, RunOptions(optimize=True, backend="unflipped", wants=("statevector",)))
    assert result.notes == ("Optimised: 4 operations became 2.",)
    np.testing.assert_allclose(np.abs(result.statevector) ** 2, [0.5, 0, 0, 0.5], atol=1e-12)


def test_nothing_to_save_is_said(execution):
    result = execution.run(Circuit.builder(1).h(0).build(), RunOptions(optimize=True, wants=("statevector",)))
    assert result.notes == ("Optimised: none of the 1 operations could be saved.",)


def test_a_sweep_is_optimised_point_by_point(execution):
    circuit = Circuit.builder(1).append(Op.RX, (0,), (Parameter("a"),)).append(Op.RX, (0,), (Parameter("b"),)).build()
    points = [{"a": 0.5, "b": -0.5}, {"a": math.pi, "b": 0.0}, {"a": 0.5, "b": math.pi - 0.5}]
    options = RunOptions(optimize=True, backend="exact", wants=("probabilities",))
    results = swept(execution, circuit, points, options)
    assert [result.probabilities[1] for result in results] == pytest.approx([0.0, 1.0, 1.0], abs=1e-12)
    assert [result.notes[0].split()[4] for result in results] == ["0.", "1.", "1."]  # "... became 0."


def test_optimize_takes_true_or_false(kernel):
    with pytest.raises(UsageError, match="optimize: expected true or false, got 1"):
        kernel.run(swapped(), optimize=1)


def test_the_command_takes_optimize(home, capsys):
    path = home / "w.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nx q[0];\nh q[0];\nh q[0];\n')
    assert main(["run", str(path), "--optimize", "--backend", "exact"]) == 0
    assert "Optimised: 4 operations became 2." in capsys.readouterr().out


def swept(execution, circuit, points, options):
    found = dict(execution.sweep([circuit], points, options))
    return [found[number] for number in range(len(points))]
