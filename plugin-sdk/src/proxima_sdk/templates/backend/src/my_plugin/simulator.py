"""The engine: states of n qubits as an array of shape (states, 2^n), qubit 0 the least significant bit of the index.

A gate goes over all states at once: numpy takes as long to be called for one small state as for a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def evolve(num_qubits: int, circuits: Sequence[Sequence[Gate]], context: RunContext) -> Array:
    """The states after some circuits, whose gates differ in their matrices alone, from |0...0>: (circuits, 2^n)."""
    states = np.zeros((len(circuits), 2**num_qubits), dtype=np.complex128)
    states[:, 0] = 1
    context.check()
    for gates in zip(*circuits, strict=True):
        context.check()
        states = apply(np.stack([matrix for matrix, _ in gates]), gates[0][1], states)
    return states


def apply(matrices: Array, qubits: Sequence[int], states: Array) -> Array:
    """A matrix on k qubits for each state, or one for all, shape (states or 1, 2^k, 2^k).

    The first of the qubits is the least significant bit of a matrix's index.
    """
    n, k = states.shape[1].bit_length() - 1, len(qubits)
    axes = [n - qubit for qubit in reversed(qubits)]  # axis 0 is the state, axis 1 the highest qubit
    tensor = np.moveaxis(states.reshape(-1, *(2,) * n), axes, range(1, k + 1))
    moved = (matrices @ tensor.reshape(len(states), 2**k, -1)).reshape(tensor.shape)
    return np.ascontiguousarray(np.moveaxis(moved, range(1, k + 1), axes)).reshape(states.shape)


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
        moved = state[None]
        for qubit, letter in enumerate(reversed(letters)):
            if letter != "I":
                moved = apply(PAULIS[letter][None], [qubit], moved)
        total += coefficient * float(np.vdot(state, moved).real)
    return total
