"""A circuit as steps: runs of the engine's own operations, and what happens between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.matrices import Matrix, kraus
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima_backend_quest import gates
from proxima_backend_quest.engine import State, load


@dataclass(frozen=True, slots=True)
class Native:
    """Operations of qoqo."""

    operations: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Matrices:
    """A unitary or Kraus operators that qoqo has no operation for; applied to the state between two calls."""

    operators: tuple[Matrix, ...]
    qubits: tuple[int, ...]

    def of(self, state: State, num_qubits: int) -> State:
        """The state after it."""
        if state.ndim == 1:
            return _apply(self.operators[0], self.qubits, state)
        # A density matrix is a vector on 2n qubits, its columns the lower n of them.
        rows = tuple(q + num_qubits for q in self.qubits)
        vector = state.reshape(-1)
        if len(self.operators) == 1:
            half = _apply(self.operators[0].conj(), self.qubits, vector)
            return _apply(self.operators[0], rows, half).reshape(state.shape)
        both = np.sum([np.kron(k, k.conj()) for k in self.operators], axis=0)
        return _apply(both, (*self.qubits, *rows), vector).reshape(state.shape)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement in the middle of the circuit.

    Attributes:
        clbit: The bit it writes; -1 for a reset of a pure state, whose outcome is forgotten.
        read: Whether a later condition reads the bit.
    """

    qubit: int
    clbit: int
    read: bool


@dataclass(frozen=True, slots=True)
class Conditioned:
    """A step to be taken where a classical condition holds."""

    condition: Condition
    step: Any


_PLAIN = np.array(sorted((GATES - {Op.UNITARY}) | {Op.BARRIER}), dtype=np.uint8)


def translate(circuit: Circuit, *, mixed: bool) -> tuple[Any, ...]:
    """The steps of a circuit without its final measurements, for a vector or for a density matrix."""
    o = load()[2]
    body = circuit.without_final_measurements()
    if np.isin(body.columns.ops, _PLAIN).all() and not body.conditions:
        made = [one for op, qubits, params in body.rows() for one in gates.gate(o, op, qubits, params)]
        return (Native(tuple(made)),) if made else ()
    last_read: dict[int, int] = {}
    for row in np.flatnonzero(body.columns.conditions >= 0).tolist():
        last_read |= dict.fromkeys(body.conditions[body.columns.conditions[row]].clbits, row)
    steps: list[Any] = []
    waiting: list[Any] = []  # operations of the engine's own, since the last step of another kind
    for row, instruction in enumerate(body):
        made = _steps(o, instruction, read=last_read.get(instruction.clbit, -1) > row, mixed=mixed)
        if instruction.condition is not None:
            made = [Conditioned(instruction.condition, step) for step in made]
        for step in made:
            if isinstance(step, Native):
                waiting += step.operations
                continue
            if waiting:
                steps.append(Native(tuple(waiting)))
                waiting = []
            steps.append(step)
    if waiting:
        steps.append(Native(tuple(waiting)))
    return tuple(steps)


def _steps(o: Any, instruction: Instruction, *, read: bool, mixed: bool) -> list[Any]:
    op, qubits, _, clbit, _, matrices = instruction
    params: Sequence[float] = instruction.params  # type: ignore[assignment]  # bound, which the request's check saw to
    if op == Op.MEASURE:
        return [Measure(qubits[0], clbit, read)]
    if op == Op.RESET:
        return [Native(tuple(gates.damping(o, qubits[0], 1.0)))] if mixed else [Measure(qubits[0], -1, False)]
    if op == Op.UNITARY:
        if len(qubits) == 1:
            return [Native(tuple(gates.single_qubit_matrix(o, matrices[0], qubits[0])))]
        return [Matrices(matrices, qubits)]
    if op in CHANNELS:
        native = gates.channel(o, op, qubits[0], params)
        if native is not None:
            return [Native(tuple(native))]
        return [Matrices(matrices or kraus(op, params), qubits)]
    made = gates.gate(o, op, qubits, params)
    return [Native(tuple(made))] if made else []


def _apply(matrix: Matrix, qubits: Sequence[int], state: State) -> State:
    n, k = len(state).bit_length() - 1, len(qubits)
    axes = [n - 1 - q for q in reversed(qubits)]
    out = np.tensordot(matrix.reshape((2,) * (2 * k)), state.reshape((2,) * n), axes=(range(k, 2 * k), axes))
    return np.ascontiguousarray(np.moveaxis(out, range(k), axes)).reshape(-1)


def weights(state: State) -> npt.NDArray[np.float64]:
    """The probability of each basis state, shape (2^n,); they sum to the state's own weight."""
    if state.ndim == 1:
        return np.asarray(state.real**2 + state.imag**2)
    return np.maximum(state.diagonal().real, 0.0)


def probability_of_one(state: State, qubit: int) -> float:
    """Of measuring 1."""
    found = weights(state).reshape(-1, 2, 2**qubit).sum(axis=(0, 2))
    return float(found[1] / found.sum())


def project(state: State, qubit: int, outcome: int) -> State:
    """The normalised state after measuring ``outcome``."""
    kept = (np.arange(len(state)) >> qubit & 1) == outcome
    if state.ndim == 1:
        after = np.where(kept, state, 0)
        return np.asarray(after / np.linalg.norm(after))
    after = np.where(kept[:, None] & kept, state, 0)
    return np.asarray(after / np.trace(after).real)


def flip(state: State, qubit: int) -> State:
    """X on a qubit of a vector."""
    return np.ascontiguousarray(state.reshape(-1, 2, 2**qubit)[:, ::-1]).reshape(-1)
