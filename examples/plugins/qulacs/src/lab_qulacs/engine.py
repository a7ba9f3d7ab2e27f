"""qulacs in Proxima's conventions. Its qubit 0 is the least significant bit of the index, as here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import qulacs
from qulacs import gate

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.matrices import unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op

SHOTS_AT_ONCE = 1 << 20
SIGN = -1  # qulacs's RX, RY and RZ are exp(+i theta P / 2)

PLAIN = {
    Op.ID: gate.Identity,
    Op.X: gate.X,
    Op.Y: gate.Y,
    Op.Z: gate.Z,
    Op.H: gate.H,
    Op.S: gate.S,
    Op.SDG: gate.Sdag,
    Op.T: gate.T,
    Op.TDG: gate.Tdag,
    Op.SX: gate.sqrtX,
    Op.SXDG: gate.sqrtXdag,
    Op.CX: gate.CNOT,
    Op.CZ: gate.CZ,
    Op.SWAP: gate.SWAP,
}
TURNING = {Op.RX: gate.RX, Op.RY: gate.RY, Op.RZ: gate.RZ}
ANGLED = {Op.P: gate.U1, Op.U: gate.U3}


def gates_of(circuit: Circuit) -> list[qulacs.QuantumGateBase]:
    """Every gate before the final measurements; those that qulacs has no name for as matrices."""
    return [gate_of(each) for each in circuit.without_final_measurements() if each.op is not Op.BARRIER]


def gate_of(instruction: Instruction) -> qulacs.QuantumGateBase:
    """The instruction's gate."""
    op, qubits = instruction.op, instruction.qubits
    angles = [float(p) for p in instruction.params if isinstance(p, int | float)]
    if op in PLAIN:
        return PLAIN[op](*qubits)
    if op in TURNING:
        return TURNING[op](*qubits, SIGN * angles[0])
    if op in ANGLED:
        return ANGLED[op](*qubits, *angles)
    matrix = instruction.matrices[0] if op is Op.UNITARY else unitary(op, angles)
    return gate.DenseMatrix(list(qubits), matrix)


def evolve(num_qubits: int, gates: Iterable[qulacs.QuantumGateBase], context: RunContext) -> qulacs.QuantumState:
    """The state after the gates, from |0...0>."""
    context.check()
    state = qulacs.QuantumState(num_qubits)
    for each in gates:
        context.check()
        each.update_quantum_state(state)
    return state


def sample(
    state: qulacs.QuantumState, circuit: Circuit, shots: int, seed: int, context: RunContext
) -> npt.NDArray[np.uint8]:
    """What the final measurements give: shape (shots, number of classical bits), column j for classical bit j."""
    seeds = np.random.default_rng(seed)  # qulacs takes 31 bits of a seed
    out = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
    for first in range(0, shots, SHOTS_AT_ONCE):
        context.check()
        drawn = state.sampling(min(SHOTS_AT_ONCE, shots - first), int(seeds.integers(1 << 31)))
        index = np.array(drawn, dtype=np.int64)
        for qubit, clbit in circuit.final_measurements:
            out[first : first + len(index), clbit] = index >> qubit & 1
    return out


def expectation(state: qulacs.QuantumState, observable: PauliSum) -> float:
    """The exact expectation value of a sum of Pauli strings, whose leftmost letter acts on the highest qubit."""
    translated = qulacs.Observable(state.get_qubit_count())
    for coefficient, letters in observable.terms:
        named = [f"{letter} {qubit}" for qubit, letter in enumerate(reversed(letters)) if letter != "I"]
        translated.add_operator(coefficient, " ".join(named))
    return float(translated.get_expectation_value(state))
