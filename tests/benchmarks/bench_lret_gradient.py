"""One gradient under noise on proxima.lret.mixed: adjoint against parameter-shift and against default.mixed.

Four layers of RX, RY, RZ on every wire and a brick of CNOT, depolarizing(0.001) after every gate on its wires,
<sum of Z Z> of neighbours: 12 parameters for each wire. CPU time of this process, in which all of it runs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

import pennylane as qml
from pennylane import numpy as pnp

NOISE = 1e-3


def _circuit(wires: int) -> Callable[[Any], Any]:
    energy = qml.Hamiltonian([1.0] * (wires - 1), [qml.Z(w) @ qml.Z(w + 1) for w in range(wires - 1)])

    def circuit(angles: Any) -> Any:
        for layer in range(4):
            for w in range(wires):
                for axis, gate in enumerate((qml.RX, qml.RY, qml.RZ)):
                    gate(angles[layer, w, axis], w)
                    qml.DepolarizingChannel(NOISE, w)
            for w in range(layer % 2, wires - 1, 2):
                qml.CNOT([w, w + 1])
                qml.DepolarizingChannel(NOISE, w)
                qml.DepolarizingChannel(NOISE, w + 1)
        return qml.expval(energy)

    return circuit


def _timed(wires: int, device: Any, method: str) -> tuple[float, Any]:
    angles = pnp.array(np.random.default_rng(0).uniform(0, 6, (4, wires, 3)), requires_grad=True)
    begin = time.process_time()
    slopes = qml.grad(qml.QNode(_circuit(wires), device, diff_method=method))(angles)
    return time.process_time() - begin, slopes


@pytest.mark.parametrize(("wires", "tolerance", "mixed"), [(8, 1e-3, True), (10, 5e-3, False)])
def test_gradient(wires: int, tolerance: float, mixed: bool) -> None:
    device = qml.device("proxima.lret.mixed", wires=wires, tolerance=tolerance)
    _timed(2, device, "adjoint")  # what the first one imports
    adjoint, slopes = _timed(wires, device, "adjoint")
    shift, _ = _timed(wires, device, "parameter-shift")
    print(f"\n{wires} qubits, {slopes.size} parameters, tolerance {tolerance:g} (CPU seconds)")
    print(f"  adjoint {adjoint:.2f}; parameter-shift {shift:.2f}, {shift / adjoint:.0f}x")
    if mixed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # casts of complex values, as autograd makes them
            exact, truth = _timed(wires, qml.device("default.mixed", wires=wires), "backprop")
        error = float(np.abs(slopes - truth).max())
        print(f"  default.mixed, backpropagation {exact:.2f}, {exact / adjoint:.0f}x; largest error {error:.1e}")
        assert error < 2 * (wires - 1) * device.last_bound  # the bound times the spread of the observable's eigenvalues
    assert shift > 10 * adjoint
