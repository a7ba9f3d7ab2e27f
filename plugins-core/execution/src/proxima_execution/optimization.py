"""Optional passes over a circuit: cancelling gates, and fusing neighbours into matrices.

Neither crosses noise, a measurement, a reset, a barrier or a conditioned operation on the qubits it touches, and both
leave the circuit equal to what it was up to a global phase, which a circuit does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.matrices import Matrix, unitary
from proxima.contracts.operations import GATES, OPERATIONS, Op

_ROUNDING = 1e-12  # of a sum of a few angles of order one

_INVERSES: dict[int, int] = {
    op: op for op in (Op.X, Op.Y, Op.Z, Op.H, Op.CX, Op.CY, Op.CZ, Op.CH, Op.SWAP, Op.ECR, Op.CCX, Op.CCZ, Op.CSWAP)
}
for _a, _b in ((Op.S, Op.SDG), (Op.T, Op.TDG), (Op.SX, Op.SXDG)):
    _INVERSES |= {_a: _b, _b: _a}

_TURNS: dict[int, float] = {
    **dict.fromkeys((Op.RX, Op.RY, Op.RZ, Op.P, Op.CP, Op.RXX, Op.RYY, Op.RZZ, Op.RZX), 2 * math.pi),
    **dict.fromkeys((Op.CRX, Op.CRY, Op.CRZ), 4 * math.pi),
}
"""Gates of one angle that add up, with the angle that is the identity up to a global phase."""

_SYMMETRIC = {op: slice(0, 3) for op in (Op.CZ, Op.CP, Op.SWAP, Op.ISWAP, Op.RXX, Op.RYY, Op.RZZ, Op.CCZ)} | {
    Op.CCX: slice(0, 2),
    Op.CSWAP: slice(1, 3),
}
"""Which of a gate's qubits may be exchanged."""


def cancel(circuit: Circuit) -> Circuit:
    """The circuit without pairs of inverse gates and identities, and with successive rotations about an axis merged.

    What acts on other qubits may stand between. A gate with an open parameter is left as it is.
    """
    c = circuit.columns
    keep = np.ones(len(circuit), dtype=np.bool_)
    angles = c.params.copy()
    p_off, refs = c.param_offsets.tolist(), c.param_refs.tolist()
    conditions = c.conditions.tolist()
    before: list[list[int]] = [[] for _ in range(circuit.num_qubits)]  # rows that stand, by qubit, the last one last
    places: dict[int, tuple[int, ...]] = {}
    codes = c.ops.tolist()

    def drop(row: int, qubits: Sequence[int]) -> None:
        keep[row] = False
        for qubit in qubits:
            before[qubit].pop()

    for row, (code, qubits, _) in enumerate(circuit.rows()):
        last = before[qubits[0]][-1] if qubits and before[qubits[0]] else -1
        place = places[row] = _place(code, qubits)
        for qubit in qubits:
            before[qubit].append(row)
        if conditions[row] >= 0 or code not in GATES or any(ref >= 0 for ref in refs[p_off[row] : p_off[row + 1]]):
            continue
        at = p_off[row]
        if code == Op.ID or (code in _TURNS and _is_identity(code, angles[at])):
            drop(row, qubits)
            continue
        if last < 0 or places[last] != place or conditions[last] >= 0:
            continue
        if any(len(before[qubit]) < 2 or before[qubit][-2] != last for qubit in qubits):
            continue
        if _INVERSES.get(code) == codes[last]:
            drop(row, qubits)
            drop(last, qubits)
        elif code in _TURNS and codes[last] == code and refs[p_off[last]] < 0:
            drop(row, qubits)
            angles[p_off[last]] += angles[at]
            if _is_identity(code, angles[p_off[last]]):
                drop(last, qubits)
    if keep.all():
        return circuit
    return replace(circuit, columns=c._replace(params=angles)).select(keep)


def _place(code: int, qubits: Sequence[int]) -> tuple[int, ...]:
    """The qubits, those that may be exchanged in order."""
    free = _SYMMETRIC.get(Op(code)) if len(qubits) > 1 else None
    if free is None:
        return tuple(qubits)
    return (*qubits[: free.start], *sorted(qubits[free]), *qubits[free.stop :])


def _is_identity(code: int, angle: float) -> bool:
    turn = _TURNS[code]
    return abs(angle - turn * round(angle / turn)) <= _ROUNDING


@dataclass(slots=True)
class _Block:
    """Neighbouring gates on one or two qubits, with their matrices."""

    qubits: tuple[int, ...]
    gates: list[tuple[Instruction, Matrix]]

    def fused(self) -> list[Instruction]:
        """The gates as one matrix, where that saves an engine work.

        A single two-qubit gate stays what it is, for engines have faster ways for a named one than for a matrix; what
        is on either qubit before and after it becomes one matrix each.
        """
        if sum(len(gate.qubits) == 2 for gate, _ in self.gates) != 1:
            return _joined(self.gates, self.qubits)
        out: list[Instruction] = []
        runs: dict[int, list[tuple[Instruction, Matrix]]] = {qubit: [] for qubit in self.qubits}
        for gate, matrix in self.gates:
            if len(gate.qubits) == 1:
                runs[gate.qubits[0]].append((gate, matrix))
                continue
            for qubit in self.qubits:
                out += _joined(runs[qubit], (qubit,))
                runs[qubit] = []
            out.append(gate)
        for qubit in self.qubits:
            out += _joined(runs[qubit], (qubit,))
        return out


def _joined(gates: Sequence[tuple[Instruction, Matrix]], qubits: tuple[int, ...]) -> list[Instruction]:
    """The gates as one matrix on the qubits; a single one as it is."""
    if len(gates) < 2:
        return [gate for gate, _ in gates]
    product: Matrix = np.eye(2 ** len(qubits), dtype=np.complex128)
    for gate, matrix in gates:
        product = _placed(matrix, gate.qubits, qubits) @ product
    return [Instruction(Op.UNITARY, qubits, matrices=(product,))]


def _placed(matrix: Matrix, qubits: tuple[int, ...], among: tuple[int, ...]) -> Matrix:
    if qubits == among:
        return matrix
    if len(qubits) == 2:  # the other way round
        return matrix.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    wide = np.zeros((2, 2, 2, 2), dtype=np.complex128)
    for other in (0, 1):
        if qubits[0] == among[0]:
            wide[other, :, other, :] = matrix
        else:
            wide[:, other, :, other] = matrix
    return wide.reshape(4, 4)


def fuse(circuit: Circuit) -> Circuit:
    """The circuit with neighbouring gates on the same one or two qubits as one matrix.

    A gate with no neighbour stays as it is. A Clifford circuit stays as it is, so that a stabiliser method can run it,
    and so does one with open parameters.
    """
    ops = {Op(code) for code in np.unique(circuit.columns.ops).tolist()}
    if circuit.parameters or all(OPERATIONS[op].clifford for op in ops):
        return circuit
    out: list[Instruction] = []
    open_: dict[int, _Block] = {}

    def close(qubits: Sequence[int]) -> None:
        for qubit in qubits:
            block = open_.get(qubit)
            if block is not None:
                out.extend(block.fused())
                for each in block.qubits:
                    del open_[each]

    for instruction in circuit:
        op, qubits = instruction.op, instruction.qubits
        if op not in GATES or instruction.condition is not None or len(qubits) > 2:
            close(qubits)
            out.append(instruction)
            continue
        block = open_.get(qubits[0])
        if block is None or not set(qubits) <= set(block.qubits):
            before = []
            for qubit in qubits:
                found = open_.get(qubit)
                if found is not None and len(found.qubits) == 1:
                    before += found.gates
                    del open_[qubit]
            close(qubits)
            block = _Block(qubits, before)
            open_.update(dict.fromkeys(qubits, block))
        block.gates.append((instruction, _matrix_of(instruction)))
    close(range(circuit.num_qubits))
    return circuit if len(out) == len(circuit) else _rebuilt(circuit, out)


def _matrix_of(gate: Instruction) -> Matrix:
    return gate.matrices[0] if gate.matrices else unitary(gate.op, [float(p) for p in gate.params])  # type: ignore[arg-type]


def _rebuilt(circuit: Circuit, instructions: Sequence[Instruction]) -> Circuit:
    builder = Circuit.builder(name=circuit.name)
    for register in circuit.qregs:
        builder.add_qubits(register.name, register.size)
    for register in circuit.cregs:
        builder.add_clbits(register.name, register.size)
    for op, qubits, params, clbit, condition, matrices in instructions:
        builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
    made = builder.build()
    object.__setattr__(made, "metadata", circuit.metadata)  # nothing that is checked, so nothing is checked again
    return made
