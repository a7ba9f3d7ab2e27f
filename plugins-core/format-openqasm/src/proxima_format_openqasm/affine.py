"""Angles that may hold open parameters: sums of multiples of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from proxima.contracts.circuit import Parameter
from proxima.errors import UsageError


class NotLinearError(UsageError):
    """An angle that is not a multiple of one open parameter, which is all that a circuit can hold."""


@dataclass(frozen=True, slots=True)
class Affine:
    """``constant + sum of coefficient * parameter``."""

    terms: tuple[tuple[str, float], ...]
    constant: float = 0.0

    def __add__(self, other: Value) -> Affine:
        """The sum."""
        mine, theirs = dict(self.terms), dict(other.terms) if isinstance(other, Affine) else {}
        for name, coefficient in theirs.items():
            mine[name] = mine.get(name, 0.0) + coefficient
        constant = other.constant if isinstance(other, Affine) else other
        return Affine(tuple(mine.items()), self.constant + constant)

    __radd__ = __add__

    def __neg__(self) -> Affine:
        """The negative."""
        return self * -1.0

    def __sub__(self, other: Value) -> Affine:
        """The difference."""
        return self + -other

    def __rsub__(self, other: float) -> Affine:
        """The difference."""
        return -self + other

    def __mul__(self, factor: Value) -> Affine:
        """A multiple; a product of two open values is none."""
        if isinstance(factor, Affine):
            return NotImplemented
        return Affine(tuple((name, c * factor) for name, c in self.terms), self.constant * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Value) -> Affine:
        """A fraction."""
        if isinstance(divisor, Affine):
            return NotImplemented
        return Affine(tuple((name, c / divisor) for name, c in self.terms), self.constant / divisor)

    def __str__(self) -> str:
        """As one would write it."""
        parts = [name if c == 1 else f"{c:g}*{name}" for name, c in self.terms if c]
        if self.constant or not parts:
            parts.append(f"{self.constant:g}")
        return " + ".join(parts)


Value: TypeAlias = float | Affine


def number(value: Value) -> float | None:
    """The value if no parameter is open in it."""
    if not isinstance(value, Affine):
        return float(value)
    return value.constant if all(c == 0 for _, c in value.terms) else None


def parameter(value: Value) -> float | Parameter:
    """The value as a circuit holds it.

    Raises:
        NotLinearError: It is not a number, nor a multiple of one parameter; or it is not finite.
    """
    fixed = number(value)
    if fixed is not None:
        if not math.isfinite(fixed):
            raise NotLinearError(f"the angle {fixed} is not finite")
        return fixed
    assert isinstance(value, Affine)
    (name, coefficient), *more = [(n, c) for n, c in value.terms if c]
    if more or value.constant:
        raise NotLinearError(f"the angle {value} is not a multiple of one parameter, which is all a circuit can hold")
    if not math.isfinite(coefficient):
        raise NotLinearError(f"the angle {value} is not finite")
    return Parameter(name, coefficient)
