"""A dynamic circuit as one channel: exact states without sampling, by deferring its measurements.

Each classical bit that a condition reads becomes a qubit behind the circuit's own, always diagonal; a conditional
operation is controlled by one more qubit that holds whether its condition does. Tracing these qubits out of the final
density matrix averages over all outcomes. Source: Nielsen and Chuang, section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima_backend_qiskit_aer.translate import Matrix, gate_matrix, kraus_matrices

_TO_ZERO = (np.array([[1, 0], [0, 0]], np.complex128), np.array([[0, 1], [0, 0]], np.complex128))
_DEPHASE = (np.diag([1, 0]).astype(np.complex128), np.diag([0, 1]).astype(np.complex128))


@dataclass(frozen=True, slots=True)
class Step:
    """One gate, unitary or channel.

    Attributes:
        op: A gate or channel with a fixed definition, `Op.UNITARY` or `Op.KRAUS`.
        matrices: For the latter two.
    """

    op: int
    qubits: list[int]
    params: tuple[float, ...] = ()
    matrices: tuple[Matrix, ...] = ()

    @property
    def is_channel(self) -> bool:
        """Whether it is given by Kraus operators."""
        return self.op in CHANNELS

    @property
    def all_matrices(self) -> tuple[Matrix, ...]:
        """The unitary, or the Kraus operators."""
        if self.matrices:
            return self.matrices
        return kraus_matrices(self.op, self.params) if self.is_channel else (gate_matrix(self.op, self.params),)


def extra_qubits(circuit: Circuit) -> int:
    """How many qubits the deferral adds."""
    read = {bit for condition in circuit.conditions for bit in condition.clbits}
    return len(read) + 1 if circuit.conditions else 0


def steps(circuit: Circuit) -> list[Step]:
    """The operations of a circuit as gates, unitaries and channels on its qubits and those behind them."""
    read = sorted({bit for condition in circuit.conditions for bit in condition.clbits})
    place = {bit: circuit.num_qubits + i for i, bit in enumerate(read)}
    flag = circuit.num_qubits + len(read)
    c = circuit.columns
    out: list[Step] = []
    for row, (op, qubits, params) in enumerate(circuit.rows()):
        if op in (Op.BARRIER, Op.ID):
            continue
        matrices = circuit.payloads[c.payloads[row]] if c.payloads[row] >= 0 else ()
        step = _step(op, qubits, tuple(params), matrices, place.get(int(c.clbits[row])))
        if c.conditions[row] < 0:
            out.append(step)
        else:
            condition = circuit.conditions[c.conditions[row]]
            where = [place[bit] for bit in condition.clbits]
            out.append(Step(Op.KRAUS, [flag], (), _TO_ZERO))
            out.append(Step(Op.UNITARY, [*where, flag], (), (_flag_matrix(condition),)))
            out.append(_controlled(step, flag))
    return out


def _step(op: int, qubits: list[int], params: tuple[float, ...], matrices: tuple[Matrix, ...], bit: int | None) -> Step:
    if op in GATES or op in CHANNELS:
        return Step(op, qubits, params, matrices)
    if op == Op.RESET:
        return Step(Op.KRAUS, qubits, (), _TO_ZERO)
    if bit is None:
        return Step(Op.KRAUS, qubits, (), _DEPHASE)
    # Outcome b on the qubit, the bit's old value o forgotten: |b><b| on the first listed, |b><o| on the second.
    outcomes = tuple(_kron(_unit(b, o), _unit(b, b)) for b in (0, 1) for o in (0, 1))
    return Step(Op.KRAUS, [qubits[0], bit], (), outcomes)


def _kron(late: Matrix, early: Matrix) -> Matrix:
    """The product matrix: ``early`` acts on the qubits listed first."""
    return np.kron(late, early).astype(np.complex128, copy=False)


def _unit(row: int, column: int) -> Matrix:
    matrix = np.zeros((2, 2), np.complex128)
    matrix[row, column] = 1
    return matrix


def _flag_matrix(condition: Condition) -> Matrix:
    """Flips the last listed qubit where the condition on the others holds."""
    size = 1 << len(condition.clbits)
    values = np.arange(size)
    holds = (values == condition.value) != condition.negated
    matrix: npt.NDArray[np.complex128] = np.zeros((2 * size, 2 * size), np.complex128)
    for flag in (0, 1):
        matrix[values + size * (flag ^ holds), values + size * flag] = 1
    return matrix


def _controlled(step: Step, flag: int) -> Step:
    """The step where the flag is 1."""
    one, zero = _DEPHASE[1], _DEPHASE[0]
    parts = step.all_matrices
    identity = _kron(zero, np.eye(len(parts[0]), dtype=np.complex128))
    if not step.is_channel:
        return Step(Op.UNITARY, [*step.qubits, flag], (), (identity + _kron(one, parts[0]),))
    return Step(Op.KRAUS, [*step.qubits, flag], (), (identity, *(_kron(one, k) for k in parts)))
