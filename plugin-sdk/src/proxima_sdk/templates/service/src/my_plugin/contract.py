"""The contract: what callers ask the kernel for. It imports nothing of the provider."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from proxima.contracts.circuit import Circuit


class Durations(Protocol):
    """How long circuits take on hardware."""

    @abstractmethod
    def seconds(self, circuit: Circuit) -> float:
        """The time of one shot, in seconds: its longest chain of operations that share a qubit or a bit."""
