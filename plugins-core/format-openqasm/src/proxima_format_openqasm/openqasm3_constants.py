"""Values of OpenQASM 3 expressions that are known while reading: constants, loop variables, open parameters."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from openqasm3 import ast

from proxima.errors import CircuitSyntaxError
from proxima_format_openqasm.affine import Affine, number
from proxima_format_openqasm.openqasm3_syntax import located

Constant: TypeAlias = int | float | bool | Affine

_MAX_INTEGER = 2**63

PREDEFINED: dict[str, Constant] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "sin": (1, math.sin),
    "cos": (1, math.cos),
    "tan": (1, math.tan),
    "arcsin": (1, math.asin),
    "arccos": (1, math.acos),
    "arctan": (1, math.atan),
    "exp": (1, math.exp),
    "log": (1, math.log),
    "sqrt": (1, math.sqrt),
    "floor": (1, math.floor),
    "ceiling": (1, math.ceil),
    "mod": (2, math.fmod),
    "pow": (2, math.pow),
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Evaluator:
    """Evaluates expressions of one file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def value(self, node: ast.Expression, names: Mapping[str, Constant]) -> Constant:
        """The value of an expression.

        Raises:
            CircuitSyntaxError: It names something that is not a constant, or has no finite real value.
        """
        try:
            value = self._value(node, names)
            if not isinstance(value, Affine) and not math.isfinite(value):
                raise OverflowError
        except CircuitSyntaxError:  # a ValueError too
            raise
        except ZeroDivisionError:
            raise located("division by zero", node, self.path) from None
        except OverflowError:
            raise located("the value overflows", node, self.path) from None
        except ValueError:
            raise located("the value is not a real number", node, self.path) from None
        except TypeError:
            raise located(
                "an open parameter may only be added to, or multiplied by, a number", node, self.path
            ) from None
        return value

    def integer(self, node: ast.Expression, names: Mapping[str, Constant], what: str) -> int:
        """The value of an integer expression; ``what`` says in errors what it is."""
        value = self.value(node, names)
        if isinstance(value, Affine) or int(value) != value:
            raise located(f"{what} must be an integer, got {value}", node, self.path)
        return int(value)

    def angle(self, node: ast.Expression, names: Mapping[str, Constant]) -> float | Affine:
        """The value of an angle."""
        value = self.value(node, names)
        return value if isinstance(value, Affine) else float(value)

    def _value(self, node: ast.Expression, names: Mapping[str, Constant]) -> Constant:
        match node:
            case ast.IntegerLiteral() | ast.FloatLiteral() | ast.BooleanLiteral():
                return self._bounded(node.value)
            case ast.Identifier(name=name):
                if name in names:
                    return names[name]
                raise located("not a constant or parameter", node, self.path, name)
            case ast.UnaryExpression(op=op, expression=inner):
                value = self._value(inner, names)
                if op.name == "-":
                    return -value
                if op.name == "!":
                    return not self._plain(value)
                raise located("operator not supported in an angle", node, self.path, op.name)
            case ast.BinaryExpression(op=op, lhs=left, rhs=right):
                return self._binary(node, op.name, self._value(left, names), self._value(right, names))
            case ast.FunctionCall(name=ast.Identifier(name=name), arguments=arguments):
                count, function = _FUNCTIONS.get(name, (-1, None))
                if function is None:
                    raise located("unknown function", node, self.path, name, hint=f"known: {', '.join(_FUNCTIONS)}")
                if len(arguments) != count:
                    raise located(f"{name} takes {count} arguments, got {len(arguments)}", node, self.path, name)
                return self._bounded(function(*(self._plain(self._value(a, names)) for a in arguments)))
            case ast.Cast(type=ast.FloatType() | ast.AngleType(), argument=inner):
                value = self._value(inner, names)
                return value if isinstance(value, Affine) else float(value)
            case ast.Cast(type=ast.IntType() | ast.UintType(), argument=inner):
                return int(self._plain(self._value(inner, names)))
        raise located("this expression is not supported as a constant or angle", node, self.path)

    def _binary(self, node: ast.Expression, name: str, left: Constant, right: Constant) -> Constant:
        apply = _BINARY.get(name)
        if apply is None:
            raise located("operator not supported in an angle", node, self.path, name)
        if isinstance(left, Affine) or isinstance(right, Affine):
            if name not in "+-*/":
                raise TypeError
        elif isinstance(left, int) and isinstance(right, int):
            if name == "/" and right and left % right:
                raise located(
                    f"{left}/{right} divides integers and would be cut to {int(left / right)}",
                    node,
                    self.path,
                    hint=f"write {left}.0/{right} for a real number",
                )
            if name == "/":
                return self._bounded(left // right)
            if name == "**" and abs(right) > 64:
                return self._bounded(math.pow(left, right))
        return self._bounded(apply(left, right))

    def _bounded(self, value: Constant) -> Constant:
        """The value, unless it is an integer over 64 bits; so no expression grows without end."""
        if isinstance(value, complex):
            raise ValueError
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            raise OverflowError
        return value

    def _plain(self, value: Constant) -> float | int:
        if not isinstance(value, Affine):
            return value
        fixed = number(value)
        if fixed is None:
            raise TypeError
        return fixed
