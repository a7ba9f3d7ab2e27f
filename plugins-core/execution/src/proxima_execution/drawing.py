"""A circuit as text: a diagram where it is small, else a listing of its operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxima.cli.output import clean
from proxima.contracts.circuit import Circuit, Instruction, Parameter
from proxima.contracts.operations import Op

MAX_QUBITS = 32
MAX_OPERATIONS = 400

_CONTROLS = {
    Op.CX: 1, Op.CY: 1, Op.CZ: 1, Op.CH: 1, Op.CSX: 1, Op.CRX: 1, Op.CRY: 1, Op.CRZ: 1, Op.CP: 1, Op.CU: 1,
    Op.CCX: 2, Op.CCZ: 2, Op.CSWAP: 1,
}  # fmt: skip
_TARGET = {
    Op.CX: "X", Op.CY: "Y", Op.CZ: "Z", Op.CH: "H", Op.CSX: "SX", Op.CRX: "RX", Op.CRY: "RY", Op.CRZ: "RZ",
    Op.CP: "P", Op.CU: "U", Op.CCX: "X", Op.CCZ: "Z", Op.CSWAP: "x", Op.SWAP: "x",
}  # fmt: skip


def draw(circuit: Circuit, width: int) -> str:
    """A diagram of at most ``width`` columns, in several blocks where it is longer; a listing where it is large."""
    if circuit.num_qubits > MAX_QUBITS or len(circuit) > MAX_OPERATIONS:
        return "\n".join(listing(circuit, width))
    return _diagram(circuit, width)


def listing(circuit: Circuit, width: int, limit: int = 1000) -> Iterable[str]:
    """One line for each operation, numbered, up to ``limit``."""
    names = qubit_names(circuit)
    for row, ins in enumerate(circuit):
        if row == limit:
            yield f"... {len(circuit) - limit} more operations"
            return
        text = f"{row:>6}  {_named(ins, ins.op.name.lower())} {', '.join(names[q] for q in ins.qubits)}"
        if ins.clbit >= 0:
            text += f" -> c{ins.clbit}"
        if ins.condition is not None:
            text += f"  {_condition(ins)}"
        yield text if len(text) <= width else text[: width - 2] + ".."


def qubit_names(circuit: Circuit) -> list[str]:
    """``q[0]``, ``q[1]``, ...: register names with indices, in order of the qubits."""
    return [f"{clean(r.name)}[{i}]" for r in circuit.qregs for i in range(r.size)]


def _named(ins: Instruction, name: str) -> str:
    """The name with the operation's parameters, e.g. ``RX(pi/2)``."""
    return f"{name}({','.join(map(_angle, ins.params))})" if ins.params else name


def _angle(value: float | Parameter) -> str:
    if isinstance(value, Parameter):
        factor = "" if value.coefficient == 1 else f"{value.coefficient:.4g}*"
        return f"{factor}{clean(value.name)}"
    for denominator in (1, 2, 3, 4, 6, 8, 16, 32, 64):
        numerator = value * denominator / math.pi
        if numerator and abs(numerator - round(numerator)) < 1e-9 and abs(numerator) < 100:
            n = round(numerator)
            head = {1: "pi", -1: "-pi"}.get(n, f"{n}pi")
            return head if denominator == 1 else f"{head}/{denominator}"
    return f"{value:.4g}"


def _condition(ins: Instruction) -> str:
    assert ins.condition is not None
    bits = ",".join(f"c{c}" for c in ins.condition.clbits)
    return f"if {bits} {'!=' if ins.condition.negated else '=='} {ins.condition.value}"


@dataclass(slots=True)
class _Column:
    """One column of the diagram: what stands on each wire, and which wires a vertical line crosses or leaves."""

    cells: dict[int, str]
    crossed: set[int]
    below: set[int]  # wires under which the vertical line goes on

    @property
    def width(self) -> int:
        return max((len(text) for text in self.cells.values()), default=1)


def _cells(ins: Instruction) -> dict[int, str]:
    if ins.op is Op.MEASURE:
        return {ins.qubits[0]: f"M:c{ins.clbit}"}
    if ins.op is Op.BARRIER:
        return dict.fromkeys(ins.qubits, "|")
    controls = _CONTROLS.get(ins.op, 0)
    text = _named(ins, _TARGET.get(ins.op, ins.op.name))
    if ins.condition is not None:
        text += f" {_condition(ins)}"
    cells = dict.fromkeys(ins.qubits[:controls], "o")
    targets = ins.qubits[controls:]
    # The order of the qubits matters for a gate that is no control and no exchange: it is written with the name.
    ordered = len(targets) > 1 and ins.op not in (Op.SWAP, Op.CSWAP, Op.RXX, Op.RYY, Op.RZZ, Op.ISWAP)
    for place, qubit in enumerate(targets):
        cells[qubit] = f"{text}:{place}" if ordered else text
    return cells


def _columns(circuit: Circuit) -> list[_Column]:
    """Each operation in the leftmost column after all that share a wire it spans or a classical bit it needs."""
    columns: list[_Column] = []
    wires = [0] * circuit.num_qubits
    bits = [0] * circuit.num_clbits
    for ins in circuit:
        low, high = min(ins.qubits, default=0), max(ins.qubits, default=-1)
        span = list(ins.qubits) if ins.op is Op.BARRIER else list(range(low, high + 1))
        used = [ins.clbit] if ins.clbit >= 0 else []
        if ins.condition is not None:
            used += ins.condition.clbits
        place = max([wires[w] for w in span] + [bits[b] for b in used], default=0)
        if not span:
            continue
        while len(columns) <= place:
            columns.append(_Column({}, set(), set()))
        column = columns[place]
        column.cells.update(_cells(ins))
        if ins.op is not Op.BARRIER:
            column.crossed.update(set(span) - set(ins.qubits))
            column.below.update(range(low, high))
        for wire in span:
            wires[wire] = place + 1
        for bit in used:
            bits[bit] = place + 1
    return columns


def _diagram(circuit: Circuit, width: int) -> str:
    names = qubit_names(circuit)
    head = max(map(len, names), default=0) + 2
    blocks: list[list[_Column]] = [[]]
    room = width - head - 2
    for column in _columns(circuit):
        need = column.width + 2
        if blocks[-1] and need > room:
            blocks.append([])
            room = width - head - 2
        blocks[-1].append(column)
        room -= need
    texts = [_block(names, head, block, width) for block in blocks]
    return "\n\n".join(texts)


def _block(names: Sequence[str], head: int, block: Sequence[_Column], width: int) -> str:
    lines: list[str] = []
    for wire, name in enumerate(names):
        line, gap = f"{name:>{head - 2}}: ", " " * head
        for column in block:
            text = column.cells.get(wire) or ("|" if wire in column.crossed else "")
            line += "-" + text.center(column.width, "-") + "-"
            gap += " " + ("|" if wire in column.below else " ").center(column.width) + " "
        lines.append(line[: width - 3] + "..." if len(line) > width else line)
        if any(wire in column.below for column in block):
            lines.append(gap[:width].rstrip())
    return "\n".join(lines)
