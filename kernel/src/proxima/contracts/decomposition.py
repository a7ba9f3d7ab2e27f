"""Writing a circuit in the operations that a backend knows, up to a global phase, which a circuit does not have.

Which rule (`gate_rules`) is taken for each gate is found once for each set of known operations.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from proxima.contracts.circuit import Circuit, Columns
from proxima.contracts.gate_rules import RULES, Rule
from proxima.contracts.matrices import Matrix, kraus, unitary
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.contracts.two_qubit import interaction_of
from proxima.errors import UnsupportedError


class Step(NamedTuple):
    """One operation of those that stand for a gate; ``qubits`` are positions among the gate's own."""

    op: Op
    qubits: tuple[int, ...]
    params: tuple[float, ...]
    matrices: tuple[Matrix, ...] = ()


_AS_UNITARY = {1: 1.0, 2: 1.0, 3: 20.0}
"""What a matrix in place of a named gate counts as, in gates; by qubits."""
_AS_KRAUS = 4.0
_NOTHING = 1e-14  # an angle that rounding alone may give


def angles_of(matrix: Matrix) -> tuple[float, float, float]:
    """The parameters of the gate ``u`` that is a unitary of shape (2, 2) up to a global phase."""
    (a, b), (c, d) = matrix.tolist()
    theta = 2 * math.atan2(abs(c), abs(a))
    if abs(a) < 1e-12:
        return theta, cmath.phase(c), cmath.phase(-b)
    if abs(c) < 1e-12:
        return theta, 0.0, cmath.phase(d) - cmath.phase(a)
    return theta, cmath.phase(c) - cmath.phase(a), cmath.phase(-b) - cmath.phase(a)


def undecomposable(ops: Collection[Op], known: Collection[Op]) -> list[str]:
    """Names of the operations that cannot be written in known ones; that of a matrix depends on its size."""
    ways = _ways(frozenset(known))
    return sorted(OPERATIONS[op].name for op in ops if op not in known and op not in ways and op is not Op.UNITARY)


def decompose(circuit: Circuit, known: Collection[Op]) -> Circuit:
    """The circuit in known operations, equal to the given one up to a global phase; itself where it is so already.

    Conditions stay with every operation that stands for a conditioned one. A channel becomes another channel or its
    Kraus operators; a barrier or an identity that is not known is left out.

    Raises:
        UnsupportedError: Operations that cannot be written so, each named.
    """
    known = frozenset(known)
    c = circuit.columns
    present = {Op(code) for code in np.unique(c.ops).tolist()}
    if present <= known:
        return circuit
    missing = undecomposable(present, known)
    if missing:
        raise UnsupportedError(f"{', '.join(missing)} cannot be written in the operations it has")
    return _Writer(circuit, known).circuit()


class _Template(NamedTuple):
    """The steps that stand for one operation, as pieces of columns; ``qubits`` are positions among its own."""

    ops: list[int]
    qubits: list[int]
    sizes: list[int]
    params: list[float]
    param_counts: list[int]
    payloads: list[int]


class _Writer:
    """Writes the rows of the new table."""

    def __init__(self, circuit: Circuit, known: frozenset[Op]) -> None:
        self._circuit = circuit
        self._known = known
        self._payloads = list(circuit.payloads)

    def circuit(self) -> Circuit:
        """The circuit in known operations."""
        c = self._circuit.columns
        out = _Template([], [], [], [], [], [])
        refs: list[int] = []
        clbits: list[int] = []
        conditions: list[int] = []
        known = {int(op) for op in self._known}
        templates: dict[tuple[Any, ...], _Template] = {}
        all_refs, p_off = c.param_refs.tolist(), c.param_offsets.tolist()
        side = zip(c.clbits.tolist(), c.conditions.tolist(), c.payloads.tolist(), strict=True)
        for i, ((code, qubits, params), (clbit, condition, payload)) in enumerate(
            zip(self._circuit.rows(), side, strict=True)
        ):
            if code in known:
                out.ops.append(code)
                out.qubits.extend(qubits)
                out.sizes.append(len(qubits))
                out.params.extend(params)
                out.param_counts.append(len(params))
                out.payloads.append(payload)
                refs += all_refs[p_off[i] : p_off[i + 1]]
                clbits.append(clbit)
                conditions.append(condition)
                continue
            key = (code, payload, *params)
            made = templates.get(key)
            if made is None:
                if any(ref >= 0 for ref in all_refs[p_off[i] : p_off[i + 1]]):
                    raise UnsupportedError(
                        f"{OPERATIONS[Op(code)].name} has an open parameter, and it does not know it"
                    )
                made = templates[key] = self._template(Op(code), len(qubits), tuple(params), payload)
            out.ops.extend(made.ops)
            out.qubits.extend([qubits[q] for q in made.qubits])
            out.sizes.extend(made.sizes)
            out.params.extend(made.params)
            out.param_counts.extend(made.param_counts)
            out.payloads.extend(made.payloads)
            refs += [-1] * len(made.params)
            clbits += [-1] * len(made.ops)
            conditions += [condition] * len(made.ops)
        columns = Columns(
            np.array(out.ops, dtype=np.uint8),
            np.array([0, *accumulate(out.sizes)], dtype=np.int32),
            np.array(out.qubits, dtype=np.int32),
            np.array([0, *accumulate(out.param_counts)], dtype=np.int32),
            np.array(out.params, dtype=np.float64),
            *(np.array(column, dtype=np.int32) for column in (refs, clbits, conditions, out.payloads)),
        )
        return replace(self._circuit, columns=columns, payloads=tuple(self._payloads))

    def _template(self, op: Op, size: int, params: tuple[float, ...], payload: int) -> _Template:
        out = _Template([], [], [], [], [], [])
        for step in self._steps(op, size, params, payload):
            out.ops.append(step.op)
            out.qubits.extend(step.qubits)
            out.sizes.append(len(step.qubits))
            out.params.extend(step.params)
            out.param_counts.append(len(step.params))
            out.payloads.append(len(self._payloads) if step.matrices else -1)
            if step.matrices:
                self._payloads.append(step.matrices)
        return out

    def _steps(self, op: Op, size: int, params: tuple[float, ...], payload: int) -> list[Step]:
        if op is not Op.UNITARY:
            return _expanded(op, params, tuple(range(size)), self._known)
        pieces = _pieces(self._circuit.payloads[payload][0], size)
        reached = self._known | _ways(self._known).keys()
        if not pieces or not {piece.op for piece in pieces} <= reached:
            raise UnsupportedError(f"unitary on {size} qubits cannot be written in the operations it has")
        return [step for p in pieces for step in _expanded(p.op, p.params, p.qubits, self._known)]


def _pieces(matrix: Matrix, size: int) -> list[Step]:
    """A unitary matrix on one or two qubits as named gates; none where it is on more."""
    if size == 1:
        return [Step(Op.U, (0,), angles_of(matrix))]
    if size != 2:
        return []
    before, angles, after = interaction_of(matrix)
    steps = [Step(Op.U, (q,), angles_of(before[q])) for q in (0, 1)]
    for op, angle in zip((Op.RXX, Op.RYY, Op.RZZ), angles, strict=True):
        if abs(angle) > _NOTHING:
            steps.append(Step(op, (0, 1), (-2 * angle,)))
    return steps + [Step(Op.U, (q,), angles_of(after[q])) for q in (0, 1)]


def _expanded(op: Op, params: tuple[float, ...], qubits: tuple[int, ...], known: frozenset[Op]) -> list[Step]:
    if op in known:
        return [Step(op, qubits, params)]
    rule = _ways(known)[op]
    if rule is None:
        if op in CHANNELS:
            return [Step(Op.KRAUS, qubits, (), kraus(op, params))]
        return [Step(Op.UNITARY, qubits, (), (unitary(op, params),))]
    found: list[Step] = []
    for inner, *rest in rule(*params):
        count = len(OPERATIONS[inner].params)
        found += _expanded(inner, tuple(rest[:count]), tuple(qubits[q] for q in rest[count:]), known)
    return found


@cache
def _uses(op: Op) -> tuple[tuple[Rule, tuple[Op, ...]], ...]:
    """The rules of an operation, each with the operations it takes, whatever the parameters."""
    some = (0.25,) * len(OPERATIONS[op].params)
    return tuple((rule, tuple(step[0] for step in rule(*some))) for rule in RULES.get(op, ()))


@cache
def _ways(known: frozenset[Op]) -> dict[Op, Rule | None]:
    """For each operation that can be written in known ones the rule that takes the fewest; ``None`` for its matrix.

    A Clifford gate is written in Clifford gates where that can be, so that a stabiliser method can still run it.
    """
    costs: dict[Op, float] = dict.fromkeys(known, 1.0)
    ways: dict[Op, Rule | None] = {}
    others = [op for op in RULES if op not in known]
    _settle(costs, ways, [op for op in others if OPERATIONS[op].clifford], clifford=True)
    for op in (GATES | CHANNELS) - costs.keys() - {Op.UNITARY, Op.KRAUS}:
        if op in GATES and Op.UNITARY in known:
            costs[op], ways[op] = _AS_UNITARY[OPERATIONS[op].num_qubits], None
        elif op in CHANNELS and Op.KRAUS in known:
            costs[op], ways[op] = _AS_KRAUS, None
    _settle(costs, ways, [op for op in others if ways.get(op) is None], clifford=False)
    return ways


def _settle(costs: dict[Op, float], ways: dict[Op, Rule | None], ops: Collection[Op], *, clifford: bool) -> None:
    """Takes cheaper rules for the operations, of those with Clifford steps alone or of all, until none is cheaper."""
    rules = [(op, rule, needed) for op in ops for rule, needed in _uses(op)]
    if clifford:
        rules = [each for each in rules if all(OPERATIONS[inner].clifford for inner in each[2])]
    changed = True
    while changed:  # costs only fall, and each rule leads to finitely many
        changed = False
        for op, rule, needed in rules:
            cost = sum(costs.get(each, math.inf) for each in needed)
            if cost < costs.get(op, math.inf):
                costs[op], ways[op], changed = cost, rule, True
