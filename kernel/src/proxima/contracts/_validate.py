"""Checks that a circuit's columns describe a circuit: vectorised, because a circuit may come from anywhere."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from proxima.contracts.lazy_numpy import np
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.errors import CircuitError

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

TOLERANCE = 1e-8
"""How far a given matrix may be from unitary, or a channel from trace preserving, in the largest matrix element."""

MAX_MATRIX_QUBITS = 12
MAX_BITS = 2**24
"""Qubits or classical bits of a circuit: what walks over them needs memory for each."""


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By operation code: how many qubits and parameters it has, -1 for none, and whether those are probabilities."""
    arities, params = np.full((2, 256), -1, dtype=np.int32)
    for op, spec in OPERATIONS.items():
        arities[op], params[op] = spec.num_qubits, len(spec.params)
    return arities, params, np.isin(np.arange(256), sorted(CHANNELS))


def validate_columns(circuit: Circuit) -> None:
    """Raises `CircuitError` naming the first row that is wrong."""
    c, rows = circuit.columns, len(circuit.columns.ops)
    for kind, registers, total in (
        ("quantum", circuit.qregs, circuit.num_qubits),
        ("classical", circuit.cregs, circuit.num_clbits),
    ):
        if not 0 <= total <= MAX_BITS:
            raise CircuitError(f"a circuit cannot have {total} {kind} bits; from 0 to {MAX_BITS} are possible")
        if sum(r.size for r in registers) != total or any(r.size < 0 for r in registers):
            raise CircuitError(f"the {kind} registers hold {sum(r.size for r in registers)} bits, not {total}")
    for name, offsets, values in (("qubit", c.qubit_offsets, c.qubits), ("parameter", c.param_offsets, c.params)):
        if len(offsets) != rows + 1 or offsets[0] or offsets[-1] != len(values) or _falls(offsets):
            raise CircuitError(f"the {name} offsets are inconsistent")
    if not len(c.clbits) == len(c.conditions) == len(c.payloads) == rows or len(c.param_refs) != len(c.params):
        raise CircuitError("the columns differ in length")
    if not rows:
        return
    arities, params, _ = _tables()
    arity, num_qubits, num_params = arities[c.ops], np.diff(c.qubit_offsets), np.diff(c.param_offsets)
    _refuse(circuit, arity < 0, "unknown operation code")
    _refuse(circuit, (arity != 0) & (arity != num_qubits), "wrong number of qubits")
    _refuse(circuit, params[c.ops] != num_params, "wrong number of parameters")
    _check_qubits(circuit, np.repeat(np.arange(rows), num_qubits))
    if len(c.params):
        _check_params(circuit, np.repeat(np.arange(rows), num_params))
    measures = c.ops == Op.MEASURE
    _refuse(circuit, measures & ((c.clbits < 0) | (c.clbits >= circuit.num_clbits)), "classical bit out of range")
    _refuse(circuit, ~measures & (c.clbits != -1), "only a measurement writes a classical bit")
    _refuse(circuit, (c.conditions < -1) | (c.conditions >= len(circuit.conditions)), "unknown condition")
    for condition in circuit.conditions:
        for bit in condition.clbits:
            if not 0 <= bit < circuit.num_clbits:
                raise CircuitError(f"a condition reads classical bit {bit}; there are {circuit.num_clbits}")
    _check_matrices(circuit)


def _falls(offsets: np.ndarray) -> bool:
    return bool((offsets[1:] < offsets[:-1]).any())  # a difference of two int32 may wrap


def _check_qubits(circuit: Circuit, rows: np.ndarray) -> None:
    qubits, total = circuit.columns.qubits, max(circuit.num_qubits, 1)
    bad = (qubits < 0) | (qubits >= circuit.num_qubits)
    if bad.any():
        at = int(np.argmax(bad))
        where = _where(circuit, int(rows[at]))
        raise CircuitError(f"{where}: qubit {int(qubits[at])} is out of range; the circuit has {circuit.num_qubits}")
    ordered = np.sort(rows * total + qubits)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        row, qubit = divmod(int(ordered[int(np.argmax(twice))]), total)
        raise CircuitError(f"{_where(circuit, row)}: qubit {qubit} is used twice in one operation")


def _check_params(circuit: Circuit, rows: np.ndarray) -> None:
    c = circuit.columns
    _refuse_rows(circuit, rows[~np.isfinite(c.params)], "a parameter is not a finite number")
    _, _, probability = _tables()
    outside = probability[c.ops[rows]] & (c.param_refs < 0) & ((c.params < 0) | (c.params > 1))
    _refuse_rows(circuit, rows[outside], "a probability lies outside [0, 1]")
    pauli = np.flatnonzero(c.ops == Op.PAULI_CHANNEL)
    fixed = np.where(c.param_refs < 0, c.params, 0.0)
    totals = np.array([fixed[c.param_offsets[i] : c.param_offsets[i + 1]].sum() for i in pauli])
    _refuse_rows(circuit, pauli[totals > 1 + TOLERANCE], "the probabilities sum to more than 1")
    unknown = (c.param_refs < -1) | (c.param_refs >= len(circuit.parameters))
    _refuse_rows(circuit, rows[unknown], "unknown parameter")


def _check_matrices(circuit: Circuit) -> None:
    c = circuit.columns
    carries = (c.ops == Op.UNITARY) | (c.ops == Op.KRAUS)
    _refuse(circuit, carries & ((c.payloads < 0) | (c.payloads >= len(circuit.payloads))), "the matrix is missing")
    _refuse(circuit, ~carries & (c.payloads != -1), "the operation takes no matrix")
    checked: set[tuple[int, int]] = set()  # a hostile circuit may share one large matrix among a million rows
    for row in np.flatnonzero(carries).tolist():
        where, matrices = _where(circuit, row), circuit.payloads[int(c.payloads[row])]
        qubits = int(c.qubit_offsets[row + 1] - c.qubit_offsets[row])
        if not 1 <= qubits <= MAX_MATRIX_QUBITS:
            raise CircuitError(f"{where}: a matrix acts on 1 to {MAX_MATRIX_QUBITS} qubits, not {qubits}")
        size = 2**qubits
        if any(m.shape != (size, size) for m in matrices):
            raise CircuitError(f"{where}: a matrix on {qubits} qubits has shape ({size}, {size})")
        if not matrices or (c.ops[row] == Op.UNITARY and len(matrices) != 1):
            raise CircuitError(f"{where}: takes one matrix, or Kraus operators")
        if (matter := (int(c.payloads[row]), int(c.ops[row]))) in checked:
            continue
        checked.add(matter)
        with np.errstate(all="ignore"):  # what is infinite or no number ends as an error that is no number
            error = float(np.abs(sum(m.conj().T @ m for m in matrices) - np.eye(size)).max())
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
    return f"operation {row} ({OPERATIONS[Op(code)].name if code in Op._value2member_map_ else f'code {code}'})"
