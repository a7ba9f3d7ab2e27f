"""Pauli sums, the observables whose expectation values a run can be asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from proxima.errors import UsageError

_TERM = re.compile(r"([+-]?)\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\*?\s*)?([IXYZ]+)\s*")


# Squaring a sum of t terms makes up to t^2/2 strings; beyond this nobody waits for a variance.
_MAX_TERMS_SQUARED = 64


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

    def squared(self) -> PauliSum | None:
        """The square, as a Pauli sum; ``None`` where it would have too many terms."""
        if len(self.terms) > _MAX_TERMS_SQUARED:
            return None
        n = self.num_qubits
        terms = [(c, *masks(p)) for c, p in self.terms]
        total: dict[tuple[int, int], float] = {(0, 0): sum(c * c for c, _, _ in terms)}
        for i, (c1, x1, z1) in enumerate(terms):
            for c2, x2, z2 in terms[i + 1 :]:
                if ((x1 & z2).bit_count() + (z1 & x2).bit_count()) % 2:
                    continue  # the two anticommute, so PQ + QP = 0
                # P = i^|x&z| X^x Z^z for a string with |x&z| letters Y, so the product's phase is a power of i.
                x, z = x1 ^ x2, z1 ^ z2
                phase = (x1 & z1).bit_count() + (x2 & z2).bit_count() - (x & z).bit_count() + 2 * (z1 & x2).bit_count()
                sign = 1 if phase % 4 == 0 else -1
                total[x, z] = total.get((x, z), 0.0) + 2 * c1 * c2 * sign
        return PauliSum(tuple((c, _letters(x, z, n)) for (x, z), c in total.items()))


def masks(letters: str) -> tuple[int, int]:
    """The qubits where a Pauli string holds X or Y, and those where it holds Z or Y, as bit masks."""
    x = int("".join("1" if p in "XY" else "0" for p in letters), 2)
    z = int("".join("1" if p in "ZY" else "0" for p in letters), 2)
    return x, z


def _letters(x: int, z: int, n: int) -> str:
    return "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(n)))
