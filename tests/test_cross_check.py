"""Random circuits over the whole gate vocabulary: every backend must give the same state."""

from __future__ import annotations

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import Backend, Precision, RunContext, RunRequest
from proxima_sdk import circuits

CIRCUITS = 1000
BATCH = 100
TOLERANCE = {"single": 1e-6, "double": 1e-10}


@pytest.mark.parametrize("first", range(0, CIRCUITS, BATCH))
def test_statevectors_of_all_backends_agree(px: proxima.Kernel, first: int) -> None:
    offered = {c.name: c.data["capabilities"] for c in px.contributions("backends")}
    backends = {name: px.get("backends", name) for name in ("cirq", "qiskit-aer", "qsim")}
    for seed in range(first, first + BATCH):
        size = 1 + seed % 6
        circuit = circuits.random(size, 4 + seed % 17, seed=seed, measure=False)
        exact = _state(backends["qiskit-aer"], circuit, "double")
        for name, backend in backends.items():
            for precision in offered[name]["precisions"]:
                state = _state(backend, circuit, precision)
                overlap = np.vdot(exact, state)
                assert abs(abs(overlap) - 1) < 2 * TOLERANCE[precision], (seed, name, precision)
                error = np.abs(state - overlap / abs(overlap) * exact).max()
                assert error < TOLERANCE[precision], (seed, name, precision, error)


def _state(backend: Backend, circuit: proxima.Circuit, precision: Precision) -> np.ndarray:
    request = RunRequest(circuit=circuit, shots=None, precision=precision, wants=("statevector",))
    state = backend.run(backend.plan(request), RunContext()).statevector
    assert state is not None
    assert state.dtype == (np.complex64 if precision == "single" else np.complex128)
    return state
