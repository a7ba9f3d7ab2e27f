"""Checks of gates: each unitary, its sign, every order of its qubits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from proxima.contracts.backend import Precision
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima_sdk import reference
from proxima_sdk.circuits import from_instructions, haar_unitary, random, rewritten
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.diagnosis import ORDER, SIGN_REVERSED, Cause

_FIXED = sorted(GATES - {Op.UNITARY})
_MANY = [op for op in _FIXED if OPERATIONS[op].num_qubits > 1]
_ANGLES = (0.7, -1.9, 0.4, 1.3)
_NUM_QUBITS = 4


def scrambled(num_qubits: int, seed: int, usable: Sequence[Op]) -> list[Instruction]:
    """Prepares a generic entangled state without a single angle, so that a wrong rotation shows only where it is."""
    rng = np.random.default_rng(seed)
    single = [op for op in (Op.H, Op.T, Op.S, Op.X) if op in usable]
    entangling = [op for op in (Op.CX, Op.CZ) if op in usable][:1]
    out: list[Instruction] = []
    for _ in range(2):
        for qubit in range(num_qubits):
            out += [Instruction(op, (qubit,)) for op in (Op.H, Op.T, Op.H) if op in usable]
            out += [Instruction(single[rng.integers(len(single))], (qubit,)) for _ in range(3) if single]
        ring = rng.permutation(num_qubits).tolist()
        out += [Instruction(op, pair) for op in entangling for pair in itertools.pairwise(ring)]
    return out


def inverse(instruction: Instruction) -> Instruction:
    """The inverse gate, as a ``unitary`` operation."""
    matrix = reference.gate_matrix(instruction).conj().T
    return Instruction(Op.UNITARY, instruction.qubits, matrices=(matrix,))


class GateChecks(BackendChecks):
    """Gates against their reference matrices, up to global phase."""

    def _check_gate(self, tested: Instruction, seed: int, precision: Precision | None = None) -> None:
        usable = [op for op in GATES if self.offered.runs(op)]
        before = scrambled(_NUM_QUBITS, seed, usable)

        def made(*middle: Instruction) -> Circuit:
            return from_instructions(_NUM_QUBITS, 0, [*before, *middle])

        qubits = tested.qubits

        def negated(i: Instruction) -> Instruction:
            return i._replace(params=tuple(-p for p in reference.numbers(i))) if i.op is tested.op else i

        causes: list[Cause] = [
            # Also where the gate, being one of few, prepares the state.
            (SIGN_REVERSED, lambda: rewritten(self.written(made(tested)), negated)),
            ("the gate is left out", lambda: made()),
            ("the inverse is applied: a sign is reversed, or a matrix is transposed", lambda: made(inverse(tested))),
            *(
                (
                    f"the gate's qubits are exchanged: it acts as if on qubits {order}"
                    + (" (control and target exchanged)" if len(qubits) == 2 else ""),
                    lambda order=order: made(tested._replace(qubits=order)),
                )
                for order in itertools.permutations(qubits)
                if order != qubits
            ),
        ]
        spec = OPERATIONS[tested.op]
        angles = ", ".join(f"{name}={value:g}" for name, value in zip(spec.params, tested.params, strict=True))
        self.check_state(
            made(tested),
            f"{spec.name}({angles}) on qubits {list(qubits)} of {_NUM_QUBITS}",
            convention=f"{spec.name}: {spec.definition}; {ORDER}",
            causes=causes,
            precision=precision,
        )

    @pytest.mark.parametrize("op", _FIXED, ids=lambda op: op.name.lower())
    def test_gate(self, op: Op) -> None:
        """Each gate, on neighbouring qubits in rising order, at two sets of angles."""
        self.require_operations(op)
        spec = OPERATIONS[op]
        for seed in range(2 if spec.params else 1):
            params = tuple(angle * (1 + seed) for angle in _ANGLES[: len(spec.params)])
            for first in (0, 1):
                self._check_gate(Instruction(op, tuple(range(first, first + spec.num_qubits)), params), seed)

    @pytest.mark.parametrize("op", _MANY, ids=lambda op: op.name.lower())
    def test_gate_on_every_qubit_order(self, op: Op) -> None:
        """Controls above and below targets, adjacent or not."""
        self.require_operations(op)
        spec = OPERATIONS[op]
        if spec.num_qubits == 2:
            places: list[tuple[int, ...]] = [(1, 0), (0, 2), (2, 0), (0, 3), (3, 0), (3, 1)]
        else:
            places = [*itertools.permutations((0, 1, 2)), (3, 0, 2), (1, 3, 0)]
        for qubits in places:
            self._check_gate(Instruction(op, qubits, _ANGLES[: len(spec.params)]), seed=3)

    @pytest.mark.parametrize("qubits", [(0,), (2,), (0, 1), (1, 0), (3, 1), (0, 1, 2), (2, 0, 1), (3, 2, 0)], ids=str)
    def test_unitary_matrix(self, qubits: tuple[int, ...]) -> None:
        """A matrix of the user's own on one to three qubits: the first listed is the least significant index bit."""
        self.require_operations(Op.UNITARY)
        matrix = haar_unitary(len(qubits), np.random.default_rng(5))
        self._check_gate(Instruction(Op.UNITARY, qubits, matrices=(matrix,)), seed=4)

    @pytest.mark.parametrize("precision", ["single", "double"])
    @pytest.mark.parametrize("seed", range(4))
    def test_random_circuit(self, seed: int, precision: Precision) -> None:
        """The whole declared vocabulary, on five qubits where it takes so many."""
        self.require_precision(precision)
        usable = [op for op in GATES if self.offered.supports(op)]
        circuit = random(self.at_most(5), 10, seed=seed, operations=usable, measure=False)
        self.check_state(circuit, f"random circuit, seed {seed}", precision=precision)

    def test_barrier_and_id_are_harmless(self) -> None:
        """A barrier on some qubits, a barrier on all, and id change nothing."""
        usable = [op for op in GATES if self.offered.runs(op)]
        halves = scrambled(3, 6, usable), scrambled(3, 7, usable)
        idle = [Instruction(Op.BARRIER, (0, 2)), Instruction(Op.BARRIER, (2, 1, 0)), Instruction(Op.ID, (1,))]
        self.check_state(from_instructions(3, 0, [*halves[0], *idle, *halves[1]]), "barrier and id between two halves")

    def test_every_operation_kind_is_known(self) -> None:
        """The manifest names no operation that the vocabulary lacks."""
        named = (self.offered.operations or frozenset()) | self.offered.restricted_operations
        unknown = sorted(named - {spec.name for spec in OPERATIONS.values()})
        if unknown:
            pytest.fail(
                f"capabilities.operations or restricted_operations names {unknown}, which the vocabulary lacks",
                pytrace=False,
            )
