"""Each row of a circuit as a Clifford gate or a Pauli channel, or the refusal that names the row."""

from __future__ import annotations

import numpy as np

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_backend_stim.recognise import MAX_CHANNEL_QUBITS, MAX_GATE_QUBITS, Kind, kind_of

_NO_KIND = (Op.MEASURE, Op.RESET, Op.BARRIER)


def kinds_of(circuit: Circuit) -> list[Kind | None]:
    """What each row is; ``None`` for measurements, resets and barriers.

    Raises:
        UnsupportedError: A row is no Clifford gate and no Pauli channel; the message names it.
    """
    c = circuit.columns
    plain = np.diff(c.param_offsets) == 0
    plain &= c.payloads < 0
    fixed: dict[int, Kind | None] = {}
    for code in np.unique(c.ops[plain]).tolist():
        fixed[code] = None if code in _NO_KIND else kind_of(Op(code), (), ())
        if fixed[code] is None and code not in _NO_KIND:
            raise _refusal(circuit, int(np.flatnonzero(c.ops == code)[0]))
    out = [fixed.get(op) for op in c.ops.tolist()]
    known: dict[object, Kind | None] = {}
    offsets, params, payloads = c.param_offsets.tolist(), c.params.tolist(), c.payloads.tolist()
    for row in np.flatnonzero(~plain).tolist():
        op, payload = Op(int(c.ops[row])), payloads[row]
        key = (op, payload, *params[offsets[row] : offsets[row + 1]])
        if key not in known:
            known[key] = kind_of(op, key[2:], circuit.payloads[payload] if payload >= 0 else ())
        if known[key] is None:
            raise _refusal(circuit, row)
        out[row] = known[key]
    return out


def _refusal(circuit: Circuit, row: int) -> UnsupportedError:
    c = circuit.columns
    op = Op(int(c.ops[row]))
    qubits = c.qubits[c.qubit_offsets[row] : c.qubit_offsets[row + 1]].tolist()
    angles = ", ".join(f"{v:g}" for v in c.params[c.param_offsets[row] : c.param_offsets[row + 1]].tolist())
    name = f"{OPERATIONS[op].name}({angles})" if angles else OPERATIONS[op].name
    where = f"operation {row}, {name} on qubit{'s'[: len(qubits) > 1]} {', '.join(map(str, qubits))},"
    if op in CHANNELS:
        if op is Op.KRAUS and len(qubits) > MAX_CHANNEL_QUBITS:
            why = f"is a channel on more than {MAX_CHANNEL_QUBITS} qubits"
        else:
            why = "is no mixture of Pauli operators"
            why += ", as the decay of T1 is not" if "damping" in name else ""
    elif op is Op.UNITARY and len(qubits) > MAX_GATE_QUBITS:
        why = f"is a matrix on more than {MAX_GATE_QUBITS} qubits"
    else:
        why = "is not a Clifford gate"
    return UnsupportedError(
        f"{where} {why}; stim simulates Clifford gates and Pauli noise alone",
        hint="use a backend that holds the whole state, such as qiskit-aer or qsim",
    )
