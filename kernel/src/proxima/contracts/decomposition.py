"""Writing a circuit in the operations that a backend knows, up to a global phase, which a circuit does not have.

Which rule (`gate_rules`) is taken for each gate is found once for each set of known operations.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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


class _Group(NamedTuple):
    """Rows that become the same operations.

    Attributes:
        rows: Their numbers, shape (r,).
        ops, sizes, param_counts: The operations that stand for one row, and how many qubits and parameters each takes.
        qubits: Positions among the row's own qubits, for all of these one after the other.
        params: Shape (r, p).
        param_refs: Shape (r, p): which parameters are open, where any is.
        payloads: Of these operations; ``None``: each row's own.
    """

    rows: npt.NDArray[np.int64]
    ops: Sequence[int]
    sizes: Sequence[int]
    param_counts: Sequence[int]
    qubits: Sequence[int]
    params: npt.NDArray[np.float64]
    param_refs: npt.NDArray[np.int32] | None = None
    payloads: Sequence[int] | None = None


class _Writer:
    """Writes a circuit's table anew, group by group; rows of one operation are computed at once."""

    def __init__(self, circuit: Circuit, known: frozenset[Op]) -> None:
        self._circuit = circuit
        self._known = known
        self._payloads = list(circuit.payloads)

    def circuit(self) -> Circuit:
        """The circuit in known operations."""
        columns = self._circuit.columns
        sizes = np.diff(columns.qubit_offsets)
        groups: list[_Group] = []
        for code in np.unique(columns.ops).tolist():
            of_op = np.flatnonzero(columns.ops == code)
            for size in np.unique(sizes[of_op]).tolist():
                groups += self._groups(Op(code), size, of_op[sizes[of_op] == size])
        made = _columns(self._circuit, groups)
        return replace(self._circuit, columns=made, payloads=tuple(self._payloads))

    def _groups(self, op: Op, size: int, rows: npt.NDArray[np.int64]) -> list[_Group]:
        """The groups that rows of one operation on so many qubits make."""
        c = self._circuit.columns
        count = len(OPERATIONS[op].params)
        at = c.param_offsets[rows][:, None] + np.arange(count)
        params, refs = c.params[at], c.param_refs[at]
        if op in self._known:
            return [_Group(rows, [op], [size], [count], range(size), params, refs)]
        if (refs >= 0).any():
            raise UnsupportedError(f"{OPERATIONS[op].name} has an open parameter, and it does not know it")
        if op in GATES and op is not Op.UNITARY:
            zero = self._steps(op, size, (0.0,) * count, -1)
            if not any(step.matrices for step in zero):
                # Every rule of a gate is affine in its angles.
                start = _params(zero)
                turns = [_params(self._steps(op, size, tuple(e), -1)) - start for e in np.eye(count).tolist()]
                slope = np.array(turns).reshape(count, len(start))
                return [_group(rows, zero, start + params @ slope)]
        # What becomes matrices, or is made of them, is computed once for each set of parameters.
        keys = np.column_stack([params, c.payloads[rows]])
        different, which, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        alike = np.split(rows[np.argsort(which.ravel(), kind="stable")], counts.cumsum()[:-1])
        groups = []
        for key, mine in zip(different.tolist(), alike, strict=True):
            steps = self._steps(op, size, tuple(key[:-1]), int(key[-1]))
            payloads = []
            for step in steps:
                payloads.append(len(self._payloads) if step.matrices else -1)
                if step.matrices:
                    self._payloads.append(step.matrices)
            groups.append(_group(mine, steps, np.tile(_params(steps), (len(mine), 1)), payloads))
        return groups

    def _steps(self, op: Op, size: int, params: tuple[float, ...], payload: int) -> list[Step]:
        if op is not Op.UNITARY:
            return _expanded(op, params, tuple(range(size)), self._known)
        pieces = _pieces(self._circuit.payloads[payload][0], size)
        reached = self._known | _ways(self._known).keys()
        if not pieces or not {piece.op for piece in pieces} <= reached:
            raise UnsupportedError(f"unitary on {size} qubits cannot be written in the operations it has")
        return [step for p in pieces for step in _expanded(p.op, p.params, p.qubits, self._known)]


def _params(steps: Sequence[Step]) -> npt.NDArray[np.float64]:
    return np.array([param for step in steps for param in step.params], dtype=np.float64)


def _group(
    rows: npt.NDArray[np.int64],
    steps: Sequence[Step],
    params: npt.NDArray[np.float64],
    payloads: Sequence[int] | None = None,
) -> _Group:
    return _Group(
        rows,
        [step.op for step in steps],
        [len(step.qubits) for step in steps],
        [len(step.params) for step in steps],
        [qubit for step in steps for qubit in step.qubits],
        params,
        payloads=[-1] * len(steps) if payloads is None else payloads,
    )


def _columns(circuit: Circuit, groups: Sequence[_Group]) -> Columns:
    """The table in which each row of the circuit is replaced by its group's operations."""
    c = circuit.columns
    lengths = np.zeros((3, len(circuit)), dtype=np.int64)  # operations, qubits and parameters that stand for each row
    for group in groups:
        lengths[:, group.rows] = [[len(group.ops)], [len(group.qubits)], [group.params.shape[1]]]
    ends = lengths.cumsum(axis=1)
    starts = ends - lengths
    rows, many_qubits, many_params = (int(end) for end in ends[:, -1])
    ops = np.zeros(rows, dtype=np.uint8)
    sizes, param_counts = np.zeros((2, rows), dtype=np.int64)
    clbits, conditions, payloads = np.full((3, rows), -1, dtype=np.int32)
    qubits = np.zeros(many_qubits, dtype=np.int32)
    params = np.zeros(many_params, dtype=np.float64)
    refs = np.full(many_params, -1, dtype=np.int32)
    for group in groups:
        at, qubits_at, params_at = (
            starts[kind, group.rows][:, None] + np.arange(size)
            for kind, size in enumerate((len(group.ops), len(group.qubits), group.params.shape[1]))
        )
        ops[at], sizes[at], param_counts[at] = group.ops, group.sizes, group.param_counts
        conditions[at] = c.conditions[group.rows][:, None]
        qubits[qubits_at] = c.qubits[c.qubit_offsets[group.rows][:, None] + np.array(group.qubits, dtype=np.int64)]
        params[params_at] = group.params
        if group.param_refs is not None:
            refs[params_at] = group.param_refs
        if group.payloads is None:
            clbits[at], payloads[at] = c.clbits[group.rows][:, None], c.payloads[group.rows][:, None]
        else:
            payloads[at] = group.payloads
    return Columns(ops, _offsets(sizes), qubits, _offsets(param_counts), params, refs, clbits, conditions, payloads)


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], lengths.cumsum()]).astype(np.int32)


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
