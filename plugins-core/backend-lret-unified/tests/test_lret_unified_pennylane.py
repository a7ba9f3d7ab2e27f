"""PennyLane's device over the engine that takes the method that suits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")
qml = pytest.importorskip("pennylane", reason="PennyLane is not installed")


def noisy(device: str) -> tuple[np.ndarray, float]:
    made = qml.device(device, wires=4)

    @qml.qnode(made)
    def circuit():
        for wire in range(4):
            qml.RY(0.3 + wire, wires=wire)
            qml.DepolarizingChannel(0.05, wires=wire)
        for wire in range(3):
            qml.CNOT([wire, wire + 1])
            qml.AmplitudeDamping(0.1, wires=wire)
        return qml.probs(), qml.expval(qml.Z(0) @ qml.X(3))

    probabilities, value = circuit()
    return np.asarray(probabilities), float(value)


def test_it_is_found_by_name_and_agrees_with_default_mixed() -> None:
    probabilities, value = noisy("proxima.lret.unified")
    expected, exact = noisy("default.mixed")
    # The device's tolerance is 1e-6 in trace distance.
    assert np.allclose(probabilities, expected, atol=1e-6)
    assert value == pytest.approx(exact, abs=2e-6)


def test_it_takes_a_density_matrix_where_that_is_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    from proxima_backend_lret_unified import pennylane

    methods = []
    engine = pennylane.UnifiedMixed.engine

    def told(circuit, **options):
        state = engine(circuit, **options)
        methods.append(state.method)
        return state

    monkeypatch.setattr(pennylane.UnifiedMixed, "engine", staticmethod(told))
    noisy("proxima.lret.unified")
    assert methods == ["density_matrix"]


def test_gradients_of_noisy_circuits() -> None:
    device = qml.device("proxima.lret.unified", wires=2)

    @qml.qnode(device, diff_method="adjoint")
    def circuit(angle):
        qml.RX(angle, wires=0)
        qml.DepolarizingChannel(0.03, wires=0)
        return qml.expval(qml.Z(0))

    slope = qml.grad(circuit)(qml.numpy.array(0.4, requires_grad=True))
    assert slope == pytest.approx(-(1 - 4 * 0.03 / 3) * np.sin(0.4), abs=1e-6)
