"""Pauli noise at a circuit's end, applied to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

# In the order of IXYZ: whether two Pauli operators commute (1) or not (-1).
_SIGNS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])


@dataclass(frozen=True, slots=False)
class Tail:
    """A mixture of Pauli operators on one or two qubits.

    Attributes:
        eigenvalues: By which it multiplies each of the 4^k Pauli strings, numbered in base 4 (IXYZ), the first qubit
            the lowest digit.
    """

    qubits: tuple[int, ...]
    values: tuple[float, ...]

    def eigenvalue(self, digits: Sequence[int]) -> float:
        """By which it multiplies the Pauli string with these letters (0 to 3 for IXYZ), one for each qubit."""
        return self.values[sum(digit << (2 * k) for k, digit in enumerate(digits))]

    @cached_property
    def _probabilities(self) -> npt.NDArray[np.float64]:
        """Of each Pauli string, in the order of the eigenvalues."""
        signs = _SIGNS if len(self.qubits) == 1 else np.kron(_SIGNS, _SIGNS)
        shares: npt.NDArray[np.float64] = signs @ np.array(self.values) / len(self.values)
        return shares

    @cached_property
    def _flips(self) -> npt.NDArray[np.float64]:
        """The probability that it flips just these of its qubits' bits, shape (2^k,)."""
        flips = np.zeros(2 ** len(self.qubits))  # X and Y flip a bit
        for string, probability in enumerate(self._probabilities):
            flips[sum(((string >> 2 * k & 3) in (1, 2)) << k for k in range(len(self.qubits)))] += probability
        return flips

    def flip(self, states: npt.NDArray[np.uint64], rng: np.random.Generator) -> npt.NDArray[np.uint64]:
        """Basis states that were drawn, each after the flips that chance has in store for it."""
        masks = [sum((pattern >> k & 1) << q for k, q in enumerate(self.qubits)) for pattern in range(len(self._flips))]
        cumulative = np.cumsum(np.maximum(self._flips, 0.0))
        drawn = np.searchsorted(cumulative, rng.random(len(states)) * cumulative[-1], side="right")
        flipped: npt.NDArray[np.uint64] = states ^ np.array(masks, dtype=np.uint64)[drawn]
        return flipped

    def mix_probabilities(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities of the basis states after it, shape (2^n,)."""
        n = len(values).bit_length() - 1
        tensor = values.reshape((2,) * n)
        axes = [n - 1 - q for q in self.qubits]
        out = np.zeros_like(tensor)
        for mask, probability in enumerate(self._flips):
            turned = tuple(axis for k, axis in enumerate(axes) if mask >> k & 1)
            out += probability * (np.flip(tensor, turned) if turned else tensor)
        return out.reshape(-1)
