"""Gradients on the device, against backpropagation through default.mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

import pennylane as qml
from pennylane import numpy as pnp

from proxima_lret_core.pennylane.device import LowRankMixed

X = pnp.array([0.3, -0.8, 1.2, 0.5, 2.1], requires_grad=True)


def body(x: Any) -> None:
    """All kinds of trained operations: native, decomposed, shared, and with noise that does not commute with them."""
    qml.RX(x[0], "a"), qml.Rot(x[1], x[2], 0.3, "b"), qml.CNOT(["a", "b"])
    qml.DepolarizingChannel(0.05, "b"), qml.AmplitudeDamping(0.1, "a")
    qml.IsingXY(x[3], ["b", 3]), qml.CRot(x[0], 0.2, x[4], ["a", 3]), qml.PhaseFlip(0.03, 3)
    qml.SingleExcitation(2 * x[1], ["a", 3]), qml.MultiRZ(x[4], ["a", "b", 3]), qml.U2(x[2], 0.1, "b")


def one(x: Any) -> Any:
    body(x)
    return qml.expval(0.7 * qml.Z("a") @ qml.X(3) - qml.Y("b"))


def several(x: Any) -> Any:
    body(x)
    return qml.expval(qml.Z("a")), qml.expval(qml.Hermitian(np.diag([1.0, 2, -1, 0.5]), ["b", 3])), qml.expval(qml.X(3))


WIRES = ["a", "b", 3]
MIXED = qml.device("default.mixed", wires=WIRES)


# autograd's pass through complex density matrices says so
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("method", ["adjoint", "parameter-shift", "best", "device"])
def test_gradient(method: str) -> None:
    device = LowRankMixed(WIRES, tolerance=1e-10)
    found = qml.grad(qml.QNode(one, device, diff_method=method))(X)
    exact = qml.grad(qml.QNode(one, MIXED, diff_method="backprop"))(X)
    assert found == pytest.approx(exact, abs=3e-5 if method != "parameter-shift" else 1e-8)  # root of the tolerance


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_jacobian_of_several_expectation_values() -> None:
    device = LowRankMixed(WIRES, tolerance=1e-12)
    found = qml.jacobian(lambda x: pnp.stack(qml.QNode(several, device, diff_method="adjoint")(x)))(X)
    exact = qml.jacobian(lambda x: pnp.stack(qml.QNode(several, MIXED, diff_method="backprop")(x)))(X)
    assert found.shape == (3, 5)
    assert found == pytest.approx(exact, abs=3e-6)


def test_values_come_with_the_derivatives_in_one_pass() -> None:
    device = LowRankMixed(WIRES)
    node = qml.QNode(one, device, diff_method="adjoint")
    with device.tracker:
        qml.grad(node)(X)
    assert device.tracker.totals["execute_and_derivative_batches"] == 1
    assert "batches" not in device.tracker.totals
    assert device.tracker.history["bounds"] == [device.last_bound]
    assert 0 < device.last_bound <= 1e-6


def test_best_is_adjoint_where_it_serves_and_parameter_shift_elsewhere() -> None:
    def adjoint(function: Any, shots: int | None = None) -> bool:
        device = LowRankMixed(WIRES, seed=1)
        node = qml.set_shots(qml.QNode(function, device), shots)
        with device.tracker:
            qml.grad(lambda x: pnp.sum(pnp.array(node(x))))(X)
        return "execute_and_derivative_batches" in device.tracker.totals

    def trained_noise(x: Any) -> Any:
        qml.RY(x[1], "a"), qml.DepolarizingChannel(x[0], "a")
        return qml.expval(qml.Z("a"))

    def trained_observable(x: Any) -> Any:
        qml.RY(x[1], "a")
        return qml.expval(qml.Hamiltonian(x[:2], [qml.Z("a"), qml.X("a")]))

    assert adjoint(one)
    assert not adjoint(several)  # a matrix is no Pauli sum; asked for by name, adjoint makes it one
    assert not adjoint(one, shots=10)
    assert not adjoint(trained_noise)
    assert not adjoint(trained_observable)
    # a cos(t) + t sin(t), by a and by t
    slopes = [np.cos(-0.8), -0.3 * np.sin(-0.8) + np.sin(-0.8) - 0.8 * np.cos(-0.8)]
    assert qml.grad(qml.QNode(trained_observable, LowRankMixed(WIRES)))(X)[:2] == pytest.approx(slopes, abs=1e-6)
    # <Z> = (1 - 4 p / 3) cos(theta)
    found = qml.grad(qml.QNode(trained_noise, LowRankMixed(WIRES)))(X)
    assert found[:2] == pytest.approx([-4 / 3 * np.cos(-0.8), -(1 - 0.4) * np.sin(-0.8)], abs=1e-6)


def test_what_is_not_trained_is_not_differentiated() -> None:
    def circuit(x: Any, y: Any) -> Any:
        qml.RX(x, 0), qml.RY(y, 0), qml.QubitUnitary(np.eye(2), 0), qml.BitFlip(0.1, 0)
        return qml.expval(qml.Z(0))

    node = qml.QNode(circuit, LowRankMixed(1), diff_method="adjoint")
    x, y = pnp.array(0.4, requires_grad=True), pnp.array(0.9, requires_grad=False)
    assert qml.grad(node)(x, y) == pytest.approx(-0.8 * np.sin(0.4) * np.cos(0.9), abs=1e-6)


def test_shots_have_gradients_by_parameter_shift() -> None:
    node = qml.set_shots(qml.QNode(one, LowRankMixed(WIRES, seed=2), diff_method="parameter-shift"), 20_000)
    exact = qml.grad(qml.QNode(one, LowRankMixed(WIRES), diff_method="adjoint"))(X)
    assert qml.grad(node)(X) == pytest.approx(exact, abs=0.15)  # five standard errors and more


def test_broadcast_batches_have_gradients() -> None:
    def circuit(x: Any) -> Any:
        qml.RX(x, 0), qml.PhaseFlip(0.1, 0), qml.RY(0.3, 0)
        return qml.expval(qml.Y(0))

    xs = pnp.array([0.1, 0.5, 1.0], requires_grad=True)
    jacobian = qml.jacobian(qml.QNode(circuit, LowRankMixed(1), diff_method="adjoint"))(xs)
    assert jacobian == pytest.approx(np.diag(-0.8 * np.cos(xs)), abs=1e-6)
