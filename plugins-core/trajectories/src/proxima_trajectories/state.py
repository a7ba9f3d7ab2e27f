"""`State`: what an engine's state must be able to do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum

Check = Callable[[], None]


class State(Protocol):
    """A normalised state of n qubits; qubit 0 is the least significant index bit of every array it gives.

    ``check`` is the run's: it raises where the run is to stop, and long methods call it.
    """

    num_qubits: int

    @abstractmethod
    def apply(self, operation: Any, check: Check) -> None:
        """Applies what the plan made of one operation, which need not keep the norm."""

    @abstractmethod
    def normalise(self) -> None:
        """Makes the norm 1 again."""

    @abstractmethod
    def one(self, qubit: int) -> float:
        """The probability of finding a qubit in |1>."""

    @abstractmethod
    def collapse(self, qubit: int, outcome: int) -> None:
        """Goes on with the state after a qubit was found in |outcome>."""

    @abstractmethod
    def flip(self, qubit: int) -> None:
        """X on a qubit."""

    @abstractmethod
    def copy(self) -> State:
        """Another one, equal to it."""

    @abstractmethod
    def reduced(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """The density matrix of a few qubits, shape (2^k, 2^k); the first listed is the least significant index bit."""

    @abstractmethod
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of the basis states, shape (2^n,), summing to 1."""

    @abstractmethod
    def sample(self, shots: int, rng: np.random.Generator, check: Check) -> npt.NDArray[np.int64]:
        """Basis states that measuring every qubit would find, shape (shots,)."""

    @abstractmethod
    def amplitudes(self) -> npt.NDArray[Any]:
        """The statevector, shape (2^n,)."""

    @abstractmethod
    def density(self) -> npt.NDArray[Any]:
        """The density matrix, shape (2^n, 2^n)."""

    @abstractmethod
    def moments(self, observable: PauliSum, check: Check) -> tuple[float, float | None]:
        """The expectation values of an observable and, where that is cheap enough, of its square."""


def drawn(
    probabilities: npt.NDArray[np.float64], shots: int, rng: np.random.Generator, check: Check
) -> npt.NDArray[np.int64]:
    """Basis states drawn from their probabilities, for a state whose engine does not sample itself."""
    edges = np.cumsum(probabilities)
    last = int(np.flatnonzero(probabilities)[-1])  # no draw lies beyond the last that can occur
    out = np.empty(shots, dtype=np.int64)
    at_once = 1 << 20
    for start in range(0, shots, at_once):
        check()
        part = out[start : start + at_once]
        part[:] = np.searchsorted(edges, rng.random(len(part)) * edges[-1], side="right")
    return np.minimum(out, last, out=out)
