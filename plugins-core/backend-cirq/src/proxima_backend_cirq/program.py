"""A circuit translated for one simulation method: a flat list of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.matrices import kraus, pauli_weights
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima_backend_cirq.gates import Gates, gates_of, matrix_gate
from proxima_backend_cirq.order import by_moment
from proxima_backend_cirq.stabilizer import calls_on
from proxima_backend_cirq.superoperator import Superoperator, superoperator

if TYPE_CHECKING:
    import cirq


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement in the middle of the circuit.

    Attributes:
        clbit: The bit it writes; -1 for a reset, whose outcome is forgotten.
        read: Whether a later condition reads the bit.
        flip: Operations that make |0> of |1>, for a reset; empty for a measurement.
    """

    qubit: int
    clbit: int
    read: bool
    flip: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Mixture:
    """A channel that applies one of several lists of gates, with probabilities that do not depend on the state."""

    weights: tuple[float, ...]
    choices: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Kraus:
    """Any other channel, by its Kraus operators in our qubit order."""

    qubits: tuple[int, ...]
    operators: tuple[npt.NDArray[np.complex128], ...]


@dataclass(frozen=True, slots=True)
class Conditioned:
    """A step to be taken where a classical condition holds."""

    condition: Condition
    step: Any


# Anything that is not of these four classes is an operation for the state's `apply`.
BRANCHING = (Measure, Mixture, Kraus, Conditioned)


@dataclass(frozen=True, slots=True)
class Program:
    """A circuit without its final measurements.

    Attributes:
        steps: In order.
        branches: Whether any step is random or conditional.
        qubits: Cirq's names of the qubits; empty for the method ``clifford``.
        final: ``(qubit, classical bit)`` of the final measurements.
        points: Mid-circuit measurements and resets.
    """

    num_qubits: int
    num_clbits: int
    steps: tuple[Any, ...]
    branches: bool
    qubits: tuple[cirq.Qid, ...]
    final: tuple[tuple[int, int], ...]
    noisy: bool
    points: int


def translate(circuit: Circuit, method: str) -> Program:
    """The program of a circuit without open parameters, for ``statevector``, ``density_matrix`` or ``clifford``."""
    import cirq

    qubits: tuple[cirq.Qid, ...] = () if method == "clifford" else tuple(cirq.LineQubit.range(circuit.num_qubits))
    make = _Clifford() if method == "clifford" else _Dense(qubits, mixed=method == "density_matrix")
    points = 0
    if not circuit.is_dynamic and np.isin(circuit.columns.ops, _PLAIN).all():
        steps = make.gates(circuit)
        branches = False
    else:
        body = circuit.without_final_measurements()
        steps = _any_rows(body, make)
        branches = any(isinstance(step, BRANCHING) for step in steps)
        points = int(np.isin(body.columns.ops, (Op.MEASURE, Op.RESET)).sum())
    return Program(
        num_qubits=circuit.num_qubits,
        num_clbits=circuit.num_clbits,
        steps=tuple(steps),
        branches=branches,
        qubits=qubits,
        final=circuit.final_measurements,
        noisy=circuit.has_noise,
        points=points,
    )


_PLAIN = np.array(sorted((GATES - {Op.UNITARY}) | {Op.BARRIER, Op.MEASURE}), dtype=np.uint8)


def _any_rows(circuit: Circuit, make: _Clifford | _Dense) -> list[Any]:
    """The steps of a circuit with anything in it, in its own order."""
    steps: list[Any] = []
    last_read: dict[int, int] = {}
    for row, instruction in enumerate(circuit):
        if instruction.condition is not None:
            last_read |= dict.fromkeys(instruction.condition.clbits, row)
    for row, (op, qubits, params, clbit, condition, matrices) in enumerate(circuit):
        if op == Op.BARRIER:
            continue
        if op == Op.MEASURE:
            new: list[Any] = [Measure(qubits[0], clbit, last_read.get(clbit, -1) > row)]
        elif op == Op.RESET:
            new = [make.reset(qubits[0])]
        elif op in CHANNELS:
            new = make.channel(op, qubits, params, matrices)  # type: ignore[arg-type]
        elif op == Op.UNITARY:
            new = make.matrix(matrices[0], qubits)
        else:
            new = make.gate(op, qubits, params)  # type: ignore[arg-type]
        steps.extend(new if condition is None else [Conditioned(condition, step) for step in new])
    return steps


class _Dense:
    """Steps for the statevector and the density matrix: operations of Cirq."""

    def __init__(self, qubits: tuple[cirq.Qid, ...], *, mixed: bool) -> None:
        self._qubits = qubits
        self._mixed = mixed
        self._gates: dict[tuple[float, ...], Gates] = {}
        self._channels: dict[tuple[float, ...], Superoperator] = {}

    def gates(self, circuit: Circuit) -> list[Any]:
        """The fast way, for gates alone: each distinct gate is made once."""
        names, known, steps = self._qubits, self._gates, []
        rows = list(circuit.rows())
        for row in by_moment(circuit):
            op, qubits, params = rows[row]
            key = (op, *params)
            gates = known.get(key)
            if gates is None:
                gates = known[key] = gates_of(op, params)
            if len(gates) == 1:
                steps.append(gates[0][0].on(*[names[q] for q in qubits]))
            else:
                steps.extend(gate.on(*[names[qubits[p]] for p in places]) for gate, places in gates)
        return steps

    def gate(self, op: int, qubits: Sequence[int], params: Sequence[float]) -> list[Any]:
        key = (op, *params)
        gates = self._gates.get(key)
        if gates is None:
            gates = self._gates[key] = gates_of(op, params)
        return [gate.on(*[self._qubits[qubits[p]] for p in places]) for gate, places in gates]

    def matrix(self, matrix: npt.NDArray[np.complex128], qubits: Sequence[int]) -> list[Any]:
        return [matrix_gate(matrix).on(*[self._qubits[q] for q in qubits])]

    def reset(self, qubit: int) -> Any:
        import cirq

        if self._mixed:
            return cirq.reset(self._qubits[qubit])
        return Measure(qubit, -1, read=False, flip=(cirq.X(self._qubits[qubit]),))

    def channel(
        self, op: Op, qubits: tuple[int, ...], params: Sequence[float], matrices: Sequence[npt.NDArray[np.complex128]]
    ) -> list[Any]:
        if self._mixed:
            return [self._superoperator(op, params, matrices, qubits)]
        weights = pauli_weights(op, params)
        if weights is not None:
            return [_pauli_mixture(weights, qubits, self.gate)]
        operators = _present(matrices or kraus(op, params))
        norms = [float(np.vdot(k, k).real) / len(k) for k in operators]
        if all(
            np.allclose(k.conj().T @ k, w * np.eye(len(k)), atol=1e-12) for k, w in zip(operators, norms, strict=True)
        ):
            choices = tuple(tuple(self.matrix(k / w**0.5, qubits)) for k, w in zip(operators, norms, strict=True))
            return [Mixture(_normalised(norms), choices)]
        return [Kraus(tuple(qubits), operators)]

    def _superoperator(
        self,
        op: Op,
        params: Sequence[float],
        matrices: Sequence[npt.NDArray[np.complex128]],
        qubits: tuple[int, ...],
    ) -> Superoperator:
        if matrices:
            return superoperator(matrices, qubits)
        key = (op, *params)
        known = self._channels.get(key)
        if known is None:
            known = self._channels[key] = superoperator(kraus(op, params), qubits)
        return replace(known, qubits=qubits)


def _present(operators: Sequence[npt.NDArray[np.complex128]]) -> tuple[npt.NDArray[np.complex128], ...]:
    return tuple(k for k in operators if np.abs(k).max() > 0)


class _Clifford:
    """Steps for stabiliser states."""

    def gates(self, circuit: Circuit) -> list[Any]:
        silent = (Op.BARRIER, Op.MEASURE, Op.ID)
        return [calls_on(op, qubits) for op, qubits, _ in circuit.rows() if op not in silent]

    def gate(self, op: int, qubits: Sequence[int], params: Sequence[float]) -> list[Any]:
        return [calls_on(op, qubits)] if op != Op.ID else []

    def matrix(self, matrix: npt.NDArray[np.complex128], qubits: Sequence[int]) -> list[Any]:
        raise AssertionError("a matrix never counts as a Clifford gate")

    def reset(self, qubit: int) -> Any:
        return Measure(qubit, -1, read=False, flip=(calls_on(Op.X, (qubit,)),))

    def channel(
        self, op: Op, qubits: tuple[int, ...], params: Sequence[float], matrices: Sequence[npt.NDArray[np.complex128]]
    ) -> list[Any]:
        weights = pauli_weights(op, params)
        assert weights is not None, f"{op.name} is not a Pauli channel"
        return [_pauli_mixture(weights, qubits, self.gate)]


_LETTERS = {"X": Op.X, "Y": Op.Y, "Z": Op.Z}


def _pauli_mixture(
    weights: dict[str, float],
    qubits: Sequence[int],
    gate: Callable[[int, Sequence[int], Sequence[float]], list[Any]],
) -> Mixture:
    present = {letters: w for letters, w in weights.items() if w > 0}
    choices = tuple(
        tuple(
            step
            for qubit, letter in zip(qubits, reversed(letters), strict=True)
            if letter != "I"
            for step in gate(_LETTERS[letter], (qubit,), ())
        )
        for letters in present
    )
    return Mixture(_normalised(list(present.values())), choices)


def _normalised(weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(float(w / total) for w in weights)
