"""Gates by name: one of the vocabulary, or a definition compiled to a template that calls expand.

A definition is read once. Each call evaluates its angle programs and gives a `Flat`, whose columns are copied into the
circuit's; flats are remembered, so that a gate called with the same angles costs a copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from proxima.contracts.operations import OPERATIONS, Op
from proxima_format_openqasm.expressions import Program, evaluate

COMPOSITE = -1
MAX_DEPTH = 200
"""How deep gate definitions may call each other."""

_REMEMBERED_ROWS = 4096
_REMEMBERED_CALLS = 64


class Step(NamedTuple):
    """One call in a gate's body.

    Attributes:
        programs: Its angles, from the parameters of the gate being defined.
        slots: Which of that gate's qubits it acts on.
    """

    gate: Gate
    programs: tuple[Program, ...]
    slots: tuple[int, ...]


@dataclass(slots=True)
class Flat:
    """A gate's operations for given angles; ``slots`` are positions among the gate's qubits.

    ``lengths`` gives (row, number of qubits) for the rows, barriers, whose operation code does not tell.
    """

    ops: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    params: list[float] = field(default_factory=list)
    lengths: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Gate:
    """What a name in a circuit stands for.

    Attributes:
        op: The vocabulary's operation, or `COMPOSITE`.
        before, after: Fixed parameters around the given ones: u2(a, b) is u(pi/2, a, b).
        steps: The body of a composite gate.
        opaque: Name of the opaque gate that this one is or uses; such a gate cannot be called.
        size: How many operations a call makes.
        depth: How deep its definition nests.
    """

    name: str
    num_params: int
    num_qubits: int
    op: int = COMPOSITE
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    steps: tuple[Step, ...] = ()
    opaque: str = ""
    size: int = 1
    depth: int = 0
    _flats: dict[tuple[float, ...], Flat] = field(default_factory=dict)

    def flat(self, values: tuple[float, ...]) -> Flat:
        """The operations of one call.

        Raises:
            ExpressionError: An angle has no finite real value.
        """
        known = self._flats.get(values)
        if known is not None:
            return known
        out = Flat()
        if self.op != COMPOSITE:
            out.ops.append(self.op)
            out.slots.extend(range(self.num_qubits))
            out.params.extend((*self.before, *values, *self.after))
            if not OPERATIONS[Op(self.op)].num_qubits:
                out.lengths.append((0, self.num_qubits))
            return out
        for gate, programs, slots in self.steps:
            inner = gate.flat(tuple([evaluate(p, values) for p in programs]))
            if inner.lengths:
                out.lengths.extend((len(out.ops) + row, length) for row, length in inner.lengths)
            out.ops.extend(inner.ops)
            out.slots.extend([slots[s] for s in inner.slots])
            out.params.extend(inner.params)
        if self.size <= _REMEMBERED_ROWS or not self.num_params:
            if len(self._flats) >= _REMEMBERED_CALLS:
                self._flats.clear()
            self._flats[values] = out
        return out


def native(name: str, op: Op, *, before: tuple[float, ...] = (), after: tuple[float, ...] = ()) -> Gate:
    """A gate that is one of the vocabulary's."""
    spec = OPERATIONS[op]
    return Gate(name, len(spec.params) - len(before) - len(after), spec.num_qubits, int(op), before, after)


def barrier(num_qubits: int) -> Gate:
    """A barrier in a gate's body; it takes room for each of its qubits."""
    return Gate("barrier", 0, num_qubits, int(Op.BARRIER), size=num_qubits)


def composite(name: str, num_params: int, num_qubits: int, steps: list[Step]) -> Gate:
    """A gate by its body; calls that make no operation are left out."""
    return Gate(
        name,
        num_params,
        num_qubits,
        steps=tuple(step for step in steps if step.gate.size),
        opaque=next((step.gate.opaque for step in steps if step.gate.opaque), ""),
        size=sum(step.gate.size for step in steps),
        depth=1 + max((step.gate.depth for step in steps), default=0),
    )
