"""The backend pennylane against PennyLane itself on the same engine, lightning.qubit, in turns.

The gradient of an energy on 10 qubits by 200 parameters, by the adjoint method on both sides, and counts of a Fourier
transform on 16 qubits. Both start from circuits in their own form. Goals: 4x and 1.5x as fast.
"""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from timing import interleaved, ratio

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.observable import PauliSum

qml = pytest.importorskip("pennylane")
from proxima_backend_pennylane.backend import PennyLaneBackend  # noqa: E402 - PennyLane may not be there

QUBITS, LAYERS, FOURIER = 10, 10, 16


def _report(what: str, times: dict[str, list[float]], capsys: pytest.CaptureFixture[str]) -> float:
    found = ratio(times, "PennyLane", "ours")
    with capsys.disabled():
        print(f"\n{what}: {statistics.median(times['ours']) * 1e3:.3g} ms, {found:.1f}x as fast as PennyLane")
    return found


def test_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    b, count = Circuit.builder(QUBITS), 0
    for _ in range(LAYERS):
        for turn in (b.ry, b.rz):
            for qubit in range(QUBITS):
                turn(Parameter(f"a{count}"), qubit)
                count += 1
        for qubit in range(QUBITS - 1):
            b.cx(qubit, qubit + 1)
    circuit, angles = b.build(), np.linspace(0, 3, count)
    energy = PauliSum.parse(" + ".join("I" * i + "ZZ" + "I" * (QUBITS - 2 - i) for i in range(QUBITS - 1)))
    backend = PennyLaneBackend()

    def ours() -> np.ndarray:
        request = RunRequest(
            circuit=circuit,
            wants=("gradient",),
            shots=None,
            precision="double",
            observables=(energy,),
            parameters=dict(zip(circuit.parameters, angles.tolist(), strict=True)),
        )
        return backend.run(backend.plan(request), RunContext()).gradients[0].values

    observable = qml.sum(*(qml.Z(i) @ qml.Z(i + 1) for i in range(QUBITS - 1)))

    @qml.qnode(qml.device("lightning.qubit", wires=QUBITS), diff_method="adjoint")
    def node(values):
        number = 0
        for _ in range(LAYERS):
            for gate in (qml.RY, qml.RZ):
                for qubit in range(QUBITS):
                    gate(values[number], wires=QUBITS - 1 - qubit)
                    number += 1
            for qubit in range(QUBITS - 1):
                qml.CNOT([QUBITS - 1 - qubit, QUBITS - 2 - qubit])
        return qml.expval(observable)

    start, gradient = qml.numpy.array(angles, requires_grad=True), qml.grad(node)
    assert ours() == pytest.approx(np.asarray(gradient(start)), abs=1e-12)
    times = interleaved({"ours": ours, "PennyLane": lambda: gradient(start)}, 7)
    assert _report(f"gradient of {QUBITS} qubits by {count} parameters", times, capsys) > 4


def test_counts(capsys: pytest.CaptureFixture[str]) -> None:
    b = Circuit.builder(FOURIER)
    pairs = [(i, j) for i in range(FOURIER) for j in range(i, FOURIER)]
    for i, j in pairs:
        if i == j:
            b.h(i)
        else:
            b.cp(np.pi / 2 ** (j - i), j, i)
    circuit, backend = b.measure_all().build(), PennyLaneBackend()

    @qml.set_shots(1024)
    @qml.qnode(qml.device("lightning.qubit", wires=FOURIER, c_dtype=np.complex64))
    def node():
        for i, j in pairs:
            if i == j:
                qml.Hadamard(FOURIER - 1 - i)
            else:
                qml.ControlledPhaseShift(np.pi / 2 ** (j - i), [FOURIER - 1 - j, FOURIER - 1 - i])
        return qml.counts()

    calls = {
        "ours": lambda: backend.run(backend.plan(RunRequest(circuit=circuit)), RunContext()),
        "PennyLane": node,
    }
    assert _report(f"counts of a Fourier transform on {FOURIER} qubits", interleaved(calls, 7), capsys) > 1.5
