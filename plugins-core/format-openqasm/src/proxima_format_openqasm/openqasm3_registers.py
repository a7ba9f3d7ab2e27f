"""Qubits and classical bits of an OpenQASM 3 circuit, and the expressions that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from openqasm3 import ast

from proxima_format_openqasm.openqasm3_constants import Constant, Evaluator
from proxima_format_openqasm.openqasm3_syntax import located
from proxima_format_openqasm.source import MAX_BITS

Kind: TypeAlias = Literal["qubit", "bit"]

_PHYSICAL = re.compile(r"\$(\d{1,9})", re.ASCII)


class Bits(NamedTuple):
    """What an operand names; ``single`` is false for a register, over which operations broadcast."""

    bits: Sequence[int]
    single: bool


class Registers:
    """Declared registers, aliases and physical qubits by name."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.names: dict[Kind, dict[str, Bits]] = {"qubit": {}, "bit": {}}
        self.sizes: dict[Kind, list[tuple[str, int]]] = {"qubit": [], "bit": []}
        self._totals: dict[Kind, int] = {"qubit": 0, "bit": 0}
        self._physical = False

    def total(self, kind: Kind) -> int:
        """How many bits of this kind there are."""
        return self._totals[kind]

    def declare(self, kind: Kind, name: str, size: int | None, node: ast.QASMNode) -> Bits:
        """Adds a register, or a single bit where ``size`` is ``None``."""
        length = 1 if size is None else size
        start = self._totals[kind]
        if length < 0 or start + length > MAX_BITS:
            raise self._error(f"the {kind}s number {start + length:,}; the limit is {MAX_BITS:,}", node, name)
        if kind == "qubit" and self._physical:
            raise self._error("a circuit has either declared or physical qubits, not both", node, name)
        self._totals[kind] = start + length
        self.sizes[kind].append((name, length))
        self.names[kind][name] = Bits(range(start, start + length), size is None)
        return self.names[kind][name]

    def alias(self, name: str, value: ast.Expression, names: Mapping[str, Constant]) -> None:
        """Gives bits a further name."""
        for kind in self.names:
            bits = self.find(value, kind, names)
            if bits is not None:
                self.names[kind][name] = bits
                return
        raise self._error("an alias names qubits or bits", value, name)

    def bits(self, node: ast.QASMNode, kind: Kind, names: Mapping[str, Constant]) -> Bits:
        """The bits that an operand names.

        Raises:
            CircuitSyntaxError: It names none, or an index is out of range.
        """
        found = self.find(node, kind, names)
        if found is None:
            text = _text(node)
            known = [f"{name}[{size}]" for name, size in self.sizes[kind][:10]]
            hint = f"declared are: {', '.join(known)}" if known else f"no {kind} is declared so far"
            raise self._error(f"not a declared {kind}", node, text, hint=hint)
        return found

    def find(self, node: ast.QASMNode, kind: Kind, names: Mapping[str, Constant]) -> Bits | None:
        """The bits that an expression names; ``None`` if it names none of this kind."""
        match node:
            case ast.Identifier(name=name):
                if kind == "qubit" and name.startswith("$"):
                    return self._physical_qubit(name, node)
                return self.names[kind].get(name)
            case ast.IndexedIdentifier(name=identifier, indices=indices):
                base = self.find(identifier, kind, names)
                for index in indices:
                    base = base and self._indexed(base, index, node, names)
                return base
            case ast.IndexExpression(collection=collection, index=index):
                base = self.find(collection, kind, names)
                return base and self._indexed(base, index, node, names)
            case ast.Concatenation(lhs=left, rhs=right):
                first, second = self.find(left, kind, names), self.find(right, kind, names)
                if first is None or second is None:
                    return None
                joined = (*first.bits, *second.bits)
                if len(set(joined)) != len(joined):
                    raise self._error(f"the same {kind} twice in a concatenation", node)
                return Bits(joined, False)
        return None

    def _physical_qubit(self, name: str, node: ast.QASMNode) -> Bits:
        match = _PHYSICAL.fullmatch(name)
        if match is None or int(match[1]) >= MAX_BITS:
            raise self._error(f"physical qubits are $0 to ${MAX_BITS - 1}", node, name)
        if self.sizes["qubit"]:
            raise self._error("a circuit has either declared or physical qubits, not both", node, name)
        self._physical = True
        index = int(match[1])
        self._totals["qubit"] = max(self._totals["qubit"], index + 1)
        return Bits((index,), True)

    def _indexed(
        self,
        base: Bits,
        index: ast.DiscreteSet | Sequence[ast.Expression | ast.RangeDefinition],
        node: ast.QASMNode,
        names: Mapping[str, Constant],
    ) -> Bits:
        size = len(base.bits)
        if base.single:
            raise self._error("a single bit cannot be indexed", node, _text(node))
        if isinstance(index, ast.DiscreteSet):
            where = [self.evaluator.integer(value, names, "an index") for value in index.values]
            return Bits([base.bits[self._checked(i, size, node)] for i in where], False)
        if len(index) != 1:
            raise self._error("registers have one dimension", node, _text(node))
        (element,) = index
        if not isinstance(element, ast.RangeDefinition):
            at = self._checked(self.evaluator.integer(element, names, "an index"), size, node)
            return Bits(base.bits[at : at + 1], True)
        steps = range_of(element, self.evaluator, names, size)
        if len(steps) > size:
            raise self._error(f"index out of range: the register has {size} bits, counted from 0", node, _text(node))
        return Bits([base.bits[self._checked(i, size, node)] for i in steps], False)

    def _checked(self, index: int, size: int, node: ast.QASMNode) -> int:
        if not -size <= index < size:
            raise self._error(
                f"index {index} out of range: the register has {size} bits, counted from 0", node, _text(node)
            )
        return index % size

    def _error(self, message: str, node: ast.QASMNode, token: str = "", *, hint: str | None = None) -> Exception:
        return located(message, node, self.evaluator.path, token, hint=hint)


def range_of(
    node: ast.RangeDefinition, evaluator: Evaluator, names: Mapping[str, Constant], size: int | None = None
) -> range:
    """The integers ``start:step:end``, the end included; in a register of ``size`` bits negative ones count back."""

    def bound(expression: ast.Expression | None, default: int | None, what: str) -> int:
        if expression is None:
            if default is None:
                raise located(f"the range lacks its {what}", node, evaluator.path)
            return default
        value = evaluator.integer(expression, names, f"the {what} of a range")
        return value + size if size is not None and value < 0 and what != "step" else value

    step = bound(node.step, 1, "step")
    if step == 0:
        raise located("the step of a range is 0", node, evaluator.path)
    start = bound(node.start, 0 if size is not None else None, "start")
    end = bound(node.end, size - 1 if size is not None else None, "end")
    return range(start, end + (1 if step > 0 else -1), step)


def _text(node: ast.QASMNode) -> str:
    match node:
        case ast.Identifier(name=name):
            return name
        case ast.IndexedIdentifier(name=ast.Identifier(name=name)):
            return name
        case ast.IndexExpression(collection=collection):
            return _text(collection)
    return ""
