"""`Features`: what an estimate needs to know of a circuit, counted once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from proxima.contracts.circuit import Circuit
from proxima.contracts.lazy_numpy import np
from proxima.contracts.operations import OPERATIONS, Op, OpKind


@dataclass(frozen=True, slots=True)
class Features:
    """A circuit, counted.

    Attributes:
        ops: How often each operation occurs.
        num_gates: Unitary gates; ``gates_1q``, ``gates_2q`` and ``gates_many`` by the number of qubits they touch.
        diagonal_gates: Those among them that are diagonal.
        is_clifford: Every gate is a Clifford gate and every channel a Pauli channel.
        noise_sites: How many noise channels there are.
        noise_weight: Sum of their first parameters (probabilities), 0 for Kraus channels.
        is_dynamic: A condition, a reset or a measurement that is not final.
        bond_bits: Upper bound on log2 of the largest bond dimension of a matrix product state along the qubit order.
        bond_work: Sum over two-qubit gates of the cube of that bound's bond dimension at the gate, as log2.
    """

    num_qubits: int
    num_clbits: int
    num_operations: int
    num_gates: int
    gates_1q: int
    gates_2q: int
    gates_many: int
    diagonal_gates: int
    depth: int
    num_measurements: int
    is_clifford: bool
    noise_sites: int
    noise_weight: float
    is_dynamic: bool
    bond_bits: float
    bond_work: float
    ops: dict[Op, int]


def features_of(circuit: Circuit) -> Features:
    """What a circuit's features are; it is counted once, whoever asks."""
    counted = circuit.__dict__.get("_features")
    if not isinstance(counted, Features):
        counted = circuit.__dict__["_features"] = _count(circuit)
    return counted


class _Tables(NamedTuple):
    """By operation code.

    Attributes:
        bond_bits: How many bits of entanglement one application adds across a cut at most: log2 of its Schmidt rank.
    """

    clifford: np.ndarray
    channel: np.ndarray
    gate: np.ndarray
    diagonal: np.ndarray
    bond_bits: np.ndarray


@cache
def _tables() -> _Tables:
    clifford, channel, gate, diagonal = np.zeros((4, 256), dtype=np.bool_)
    bond_bits = np.full(256, 2.0)
    for op, spec in OPERATIONS.items():
        clifford[op] = spec.clifford
        channel[op] = spec.kind is OpKind.CHANNEL
        gate[op] = spec.kind is OpKind.GATE
        diagonal[op] = spec.diagonal
        if spec.num_qubits == 2 and (
            spec.diagonal or spec.name.startswith("c") or op in (Op.RXX, Op.RYY, Op.RZX, Op.ECR)
        ):
            bond_bits[op] = 1.0
    return _Tables(clifford, channel, gate, diagonal, bond_bits)


def _count(circuit: Circuit) -> Features:
    """Counts a circuit; takes about a microsecond per operation."""
    c, tables = circuit.columns, _tables()
    sizes = np.diff(c.qubit_offsets)
    channel = tables.channel[c.ops]
    gate = tables.gate[c.ops]
    codes, counts = np.unique(c.ops, return_counts=True)
    probabilities = c.params[c.param_offsets[:-1][channel & (np.diff(c.param_offsets) > 0)]]
    bits, work = _bonds(circuit, sizes, gate | channel)
    return Features(
        num_qubits=circuit.num_qubits,
        num_clbits=circuit.num_clbits,
        num_operations=len(circuit),
        num_gates=int(gate.sum()),
        gates_1q=int((gate & (sizes == 1)).sum()),
        gates_2q=int((gate & (sizes == 2)).sum()),
        gates_many=int((gate & (sizes > 2)).sum()),
        diagonal_gates=int((gate & tables.diagonal[c.ops]).sum()),
        depth=circuit.depth,
        num_measurements=int((c.ops == Op.MEASURE).sum()),
        is_clifford=bool(tables.clifford[c.ops].all()),
        noise_sites=int(channel.sum()),
        noise_weight=float(probabilities.sum()),
        is_dynamic=circuit.is_dynamic,
        bond_bits=bits,
        bond_work=work,
        ops={Op(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)},
    )


_WIDE = 48  # from so many qubits on numpy is faster at walking over the cuts that a row crosses


def _bonds(circuit: Circuit, sizes: np.ndarray, counted: np.ndarray) -> tuple[float, float]:
    """Walks the multi-qubit operations in order and bounds each cut's bond dimension by what has crossed it so far."""
    n, c = circuit.num_qubits, circuit.columns
    rows = np.flatnonzero(counted & (sizes >= 2)).tolist()
    if n < 2 or not rows:
        return 0.0, 0.0
    bond_bits = _tables().bond_bits.tolist()
    limit = [float(min(cut + 1, n - cut - 1)) for cut in range(n - 1)]
    bits = [0.0] * (n - 1)
    offsets, qubits, ops = c.qubit_offsets.tolist(), c.qubits.tolist(), c.ops.tolist()
    work = 0.0
    wide, caps = np.array(bits), np.array(limit)
    for row in rows:
        where = qubits[offsets[row] : offsets[row + 1]]
        low, high = min(where), max(where)
        added = bond_bits[ops[row]] if len(where) == 2 else float(2 * len(where))
        if n > _WIDE:
            wide[low:high] = np.minimum(wide[low:high] + added, caps[low:high])
            work += float(np.exp2(3 * np.minimum(wide[low:high], 20.0)).sum())
            continue
        for cut in range(low, high):
            crossed = bits[cut] + added
            if crossed > limit[cut]:
                crossed = limit[cut]
            bits[cut] = crossed
            work += 8.0 ** min(crossed, 20.0)
    return max(*bits, float(wide.max())), float(np.log2(work))
