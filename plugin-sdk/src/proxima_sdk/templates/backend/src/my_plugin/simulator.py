"""The engine: a state of n qubits as a vector of shape (2^n,), qubit 0 the least significant bit of the index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.matrices import PAULIS, unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op

Array = npt.NDArray[np.complex128]
Gate = tuple[Array, Sequence[int]]

SHOTS_AT_ONCE = 1 << 20


def gates_of(circuit: Circuit) -> list[Gate]:
    """Every gate before the final measurements, with its matrix."""
    gates: list[Gate] = []
    for instruction in circuit.without_final_measurements():
        if instruction.op is Op.UNITARY:
            gates.append((instruction.matrices[0], instruction.qubits))
        elif instruction.op is not Op.BARRIER:
            angles = [float(p) for p in instruction.params if isinstance(p, int | float)]
            gates.append((unitary(instruction.op, angles), instruction.qubits))
    return gates


def evolve(num_qubits: int, gates: Iterable[Gate], context: RunContext) -> Array:
    """The state after the gates, from |0...0>."""
    state = np.zeros(2**num_qubits, dtype=np.complex128)
    state[0] = 1
    context.check()
    for matrix, qubits in gates:
        context.check()
        state = apply(matrix, qubits, state)
    return state


def apply(matrix: Array, qubits: Sequence[int], state: Array) -> Array:
    """A matrix of shape (2^k, 2^k) on k qubits, the first of them the least significant bit of its index."""
    n, k = len(state).bit_length() - 1, len(qubits)
    axes = [n - 1 - qubit for qubit in reversed(qubits)]  # axis 0 of the tensor is the highest qubit
    tensor = np.tensordot(matrix.reshape((2,) * 2 * k), state.reshape((2,) * n), (range(k, 2 * k), axes))
    return np.ascontiguousarray(np.moveaxis(tensor, range(k), axes)).reshape(-1)


def sample(state: Array, circuit: Circuit, shots: int, seed: int, context: RunContext) -> npt.NDArray[np.uint8]:
    """What the final measurements give: shape (shots, number of classical bits), column j for classical bit j."""
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(probabilities(state))
    below = np.nextafter(cumulative[-1], 0.0)  # so that rounding picks no state beyond the last
    out = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
    for first in range(0, shots, SHOTS_AT_ONCE):
        context.check()
        drawn = rng.random(min(SHOTS_AT_ONCE, shots - first)) * cumulative[-1]
        index = np.searchsorted(cumulative, np.minimum(drawn, below), side="right")
        for qubit, clbit in circuit.final_measurements:
            out[first : first + len(index), clbit] = index >> qubit & 1
    return out


def probabilities(state: Array) -> npt.NDArray[np.float64]:
    """Of every basis state: shape (2^n,)."""
    return np.asarray(np.abs(state) ** 2, dtype=np.float64)


def expectation(state: Array, observable: PauliSum) -> float:
    """The exact expectation value of a sum of Pauli strings, whose leftmost letter acts on the highest qubit."""
    total = 0.0
    for coefficient, letters in observable.terms:
        moved = state
        for qubit, letter in enumerate(reversed(letters)):
            if letter != "I":
                moved = apply(PAULIS[letter], [qubit], moved)
        total += coefficient * float(np.vdot(state, moved).real)
    return total
