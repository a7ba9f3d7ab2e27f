"""Pauli sums, the observables whose expectation values a run can be asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from proxima.errors import UsageError

_TERM = re.compile(r"([+-]?)\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\*?\s*)?([IXYZ]+)\s*")


@dataclass(frozen=True, slots=True)
class PauliSum:
    """A real linear combination of Pauli strings.

    Attributes:
        terms: ``(coefficient, letters)`` pairs; the leftmost letter acts on the highest qubit, as in bit strings.
    """

    terms: tuple[tuple[float, str], ...]

    @property
    def num_qubits(self) -> int:
        """How many qubits the strings span."""
        return len(self.terms[0][1])

    @classmethod
    def parse(cls, text: str) -> PauliSum:
        """Reads e.g. ``"0.5*ZZI - XIX"``.

        Raises:
            UsageError: The text is not a Pauli sum, or its strings differ in length.
        """
        terms: list[tuple[float, str]] = []
        position = len(text) - len(text.lstrip())
        while position < len(text):
            match = _TERM.match(text, position)
            if match is None or (terms and not match[1]):
                raise UsageError(
                    f"cannot read the observable {text!r} at character {position + 1}",
                    hint='write a sum of Pauli strings such as "0.5*ZZI - XIX", the highest qubit leftmost',
                )
            terms.append((float(f"{match[1]}{match[2] or 1}"), match[3]))
            position = match.end()
        if not terms or len({len(letters) for _, letters in terms}) != 1:
            raise UsageError(f"the Pauli strings of {text!r} must all have the same length, and there must be one")
        if not all(math.isfinite(coefficient) for coefficient, _ in terms):
            raise UsageError(f"a coefficient of {text!r} is not a finite number")
        return cls(tuple(terms))

    def __str__(self) -> str:
        text = " ".join(f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c)!r}*'}{p}" for c, p in self.terms)
        return text.removeprefix("+ ").replace("- ", "-", 1) if text.startswith("- ") else text.removeprefix("+ ")
