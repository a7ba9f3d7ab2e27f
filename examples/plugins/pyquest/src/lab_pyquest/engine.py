"""pyquest in Proxima's conventions. Its qubit 0 is the least significant bit of the index, as here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pyquest import Register
from pyquest.operators import MatrixOperator
from pyquest.unitaries import X, Y, Z

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.matrices import unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op

SHOTS_AT_ONCE = 1 << 20
PAULIS = {"X": X, "Y": Y, "Z": Z}


def gates_of(circuit: Circuit) -> list[MatrixOperator]:
    """Every gate before the final measurements, with its matrix."""
    gates = []
    for instruction in circuit.without_final_measurements():
        if instruction.op is not Op.BARRIER:
            angles = [float(p) for p in instruction.params if isinstance(p, int | float)]
            given = instruction.op is Op.UNITARY
            matrix = instruction.matrices[0] if given else unitary(instruction.op, angles)
            gates.append(MatrixOperator(list(instruction.qubits), matrix.copy()))  # pyquest takes no read-only array
    return gates


def evolve(num_qubits: int, gates: Iterable[MatrixOperator], context: RunContext) -> Register:
    """The state after the gates, from |0...0>."""
    context.check()
    register = Register(num_qubits)
    for gate in gates:
        context.check()
        register.apply_operator(gate)
    return register


def sample(
    state: npt.NDArray[np.complex128], circuit: Circuit, shots: int, seed: int, context: RunContext
) -> npt.NDArray[np.uint8]:
    """What the final measurements give: shape (shots, number of classical bits), column j for classical bit j."""
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(abs(state) ** 2)
    below = np.nextafter(cumulative[-1], 0.0)  # so that rounding picks no state beyond the last
    out = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
    for first in range(0, shots, SHOTS_AT_ONCE):
        context.check()
        drawn = rng.random(min(SHOTS_AT_ONCE, shots - first)) * cumulative[-1]
        index = np.searchsorted(cumulative, np.minimum(drawn, below), side="right")
        for qubit, clbit in circuit.final_measurements:
            out[first : first + len(index), clbit] = index >> qubit & 1
    return out


def expectation(register: Register, observable: PauliSum) -> float:
    """The exact expectation value of a sum of Pauli strings, whose leftmost letter acts on the highest qubit."""
    total = 0.0
    for coefficient, letters in observable.terms:
        moved = register.copy()
        for qubit, letter in enumerate(reversed(letters)):
            if letter != "I":
                moved.apply_operator(PAULIS[letter](qubit))
        total += coefficient * register.inner_product(moved).real
    return total
