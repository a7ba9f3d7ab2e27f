"""Checks that a circuit's columns describe a circuit: vectorised, because a circuit may come from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import CircuitError

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

_MAX_CODE = 256
_ARITY = np.full(_MAX_CODE, -1, dtype=np.int32)
_NUM_PARAMS = np.full(_MAX_CODE, -1, dtype=np.int32)
_PROBABILITY = np.zeros(_MAX_CODE, dtype=np.bool_)
for _op, _spec in OPERATIONS.items():
    _ARITY[_op] = _spec.num_qubits
    _NUM_PARAMS[_op] = len(_spec.params)
    _PROBABILITY[_op] = _spec.kind == "channel"

TOLERANCE = 1e-8
"""How far a given matrix may be from unitary, or a channel from trace preserving, in the largest matrix element."""

MAX_MATRIX_QUBITS = 12


def validate_columns(circuit: Circuit) -> None:
    """Raises `CircuitError` naming the first row that is wrong."""
    c, rows = circuit.columns, len(circuit.columns.ops)
    if circuit.num_qubits < 0 or circuit.num_clbits < 0:
        raise CircuitError("a circuit cannot have a negative number of bits")
    for kind, registers, total in (
        ("quantum", circuit.qregs, circuit.num_qubits),
        ("classical", circuit.cregs, circuit.num_clbits),
    ):
        if sum(r.size for r in registers) != total or any(r.size < 0 for r in registers):
            raise CircuitError(f"the {kind} registers hold {sum(r.size for r in registers)} bits, not {total}")
    _check_offsets("qubit", c.qubit_offsets, len(c.qubits), rows)
    _check_offsets("parameter", c.param_offsets, len(c.params), rows)
    if any(len(column) != rows for column in (c.clbits, c.conditions, c.payloads)) or len(c.param_refs) != len(
        c.params
    ):
        raise CircuitError("the columns differ in length")
    if not rows:
        return
    arity, count = _ARITY[c.ops], np.diff(c.qubit_offsets)
    _refuse(circuit, arity < 0, "unknown operation code")
    _refuse(circuit, (arity != 0) & (arity != count), "wrong number of qubits")
    _refuse(circuit, _NUM_PARAMS[c.ops] != np.diff(c.param_offsets), "wrong number of parameters")
    row_of_qubit = np.repeat(np.arange(rows), count)
    bad = (c.qubits < 0) | (c.qubits >= circuit.num_qubits)
    if bad.any():
        at = int(np.argmax(bad))
        raise CircuitError(
            f"{_where(circuit, int(row_of_qubit[at]))}: qubit {int(c.qubits[at])} is out of range; "
            f"the circuit has {circuit.num_qubits}"
        )
    key = row_of_qubit * max(circuit.num_qubits, 1) + c.qubits
    ordered = np.sort(key)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        row, qubit = divmod(int(ordered[int(np.argmax(twice))]), max(circuit.num_qubits, 1))
        raise CircuitError(f"{_where(circuit, row)}: qubit {qubit} is used twice in one operation")
    row_of_param = np.repeat(np.arange(rows), np.diff(c.param_offsets))
    _refuse_rows(circuit, row_of_param[~np.isfinite(c.params)], "a parameter is not a finite number")
    fixed = _PROBABILITY[c.ops[row_of_param]] & (c.param_refs < 0)
    outside = fixed & ((c.params < 0) | (c.params > 1))
    _refuse_rows(circuit, row_of_param[outside], "a probability lies outside [0, 1]")
    pauli = np.flatnonzero(c.ops == Op.PAULI_CHANNEL)
    totals = np.array([c.params[c.param_offsets[i] : c.param_offsets[i + 1]].sum() for i in pauli])
    _refuse_rows(circuit, pauli[totals > 1 + TOLERANCE], "the probabilities sum to more than 1")
    _refuse_rows(
        circuit, row_of_param[(c.param_refs < -1) | (c.param_refs >= len(circuit.parameters))], "unknown parameter"
    )
    measures = c.ops == Op.MEASURE
    _refuse(circuit, measures & ((c.clbits < 0) | (c.clbits >= circuit.num_clbits)), "classical bit out of range")
    _refuse(circuit, ~measures & (c.clbits != -1), "only a measurement writes a classical bit")
    _refuse(circuit, (c.conditions < -1) | (c.conditions >= len(circuit.conditions)), "unknown condition")
    for condition in circuit.conditions:
        if any(not 0 <= bit < circuit.num_clbits for bit in condition.clbits):
            raise CircuitError(
                f"a condition reads classical bit {max(condition.clbits)}; there are {circuit.num_clbits}"
            )
    _check_payloads(circuit)


def _check_offsets(name: str, offsets: np.ndarray, total: int, rows: int) -> None:
    if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets) < 0).any():
        raise CircuitError(f"the {name} offsets are inconsistent")


def _check_payloads(circuit: Circuit) -> None:
    c = circuit.columns
    carries = (c.ops == Op.UNITARY) | (c.ops == Op.KRAUS)
    _refuse(circuit, carries & ((c.payloads < 0) | (c.payloads >= len(circuit.payloads))), "the matrix is missing")
    _refuse(circuit, ~carries & (c.payloads != -1), "the operation takes no matrix")
    for row in np.flatnonzero(carries).tolist():
        where, matrices = _where(circuit, row), circuit.payloads[int(c.payloads[row])]
        qubits = int(c.qubit_offsets[row + 1] - c.qubit_offsets[row])
        if not 1 <= qubits <= MAX_MATRIX_QUBITS:
            raise CircuitError(f"{where}: a matrix acts on 1 to {MAX_MATRIX_QUBITS} qubits, not {qubits}")
        size = 2**qubits
        if any(m.shape != (size, size) for m in matrices):
            raise CircuitError(f"{where}: a matrix on {qubits} qubits has shape ({size}, {size})")
        if c.ops[row] == Op.UNITARY and len(matrices) != 1 or not matrices:
            raise CircuitError(f"{where}: takes one matrix, or Kraus operators")
        total = sum(m.conj().T @ m for m in matrices)
        error = float(np.abs(total - np.eye(size)).max())
        if not error <= TOLERANCE:
            what = "unitary" if c.ops[row] == Op.UNITARY else "trace preserving"
            raise CircuitError(f"{where}: not {what}; it is off by {error:.2g} in the largest element")


def _refuse(circuit: Circuit, bad: np.ndarray, why: str) -> None:
    _refuse_rows(circuit, np.flatnonzero(bad), why)


def _refuse_rows(circuit: Circuit, rows: np.ndarray, why: str) -> None:
    if len(rows):
        raise CircuitError(f"{_where(circuit, int(rows[0]))}: {why}")


def _where(circuit: Circuit, row: int) -> str:
    code = int(circuit.columns.ops[row])
    spec = OPERATIONS.get(Op(code)) if code in Op._value2member_map_ else None
    return f"operation {row} ({spec.name if spec else f'code {code}'})"
