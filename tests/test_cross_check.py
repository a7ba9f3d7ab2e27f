"""Random circuits over the whole vocabulary: every installed backend gives the reference's state, where it can.

The reference is the SDK's: matrices multiplied out in numpy, in double precision, by no engine. How many circuits there
are is `PROXIMA_CROSS_CHECK_CIRCUITS`: 2000 is a thorough check.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import Backend, Precision, RunContext, RunRequest, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima_sdk import circuits, reference

Backends = Sequence[tuple[str, Backend, Sequence[Precision]]]
CIRCUITS = int(os.environ.get("PROXIMA_CROSS_CHECK_CIRCUITS", "600"))
BATCH = 50
# The largest error of an element; rounding grows with the square root of some hundred operations.
TOLERANCE = {"single": 2e-6, "double": 1e-10}
CLIFFORDS = sorted(op for op in GATES if OPERATIONS[op].clifford)
TURNS = [op for op in (Op.RX, Op.RY, Op.RZ, Op.P, Op.U, Op.RXX, Op.RYY, Op.RZZ, Op.RZX) if op in GATES]
PAULI_NOISE = sorted(op for op in CHANNELS if OPERATIONS[op].clifford)


@pytest.fixture(scope="module")
def backends(px: proxima.Kernel) -> Backends:
    """Every installed backend that can run here, with the precisions it declares."""
    declared = {c.name: c.data["capabilities"]["precisions"] for c in px.contributions("backends")}
    made = [(name, px.get("backends", name), precisions) for name, precisions in declared.items()]
    here = [entry for entry in made if entry[1].probe().state == "available"]
    assert len(here) > 1
    return here


@pytest.mark.parametrize("first", range(0, max(CIRCUITS // 2, 1), BATCH))
def test_statevectors_of_all_backends_agree(backends: Backends, first: int) -> None:
    took_part = set()
    for seed in range(first, first + BATCH):
        size, depth = 1 + seed % 6, 4 + seed % 17
        circuit = _clifford(size, depth, seed, ()) if seed % 4 == 0 else None
        circuit = circuit or circuits.random(size, depth, seed=seed, measure=False)
        exact = reference.statevector(circuit)
        for name, precision, bound, state in _answers(backends, circuit, "statevector"):
            took_part.add(name)
            overlap = np.vdot(exact, state)
            assert abs(abs(overlap) - 1) < 2 * TOLERANCE[precision] + bound, (seed, name, precision)
            error = np.abs(state - overlap / abs(overlap) * exact).max()
            assert error < TOLERANCE[precision] + bound, (seed, name, precision, error)
    assert took_part == {name for name, *_ in backends}


@pytest.mark.parametrize("first", range(0, max(CIRCUITS // 2, 1), BATCH))
def test_density_matrices_of_all_backends_agree_under_noise(backends: Backends, first: int) -> None:
    took_part = set()
    for seed in range(first, first + BATCH):
        size, depth = 1 + seed % 4, 2 + seed % 5
        circuit = _clifford(size, depth, seed, PAULI_NOISE) if seed % 4 == 0 else None
        circuit = circuit or circuits.random(
            size, depth, seed=seed, operations=[*GATES, *CHANNELS, Op.DEPOLARIZING, Op.AMPLITUDE_DAMPING], measure=False
        )
        exact = reference.density_matrix(circuit)
        for name, precision, bound, state in _answers(backends, circuit, "density_matrix"):
            took_part.add(name)
            error = np.abs(state - exact).max()
            assert error < TOLERANCE[precision] + bound, (seed, name, precision, error)
    assert took_part == {name for name, *_ in backends}


def _answers(backends: Backends, circuit: Circuit, want: Want) -> list[tuple[str, Precision, float, np.ndarray]]:
    """The state by each backend that can, in each of its precisions, with the bound it gives where it truncates."""
    out = []
    for name, backend, precisions in backends:
        for precision in precisions:
            request = RunRequest(circuit=circuit, shots=None, precision=precision, wants=(want,))
            if not backend.estimate(request, features_of(circuit)).feasible:
                continue
            result = backend.run(backend.plan(request), RunContext())
            state = getattr(result, want)
            assert state is not None, name
            assert result.precision in (precision, "double"), name  # some have a method in one of theirs alone
            assert state.dtype == (np.complex64 if result.precision == "single" else np.complex128), name
            bound = 2 * result.error_bound.value if result.error_bound.kind == "trace_distance" else 0.0
            out.append((name, result.precision, bound, state))
    return out


def _clifford(num_qubits: int, depth: int, seed: int, noise: Sequence[Op]) -> Circuit:
    """A random Clifford circuit, some of whose gates are rotations by multiples of a right angle."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(num_qubits)
    drawn = circuits.random(num_qubits, depth, seed=seed, operations=[*CLIFFORDS, *TURNS, *noise], measure=False)
    for op, qubits, params, *_ in drawn:
        angles = (rng.integers(-3, 4, len(params)) * math.pi / 2).tolist()
        builder.append(op, qubits, params if op in CHANNELS else angles)
    return builder.build()
