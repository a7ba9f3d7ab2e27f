"""Classical conditions of Qiskit as those of Proxima: some bits, read as a number, equal a value or differ from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr

from proxima.contracts.circuit import Condition
from proxima.errors import UnsupportedError

_HINT = "a bit or a register that equals a number, or differs from it, can be a condition, and several of them at once"


def of_qiskit(condition: Any, index_of: Callable[[Clbit], int]) -> Condition:
    """The condition of an ``if_else``.

    Args:
        condition: ``(bit or register, value)`` or an expression.
        index_of: The index of a classical bit in the circuit.

    Raises:
        UnsupportedError: It is more than a comparison with a number.
    """
    if isinstance(condition, expr.Expr):
        return _of_expression(condition, index_of)
    target, value = condition
    return _equals(target, int(value), index_of)


def negation(condition: Condition) -> Condition:
    """The condition that holds where this one does not."""
    return _plain(Condition(condition.clbits, condition.value, not condition.negated))


def both(first: Condition | None, second: Condition) -> Condition:
    """The condition that both hold.

    Raises:
        UnsupportedError: It is not an equality.
    """
    if first is None:
        return second
    if first.negated or second.negated:
        raise UnsupportedError("a condition inside another with a register that differs from a number", hint=_HINT)
    bits = {c: first.value >> i & 1 for i, c in enumerate(first.clbits)}
    for i, c in enumerate(second.clbits):
        if bits.setdefault(c, second.value >> i & 1) != second.value >> i & 1:
            return Condition((c,), 2)  # never: a bit is 0 or 1
    return Condition(tuple(bits), sum(value << i for i, value in enumerate(bits.values())))


def _equals(target: Any, value: int, index_of: Callable[[Clbit], int]) -> Condition:
    bits = list(target) if isinstance(target, ClassicalRegister) else [target]
    return Condition(tuple(index_of(bit) for bit in bits), value)


def _plain(condition: Condition) -> Condition:
    """A single bit that differs from a value equals the other."""
    if condition.negated and len(condition.clbits) == 1 and condition.value in (0, 1):
        return Condition(condition.clbits, 1 - condition.value)
    return condition


def _of_expression(node: Any, index_of: Callable[[Clbit], int]) -> Condition:
    if isinstance(node, expr.Var) and isinstance(node.var, Clbit):
        return _equals(node.var, 1, index_of)
    if isinstance(node, expr.Unary) and node.op in (expr.Unary.Op.BIT_NOT, expr.Unary.Op.LOGIC_NOT):
        return negation(_of_expression(node.operand, index_of))
    if isinstance(node, expr.Cast):
        return _of_expression(node.operand, index_of)
    if isinstance(node, expr.Binary):
        if node.op in (expr.Binary.Op.EQUAL, expr.Binary.Op.NOT_EQUAL):
            left, right = _uncast(node.left), _uncast(node.right)
            if isinstance(left, expr.Value):
                left, right = right, left
            if isinstance(left, expr.Var) and isinstance(right, expr.Value):
                made = _equals(left.var, int(right.value), index_of)
                return made if node.op is expr.Binary.Op.EQUAL else negation(made)
        if node.op is expr.Binary.Op.LOGIC_AND:
            return both(_of_expression(node.left, index_of), _of_expression(node.right, index_of))
    raise UnsupportedError(f"the condition {node} is more than a comparison of bits with a number", hint=_HINT)


def _uncast(node: Any) -> Any:
    return node.operand if isinstance(node, expr.Cast) else node
