"""`Counts`: what becomes of a circuit once gates are fused and noise is merged, without the engine that does it.

It follows the engine's planner from afar (docs/developer-guide/lowrank.md): noise gathers on a qubit until a gate ties
it to another; a qubit that is tied to none can only be flipped; what no gate follows is kept for the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, GATES, Op

_PAULI = frozenset({Op.DEPOLARIZING, Op.BIT_FLIP, Op.PHASE_FLIP, Op.BIT_PHASE_FLIP, Op.PAULI_CHANNEL})
_CARRY = frozenset({Op.CX, Op.CY, Op.CZ, Op.SWAP, Op.ISWAP, Op.ECR})  # they take Pauli operators to Pauli operators
_WAYS = {Op.DEPOLARIZING: 3, Op.DEPOLARIZING2: 15, Op.PAULI_CHANNEL: 3, Op.GENERALIZED_AMPLITUDE_DAMPING: 3}


@dataclass(slots=True)
class Counts:
    """What is left to be done.

    Attributes:
        gates: How many matrices act on 1, 2, ... qubits.
        channels: Of each, the weight that leaves its first operator's branch, and in how many ways.
        passes: Multiplications for each amplitude to find the weights of channels that depend on the state.
        measured: Measurements in the middle.
        widest: The most qubits that an operation acts on.
    """

    gates: dict[int, int] = field(default_factory=dict)
    channels: list[tuple[float, int]] = field(default_factory=list)
    passes: float = 0.0
    measured: int = 0
    widest: int = 1

    @property
    def error(self) -> float:
        """Of all channels together."""
        return sum(error for error, _ in self.channels)

    def add_gate(self, qubits: int) -> None:
        """Counts a matrix on so many qubits."""
        self.gates[qubits] = self.gates.get(qubits, 0) + 1
        self.widest = max(self.widest, qubits)

    def products(self, base: int) -> float:
        """Multiplications for each amplitude (base 2) or Pauli coefficient (base 4)."""
        gates = float(sum(count * base**k for k, count in self.gates.items()))
        return gates + self.passes if base == 2 else gates


@dataclass(slots=True)
class _Wire:
    error: float = 0.0
    ways: int = 0
    pauli: bool = True
    fresh: bool = True
    turned: bool = False  # by a one-qubit gate that is not yet part of another
    partner: int = -1


def counts_of(circuit: Circuit) -> Counts:
    """Counts a circuit, up to its final measurements; it is counted once, whoever asks."""
    known = circuit.__dict__.get("_lret_counts")
    if not isinstance(known, Counts):
        if circuit.has_noise or circuit.is_dynamic:
            known = _Counter(circuit.without_final_measurements()).counts
        else:
            known = _count_gates(circuit)
        circuit.__dict__["_lret_counts"] = known
    return known


def _count_gates(circuit: Circuit) -> Counts:
    """What `_Counter` comes to where there are gates and final measurements alone."""
    counts, c, n = Counts(), circuit.columns, circuit.num_qubits
    turned, partner = [False] * n, [-1] * n
    left_out = (int(Op.BARRIER), int(Op.ID), int(Op.MEASURE))
    qubits, start = c.qubits.tolist(), 0
    for op, end in zip(c.ops.tolist(), c.qubit_offsets.tolist()[1:], strict=True):
        where, start = qubits[start:end], end
        if op in left_out:
            continue
        first = where[0]
        if len(where) == 1:
            turned[first] = True
            continue
        if len(where) == 2 and partner[first] == where[1] and partner[where[1]] == first:
            turned[first] = turned[where[1]] = False
            continue
        counts.add_gate(len(where))
        for q in where:
            turned[q], partner[q] = False, -1
        if len(where) == 2:
            partner[first], partner[where[1]] = where[1], first
    if any(turned):
        counts.gates[1] = sum(turned)
    return counts


class _Counter:
    def __init__(self, circuit: Circuit) -> None:
        self.counts = Counts()
        self._wires = [_Wire(fresh=not circuit.is_dynamic) for _ in range(circuit.num_qubits)]
        last = _last_touches(circuit)
        payloads = circuit.columns.payloads.tolist()
        for row, (op, qubits, params) in enumerate(circuit.rows()):
            if op in (Op.BARRIER, Op.ID):
                continue
            if op == Op.MEASURE:
                self.counts.measured += 1
                self._settle(qubits)
            elif op in GATES or op == Op.UNITARY:
                self._gate(Op(op), qubits, all(last[q] == row for q in qubits))
            elif op == Op.RESET:
                self._noise(Op(op), qubits, 0.5, 1)
            elif op == Op.KRAUS:
                matrices = circuit.payloads[payloads[row]]
                kept = float(max(np.linalg.norm(m) ** 2 for m in matrices)) / len(matrices[0])
                self._noise(Op(op), qubits, max(0.0, 1 - kept), min(len(matrices), 4 ** len(qubits)) - 1)
            elif op in CHANNELS:
                share = sum(params) if op == Op.PAULI_CHANNEL else params[-1]
                damped = op in (Op.AMPLITUDE_DAMPING, Op.GENERALIZED_AMPLITUDE_DAMPING, Op.PHASE_DAMPING)
                self._noise(Op(op), qubits, share / 2 if damped else share, _WAYS.get(Op(op), 1))
        for q, wire in enumerate(self._wires):
            if wire.pauli:
                wire.error = 0.0  # it is kept for the answer
            self._settle([q])

    def _gate(self, op: Op, qubits: list[int], final: bool) -> None:
        if len(qubits) == 1:
            self._wires[qubits[0]].turned = True
            return
        wires = [self._wires[q] for q in qubits]
        if final and op in _CARRY and all(wire.pauli for wire in wires):
            for wire in wires:
                wire.error = 0.0
        again = len(qubits) == 2 and wires[0].partner == qubits[1] and wires[1].partner == qubits[0]
        noisy = any(wire.error for wire in wires)
        for wire in wires:
            self._flush(wire)
            wire.turned = False
            wire.partner = -1
        if not again or noisy:
            self.counts.add_gate(len(qubits))
        if len(qubits) == 2:
            wires[0].partner, wires[1].partner = qubits[1], qubits[0]

    def _noise(self, op: Op, qubits: list[int], error: float, ways: int) -> None:
        if len(qubits) == 1:
            wire = self._wires[qubits[0]]
            wire.error += error
            wire.ways = min(3, max(wire.ways, ways) if wire.ways in (0, ways) else wire.ways + ways)
            wire.pauli = wire.pauli and op in _PAULI
        else:
            self._settle(qubits)
            self.counts.widest = max(self.counts.widest, len(qubits))
            self.counts.channels.append((error, ways))
            self.counts.passes += 4.0 ** (len(qubits) + 1) if op == Op.KRAUS else 0.0

    def _settle(self, qubits: list[int]) -> None:
        for q in qubits:
            wire = self._wires[q]
            self._flush(wire)
            if wire.turned:
                self.counts.add_gate(1)
            wire.turned = False
            wire.partner = -1

    def _flush(self, wire: _Wire) -> None:
        if wire.error:
            # A depolarized qubit of its own is one flip away from its state, with two thirds of the weight.
            flips = wire.error * (2 / 3 if wire.ways == 3 else 1)
            self.counts.channels.append((flips, 1) if wire.fresh else (wire.error, wire.ways))
            self.counts.passes += 0.0 if wire.pauli or wire.fresh else 16.0
        wire.error, wire.ways, wire.pauli, wire.fresh = 0.0, 0, True, False


def _last_touches(circuit: Circuit) -> list[int]:
    """For each qubit, the row of the last operation on it that is no one-qubit Pauli noise; -1 where there is none."""
    last = [-1] * circuit.num_qubits
    for row, (op, qubits, _) in enumerate(circuit.rows()):
        if op != Op.BARRIER and op not in _PAULI:
            for q in qubits:
                last[q] = row
    return last


def columns_bits(channels: list[tuple[float, int]], tolerance: float) -> float:
    """log2 of how many sets of errors there are, the likeliest first, until the others are rarer than the tolerance.

    The number of errors is taken to follow Poisson's law; channels whose error is above a quarter count in full. The
    engine guesses alike from its own plan, but an estimate is asked for before it is imported.
    """
    likely = [(error, ways) for error, ways in channels if error <= 0.25]
    certain = sum(math.log2(ways + 1) for error, ways in channels if error > 0.25)
    weight = sum(error for error, _ in likely)
    if not weight:
        return certain
    sites = weight**2 / sum(error**2 for error, _ in likely)
    each = sum(error * ways for error, ways in likely) / weight
    columns, choices = 0.0, 0.0
    rare, left = math.exp(-weight), -math.expm1(-weight)
    for k in range(1, math.ceil(sites) + 1):
        if left <= tolerance:
            break
        choices += math.log2(max((sites - k + 1) / k * each, 1.0))
        if choices > 60:
            return certain + choices
        rare *= weight / k
        share = min(1.0, (left - tolerance) / rare) if rare > 0 else 1.0
        columns = math.log2(2.0**columns + share * 2.0**choices)
        left -= rare
    return certain + columns
