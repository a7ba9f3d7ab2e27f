"""Exact density matrices: the density matrix of n qubits is evolved as a vector on 2n.

Its rows are qubits 0..n-1 of that doubled register, its columns qubits n..2n-1: a gate acts on the rows, its conjugate
on the columns, and a channel is one matrix on both. A measurement in the middle is dephasing. Where a condition reads
its classical bit, the density matrix is kept apart by the bit's value, not normalised, and summed in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_backend_qsim.channels import Matrix, operators
from proxima_backend_qsim.engine import Engine, State
from proxima_backend_qsim.gates import Gate, conjugate, matrix_gate

# Kraus operators on k qubits act on 2k qubits of the doubled register, where qsim takes matrices on six.
MAX_CHANNEL_QUBITS = 3

_NEGLIGIBLE = 1e-9


def superoperator(step: Instruction, kraus: tuple[Matrix, ...], num_qubits: int) -> Gate:
    """A channel as one matrix on the doubled register.

    Raises:
        UnsupportedError: It acts on more than three qubits.
    """
    name = OPERATIONS[step.op].name
    if len(step.qubits) > MAX_CHANNEL_QUBITS:
        raise UnsupportedError(
            f"qsim computes density matrices with channels on at most {MAX_CHANNEL_QUBITS} qubits, "
            f"{name} has {len(step.qubits)}",
            hint="ask for counts, or use the backend qiskit-aer or cirq",
        )
    total = np.sum([np.kron(k.conj(), k) for k in kraus], axis=0)
    return matrix_gate(total, [*step.qubits, *(q + num_qubits for q in step.qubits)], name)


def doubled(gate: Gate | None, step: Instruction, num_qubits: int) -> list[Gate]:
    """What a row of a circuit does to the doubled register; ``gate`` is what `lower` made of it."""
    if gate is not None:
        return [gate, conjugate(gate, num_qubits)]
    if step.op in CHANNELS or step.op in (Op.RESET, Op.MEASURE):
        return [superoperator(step, operators(step), num_qubits)]
    return []


@dataclass(frozen=True, slots=True)
class _Part:
    """Gates for every branch, then a step that depends on the branch or splits it; ``None`` at the end.

    Attributes:
        ways: For a measurement that is read, its projectors; for a conditional step what happens where it holds.
    """

    pieces: list[Any]
    step: Instruction | None
    ways: list[list[Any]]


@dataclass(frozen=True, slots=True)
class DensityProgram:
    """A circuit compiled for its density matrix."""

    engine: Engine
    parts: list[_Part]

    @classmethod
    def of(cls, circuit: Circuit, lowered: list[Gate | None], engine: Engine) -> DensityProgram:
        """Compiles a circuit without its final measurements, for an engine on twice its qubits.

        Raises:
            UnsupportedError: A channel on more than three qubits.
        """
        n = circuit.num_qubits
        read = bits_read(circuit)
        parts: list[_Part] = []
        gates: list[Gate] = []
        known: dict[object, list[Gate]] = {}
        for gate, step in zip(lowered, circuit, strict=True):
            key = (step.op, step.qubits, step.params)
            if gate is not None or step.matrices:
                made = doubled(gate, step, n)
            else:
                made = known[key] if key in known else known.setdefault(key, doubled(gate, step, n))
            if step.op == Op.MEASURE and step.clbit in read:
                ways = [[superoperator(step, (projector,), n)] for projector in operators(step)]
            elif step.condition is not None:
                ways = [made]
            else:
                gates += made
                continue
            parts.append(_Part(engine.compile(gates), step, [engine.compile(way) for way in ways]))
            gates = []
        parts.append(_Part(engine.compile(gates), None, []))
        return cls(engine, parts)

    def run(self, context: RunContext) -> State:
        """The density matrix, column by column: complex64, shape (4^n,).

        Raises:
            CancelledError, DeadlineExceededError: Between two calls of the engine.
        """
        engine = self.engine.with_threads(context.threads)
        # Keyed by the classical bits that are 1.
        branches: dict[frozenset[int], State | None] = {frozenset(): None}
        for part in self.parts:
            after: dict[frozenset[int], State | None] = {}
            for ones, before in branches.items():
                state = engine.run(part.pieces, before, context, report=len(self.parts) == 1)
                for bits, piece in _steps(part, ones):
                    found = state if piece is None else engine.run(piece, state, context)
                    if _trace(found) > _NEGLIGIBLE:
                        other = after.get(bits)
                        after[bits] = found if other is None else other + found
            branches = after
        total = [state for state in branches.values() if state is not None]
        return total[0] if len(total) == 1 else np.sum(total, axis=0, dtype=np.complex64)


def bits_read(circuit: Circuit) -> frozenset[int]:
    """The classical bits that conditions read."""
    used = {int(i) for i in circuit.columns.conditions if i >= 0}
    return frozenset(bit for i in used for bit in circuit.conditions[i].clbits)


def _steps(part: _Part, ones: frozenset[int]) -> list[tuple[frozenset[int], list[Any] | None]]:
    """What may happen to a branch: its classical bits afterwards and the compiled gates."""
    step = part.step
    if step is None:
        return [(ones, None)]
    if step.condition is not None:
        bits = {c: int(c in ones) for c in step.condition.clbits}
        number = sum(bits[c] << i for i, c in enumerate(step.condition.clbits))
        if (number == step.condition.value) is step.condition.negated:
            return [(ones, None)]
    if step.op == Op.MEASURE and len(part.ways) == 2:
        return [(ones - {step.clbit}, part.ways[0]), (ones | {step.clbit}, part.ways[1])]
    return [(ones, part.ways[0])]


def _trace(vector: State) -> float:
    dimension = 1 << (len(vector).bit_length() // 2)
    return float(vector[:: dimension + 1].real.sum(dtype=np.float64))
