"""A circuit in stim's language: text, which stim parses faster than it takes operations one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import Op
from proxima_backend_stim import engine
from proxima_backend_stim.recognise import Kind, Pauli

if TYPE_CHECKING:
    import stim

# What stim takes for one step on a tableau of n qubits: a gate n times _SECONDS_PER_QUBIT, a measurement or reset
# n^2 times _SECONDS_PER_COLLAPSE at most.
_SECONDS_PER_QUBIT = 1e-10
_SECONDS_PER_COLLAPSE = 2.5e-11
# One call of stim cannot be interrupted; a piece takes about this long.
_PIECE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Conditional:
    """A step under a condition that stim has no words for.

    Attributes:
        records: Where in the record of measurements each bit of the condition stands; -1 for one not yet written.
        clbit: The bit that it writes, where it is a measurement; else -1.
        paulis: ``(letter, qubit)`` where it is a product of Pauli operators.
    """

    condition: Condition
    records: tuple[int, ...]
    circuit: stim.Circuit
    clbit: int
    paulis: tuple[tuple[str, int], ...] | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a circuit, short enough for one call of stim.

    Attributes:
        clbits: The bit that each of its measurements writes.
        then: The step that ends it.
    """

    circuit: stim.Circuit
    clbits: tuple[int, ...]
    then: Conditional | None


@dataclass(frozen=True, slots=True)
class Program:
    """A translated circuit.

    Attributes:
        steps: How many operations there are.
        records: int64, shape (num_clbits,): the measurement that each bit is written by last, -1 for none.
    """

    num_qubits: int
    num_clbits: int
    steps: int
    pieces: tuple[Piece, ...]
    records: npt.NDArray[np.int64]

    @property
    def conditionals(self) -> list[Conditional]:
        """Its steps under conditions that stim has no words for."""
        return [piece.then for piece in self.pieces if piece.then is not None]


def translate(circuit: Circuit, kinds: Sequence[Kind | None]) -> Program:
    """The program of a circuit whose rows are of these kinds."""
    c, n = circuit.columns, circuit.num_qubits
    stim = engine.load()
    ops, qubits, offsets = c.ops.tolist(), c.qubits.tolist(), c.qubit_offsets.tolist()
    silent = {Op.BARRIER, Op.ID}
    words: dict[Kind | None, str] = {kind: _words(kind) for kind in set(kinds) if kind is not None}
    plain = {Op.MEASURE: "M {0}", Op.RESET: "R {0}"}
    lines = [
        "" if op in silent else (words[kind] if kind else plain[Op(op)]).format(*qubits[start:stop])
        for op, kind, start, stop in zip(ops, kinds, offsets, offsets[1:], strict=False)
    ]
    edges = _edges(c.ops, n)
    events = set(np.flatnonzero((c.ops == Op.MEASURE) | (c.conditions >= 0)).tolist())
    written: dict[int, int] = {}
    pieces: list[Piece] = []
    clbits: list[int] = []
    begin = measured = 0
    shifted = False  # after a measurement under a condition, where the others stand in the record is not known

    def cut(end: int, then: Conditional | None) -> None:
        nonlocal begin
        pieces.append(Piece(stim.Circuit("\n".join(lines[begin:end])), tuple(clbits), then))
        clbits.clear()
        begin = end

    for row in sorted(events | edges):
        if row in edges:
            cut(row, None)
        if row not in events:
            continue
        conditional = None
        if c.conditions[row] >= 0:
            condition = circuit.conditions[c.conditions[row]]
            paulis = _paulis_of(kinds[row], qubits[offsets[row] : offsets[row + 1]], ops[row])
            records = tuple(written.get(bit, -1) for bit in condition.clbits)
            told = None if shifted else _feedback(condition, records, paulis, measured)
            if told is None:
                step = stim.Circuit(lines[row])
                conditional = Conditional(condition, records, step, int(c.clbits[row]), paulis)
            lines[row] = told or ""
        if ops[row] == Op.MEASURE:
            written[int(c.clbits[row])] = measured
            measured += 1
            if conditional is not None:
                shifted = True
            else:
                clbits.append(int(c.clbits[row]))
        if conditional is not None:
            cut(row + 1, conditional)
    cut(len(ops), None)
    last = np.full(circuit.num_clbits, -1, dtype=np.int64)
    for bit, record in written.items():
        last[bit] = record
    return Program(n, circuit.num_clbits, len(ops), tuple(pieces), last)


def _edges(ops: npt.NDArray[np.uint8], n: int) -> set[int]:
    """The rows before which to cut."""
    collapses = (ops == Op.MEASURE) | (ops == Op.RESET)
    seconds = np.where(collapses, n * n * _SECONDS_PER_COLLAPSE, 0.0) + n * _SECONDS_PER_QUBIT
    piece_of = np.cumsum(seconds) // _PIECE_SECONDS
    return set((np.flatnonzero(np.diff(piece_of)) + 1).tolist())


def _paulis_of(kind: Kind | None, qubits: Sequence[int], op: int) -> tuple[tuple[str, int], ...] | None:
    if kind is None:
        return () if op == Op.BARRIER else None
    if kind.is_channel or kind.paulis is None:
        return None
    return tuple((letter, qubits[place]) for letter, place in kind.paulis)


def _feedback(
    condition: Condition, records: Sequence[int], paulis: Sequence[tuple[str, int]] | None, measured: int
) -> str | None:
    """Pauli operators under a condition on at most one measured bit in stim's words; ``None`` where it has none."""
    seen = sorted(set(records) - {-1})
    if paulis is None or len(seen) > 1:
        return None
    # Bits that nothing has written are 0.
    holds = [_holds(condition, [value if record >= 0 else 0 for record in records]) for value in (0, 1)]
    always, differs = holds[0], bool(seen) and holds[0] != holds[1]
    lines = [f"{letter} {qubit}" for letter, qubit in paulis if always]
    lines += [f"C{letter} rec[{seen[0] - measured}] {qubit}" for letter, qubit in paulis if differs]
    return "\n".join(lines)


def _holds(condition: Condition, values: Sequence[int]) -> bool:
    """Whether a condition holds, given the values of its own bits in its order."""
    return (sum(value << i for i, value in enumerate(values)) == condition.value) is not condition.negated


def _words(kind: Kind) -> str:
    """A kind's lines, with ``{i}`` for listed qubit i."""
    return _noise(kind) if kind.is_channel else _gate(kind.images)


def _noise(kind: Kind) -> str:
    weights, places = kind.weights.tolist(), " ".join(f"{{{i}}}" for i in range(kind.num_qubits))
    if np.ptp(kind.weights[1:]) < 1e-15:
        return f"DEPOLARIZE{kind.num_qubits}({min(sum(weights[1:]), 1.0)!r}) {places}"
    if kind.num_qubits == 1 and np.count_nonzero(kind.weights[1:]) == 1:  # a flip, for which stim draws less
        code = int(np.flatnonzero(kind.weights[1:])[0]) + 1
        return f"{'IXZY'[code]}_ERROR({weights[code]!r}) {places}"
    # Stim's order is X, Y, Z on the last target first; ours has the codes X 1, Z 2, Y 3 and the first qubit lowest.
    codes = (0, 1, 3, 2)
    if kind.num_qubits == 1:
        chances = [weights[code] for code in codes[1:]]
    else:
        chances = [weights[first + 4 * second] for first in codes for second in codes][1:]
    return f"PAULI_CHANNEL_{kind.num_qubits}({', '.join(map(repr, chances))}) {places}"


@cache
def _gate(images: tuple[Pauli, ...]) -> str:
    stim = engine.load()
    k = len(images) // 2
    paulis = [stim.PauliString(_text(image, k)) for image in images]
    tableau = stim.Tableau.from_conjugated_generators(xs=paulis[::2], zs=paulis[1::2])
    if (name := _named().get(str(tableau))) is not None:
        return f"{name} {' '.join(f'{{{i}}}' for i in range(k))}"
    return "\n".join(
        f"{step.name} {' '.join(f'{{{target.value}}}' for target in group)}"
        for step in tableau.to_circuit(method="elimination")
        for group in step.target_groups()
    )


def _text(image: Pauli, k: int) -> str:
    x, z, phase = image
    letters = "".join("IXZY"[(x >> i & 1) + 2 * (z >> i & 1)] for i in range(k))
    return ("-" if (phase - (x & z).bit_count()) % 4 else "+") + letters


@cache
def _named() -> dict[str, str]:
    """Stim's own names for gates on one or two qubits, by their tableaux."""
    stim = engine.load()
    return {
        str(data.tableau): name
        for name, data in reversed(stim.gate_data().items())
        if data.is_unitary and (data.is_single_qubit_gate or data.is_two_qubit_gate)
    }
