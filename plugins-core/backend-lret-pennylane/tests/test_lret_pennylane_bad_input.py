"""What is refused, by name and before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

import pennylane as qml
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError, QuantumFunctionError, WireError

from proxima.errors import CircuitError, ResourceError, UnsupportedError, UsageError
from proxima_lret_core.pennylane.device import LowRankMixed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tolerance": 0.0}, "tolerance of 0.0 makes no sense"),
        ({"tolerance": float("nan")}, "tolerance of nan"),
        ({"tolerance": "small"}, "tolerance of 'small'"),
        ({"tolerance": True}, "tolerance of True"),
        ({"precision": "half"}, "no precision 'half'"),
        ({"threads": 0}, "0 threads"),
        ({"memory": -5}, "-5 bytes of memory"),
        ({"wires": 41}, "at most 40 wires, not 41"),
    ],
)
def test_arguments(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LowRankMixed(**options)


def run(*operations: Any, measurement: Any = None, wires: Any = 2, shots: int | None = None, **options: Any) -> Any:
    def circuit() -> Any:
        for operation in operations:
            qml.apply(operation)
        return measurement() if measurement is not None else qml.expval(qml.Z(0))

    return qml.set_shots(qml.QNode(circuit, LowRankMixed(wires, **options)), shots)()


class Unknown(qml.operation.Operation):
    """An operation with neither matrix nor decomposition."""

    num_wires = 1


FIVE = [np.eye(32)]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: run(Unknown(0)), DeviceError, "Unknown"),
        (lambda: run(qml.RX(float("nan"), 0)), CircuitError, "finite"),
        (lambda: run(qml.QubitUnitary(np.array([[1, 1], [0, 1]]), 0)), CircuitError, "unitary"),
        (lambda: run(qml.QubitChannel(FIVE, range(5)), wires=5), DeviceError, "QubitChannel"),
        (lambda: run(measurement=lambda: qml.sample(wires=0)), DeviceError, "sample"),
        (
            lambda: run(measurement=lambda: qml.vn_entropy(wires=0), shots=10),
            DeviceError,
            "not accepted with finite shots",
        ),
        (lambda: run(measurement=lambda: qml.expval(qml.exp(qml.Z(0), 0.3))), DeviceError, "Exp"),
        (lambda: run(measurement=lambda: qml.expval(1j * qml.Z(0))), UnsupportedError, "not real"),
        (lambda: run(qml.X(5)), WireError, "not found on the device"),
        (lambda: run(qml.X(0), measurement=lambda: qml.state(), wires=14), ResourceError, "14 qubits"),
        (lambda: run(*map(qml.X, range(20)), wires=20, memory=1000), ResourceError, "more than it was given"),
        (lambda: run(*map(qml.X, range(41)), wires=None), UnsupportedError, "at most 40 wires, the circuit has 41"),
        (lambda: run(qml.RX(0.1, 0), precision="single", tolerance=1e-9), UnsupportedError, "rounding in single"),
    ],
)
def test_circuits(call: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def grad(function: Callable[[Any], Any]) -> Any:
    x = pnp.array(0.3, requires_grad=True)
    return qml.grad(qml.QNode(function, LowRankMixed(2), diff_method="adjoint"))(x)


def trained_channel(x: Any) -> Any:
    qml.BitFlip(x, 0)
    return qml.expval(qml.Z(0))


def variance(x: Any) -> Any:
    qml.RX(x, 0)
    return qml.var(qml.Z(0))


@pytest.mark.parametrize(
    ("function", "error", "says"),
    [
        (trained_channel, DeviceError, "BitFlip"),
        (variance, QuantumFunctionError, "does not support adjoint"),
    ],
)
def test_what_has_no_adjoint_gradient(function: Callable[[Any], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        grad(function)


def test_an_operation_without_derivative_is_told_where_preprocessing_was_left_out() -> None:
    tape = qml.tape.QuantumScript([qml.IsingXY(0.3, [0, 1])], [qml.expval(qml.Z(0))], trainable_params=[0])
    with pytest.raises(UnsupportedError, match="IsingXY has no derivative"):
        LowRankMixed(2).compute_derivatives(tape)
