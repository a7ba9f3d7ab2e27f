"""Angle expressions of OpenQASM 2: parsed once into a postfix program, evaluated per call.

Operators by rising precedence: ``+ -``, ``* /``, unary ``-``, and ``^``, which groups to the right (-2^2 is -4).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from proxima_format_openqasm.lexer import MAX_DIGITS, Cursor


class Operation(NamedTuple):
    """One step of a program that takes its operands from the stack."""

    symbol: str
    arity: int
    apply: Callable[..., float]


# A float stands for itself, an integer for the parameter of that position.
Program: TypeAlias = Sequence[float | Operation]

MAX_NESTING = 100
"""How deep brackets, signs and powers may nest."""


class ExpressionError(ValueError):
    """An expression that has no finite real value for these parameters."""


FUNCTIONS = {
    name: Operation(name, 1, function)
    for name, function in {
        "sin": math.sin,
        "cos": math.cos,
        "tan": math.tan,
        "exp": math.exp,
        "ln": math.log,
        "sqrt": math.sqrt,
        # Not in the language's definition, but Qiskit wrote them for years.
        "asin": math.asin,
        "acos": math.acos,
        "atan": math.atan,
    }.items()
}
_NEGATE = Operation("-", 1, operator.neg)
_SUM = {"+": Operation("+", 2, operator.add), "-": Operation("-", 2, operator.sub)}
_PRODUCT = {"*": Operation("*", 2, operator.mul), "/": Operation("/", 2, operator.truediv)}
_POWER = Operation("^", 2, math.pow)


def apply(operation: Operation, operands: Sequence[float]) -> float:
    """The value of one operation.

    Raises:
        ExpressionError: It has none, or none that is finite.
    """
    try:
        value = operation.apply(*operands)
    except ZeroDivisionError:
        raise ExpressionError(f"division by zero: {operands[0]:g}/{operands[1]:g}") from None
    except OverflowError:
        raise ExpressionError(f"{_shown(operation, operands)} overflows") from None
    except ValueError:
        raise ExpressionError(f"{_shown(operation, operands)} is not a real number") from None
    if not math.isfinite(value):
        raise ExpressionError(f"{_shown(operation, operands)} overflows")
    return value


def _shown(operation: Operation, operands: Sequence[float]) -> str:
    if operation.arity == 1:
        return f"{operation.symbol}({operands[0]:g})"
    return f"{operands[0]:g} {operation.symbol} {operands[1]:g}"


def evaluate(program: Program, parameters: Sequence[float]) -> float:
    """The value of a program for these parameters.

    Raises:
        ExpressionError: A step has no finite real value.
    """
    stack: list[float] = []
    for step in program:
        if not isinstance(step, Operation):
            stack.append(parameters[step] if isinstance(step, int) else step)
        elif step.arity == 1:
            stack[-1] = apply(step, (stack[-1],))
        else:
            right = stack.pop()
            stack[-1] = apply(step, (stack[-1], right))
    return stack[-1]


def parse_expression(cursor: Cursor, parameters: dict[str, int]) -> Program:
    """The program of the expression at the cursor; constants are folded.

    Args:
        cursor: At the expression's first token; afterwards behind its last.
        parameters: Positions of the names that may occur.

    Raises:
        CircuitSyntaxError: It is not an expression, names something unknown, or divides by zero.
    """
    return _Parser(cursor, parameters).sum(0)


class _Parser:
    def __init__(self, cursor: Cursor, parameters: dict[str, int]) -> None:
        self.cursor = cursor
        self.parameters = parameters

    def sum(self, depth: int) -> list[float | Operation]:
        return self._chain(_SUM, self.product, depth)

    def product(self, depth: int) -> list[float | Operation]:
        return self._chain(_PRODUCT, self.signed, depth)

    def _chain(
        self,
        operations: dict[str, Operation],
        operand: Callable[[int], list[float | Operation]],
        depth: int,
    ) -> list[float | Operation]:
        cursor = self.cursor
        left = operand(depth)
        while cursor.kind == "symbol" and cursor.text in operations:
            operation, at = operations[cursor.text], cursor.at
            cursor.advance()
            left = self._binary(operation, left, operand(depth), at)
        return left

    def signed(self, depth: int) -> list[float | Operation]:
        cursor = self.cursor
        if depth > MAX_NESTING:
            raise cursor.error(f"the expression is nested deeper than {MAX_NESTING} levels")
        at = cursor.at
        if cursor.accept("-"):
            return self._unary(_NEGATE, self.signed(depth + 1), at)
        if cursor.accept("+"):
            return self.signed(depth + 1)
        base = self.atom(depth)
        at = cursor.at
        if cursor.accept("^"):
            return self._binary(_POWER, base, self.signed(depth + 1), at)
        return base

    def atom(self, depth: int) -> list[float | Operation]:
        cursor = self.cursor
        if cursor.accept("("):
            inside = self.sum(depth + 1)
            cursor.require(")")
            return inside
        if cursor.kind in ("integer", "real"):
            if len(cursor.text) > MAX_DIGITS or not math.isfinite(float(cursor.text)):
                raise cursor.error("the number is too large")
            value = float(cursor.text)
            cursor.advance()
            return [value]
        if cursor.kind != "name":
            raise cursor.error("expected a number, a name or '('")
        name, at = cursor.text, cursor.at
        if name in self.parameters:
            cursor.advance()
            return [self.parameters[name]]
        if name == "pi":
            cursor.advance()
            return [math.pi]
        if name not in FUNCTIONS:
            known = ", ".join((*self.parameters, "pi", *FUNCTIONS))
            raise cursor.error("unknown name in an expression", hint=f"known here: {known}")
        cursor.advance()
        cursor.require("(")
        inside = self.sum(depth + 1)
        cursor.require(")")
        return self._unary(FUNCTIONS[name], inside, at)

    def _unary(self, operation: Operation, value: list[float | Operation], at: int) -> list[float | Operation]:
        if _is_constant(value):
            return [self._folded(operation, value, at)]
        value.append(operation)
        return value

    def _binary(
        self, operation: Operation, left: list[float | Operation], right: list[float | Operation], at: int
    ) -> list[float | Operation]:
        if _is_constant(left) and _is_constant(right):
            return [self._folded(operation, [*left, *right], at)]
        left.extend(right)
        left.append(operation)
        return left

    def _folded(self, operation: Operation, operands: list[float | Operation], at: int) -> float:
        try:
            return apply(operation, [x for x in operands if isinstance(x, float)])
        except ExpressionError as error:
            raise self.cursor.source.error(str(error), at, operation.symbol) from None


def _is_constant(program: list[float | Operation]) -> bool:
    return len(program) == 1 and isinstance(program[0], float)
