"""Conditions of OpenQASM 3 as the circuit's `Condition`: bits that equal a number, or differ from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from openqasm3 import ast

from proxima.contracts.circuit import Condition
from proxima_format_openqasm.affine import Affine
from proxima_format_openqasm.openqasm3_constants import Constant, Evaluator
from proxima_format_openqasm.openqasm3_syntax import located

Truth: TypeAlias = Condition | bool
"""A condition, or what it is known to be while reading."""

# The classical bits an expression names, or None if it names none.
Bits: TypeAlias = Callable[[ast.Expression], tuple[int, ...] | None]


def negate(truth: Truth) -> Truth:
    """The opposite."""
    if isinstance(truth, bool):
        return not truth
    return normal(Condition(truth.clbits, truth.value, not truth.negated))


def normal(condition: Condition) -> Truth:
    """The condition, with "one bit differs from 1" written "equals 0", and one that cannot hold as False."""
    size = len(condition.clbits)
    if not 0 <= condition.value < 2**size:
        return condition.negated
    if condition.negated and size == 1:
        return Condition(condition.clbits, 1 - condition.value)
    return condition


def both(a: Truth, b: Truth) -> Truth | None:
    """The conjunction; ``None`` where no single `Condition` says it."""
    if isinstance(a, bool):
        return b if a else False
    if isinstance(b, bool):
        return a if b else False
    if a == b:
        return a
    if a.negated or b.negated:
        return None
    wanted: dict[int, int] = {}
    for condition in (a, b):
        for i, bit in enumerate(condition.clbits):
            value = condition.value >> i & 1
            if wanted.setdefault(bit, value) != value:
                return False
    return Condition(tuple(wanted), sum(value << i for i, value in enumerate(wanted.values())))


class ConditionReader:
    """Reads condition expressions of one file."""

    def __init__(self, evaluator: Evaluator, bits: Bits, names: Mapping[str, Constant]) -> None:
        self.evaluator = evaluator
        self.bits = bits
        self.names = names

    def read(self, node: ast.Expression) -> Truth:
        """The condition an expression stands for.

        Raises:
            CircuitSyntaxError: No single comparison of bits with a number says it.
        """
        bits = self.bits(node)
        if bits is not None:
            # A register by itself is true where it is not zero.
            return normal(Condition(bits, 0, negated=True))
        match node:
            case ast.UnaryExpression(op=op, expression=inner) if op.name == "!" or op.name == "~":
                if op.name == "~" and len(self.bits(inner) or ()) != 1:
                    raise self._refused(node, "~ of anything but one bit")
                return negate(self.read(inner))
            case ast.BinaryExpression(op=op, lhs=left, rhs=right) if op.name in ("&&", "||"):
                first, second = self.read(left), self.read(right)
                if op.name == "||":
                    first, second = negate(first), negate(second)
                joined = both(first, second)
                if joined is None:
                    raise self._refused(node, f"this use of {op.name}")
                return negate(joined) if op.name == "||" else joined
            case ast.BinaryExpression(op=op, lhs=left, rhs=right) if op.name in ("==", "!="):
                return self._comparison(node, op.name, left, right)
        value = self.evaluator.value(node, self.names)
        if isinstance(value, Affine):
            raise self._refused(node, "an open parameter")
        return bool(value)

    def _comparison(self, node: ast.Expression, op: str, left: ast.Expression, right: ast.Expression) -> Truth:
        bits = self.bits(left)
        if bits is None:
            left, right = right, left
            bits = self.bits(left)
        if bits is None:
            # Neither side names bits: comparing two conditions (or their constants) is not supported.
            value = self.evaluator.value(node, self.names)
            if isinstance(value, Affine):
                raise self._refused(node, "an open parameter")
            return bool(value)
        if self.bits(right) is not None:
            raise self._refused(node, "a comparison of bits with bits")
        if isinstance(right, ast.BitstringLiteral):
            if right.width != len(bits):
                raise located(f"compares {len(bits)} bits with {right.width}", node, self.evaluator.path)
            value_ = right.value
        else:
            value_ = self.evaluator.integer(right, self.names, "what bits are compared with")
        return normal(Condition(bits, value_, negated=op == "!="))

    def _refused(self, node: ast.Expression, what: str) -> Exception:
        return located(
            f"a condition can say that bits equal a number or differ from it; {what} is not supported",
            node,
            self.evaluator.path,
        )
