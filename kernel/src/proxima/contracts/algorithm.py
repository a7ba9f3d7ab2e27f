"""The contract of an algorithm: something that runs circuits many times to reach an answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.execution import Progress


@dataclass(frozen=True, slots=True)
class AlgorithmResult:
    """The answer, e.g. an energy in hartree, what it is in ``details``, and its value after each iteration."""

    value: float
    details: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[float, ...] = ()


class Algorithm(Protocol):
    """An algorithm."""

    name: str

    @abstractmethod
    def default_params(self) -> Mapping[str, Any]:
        """Parameters with their defaults."""

    @abstractmethod
    def execute(
        self, circuit: Circuit, params: Mapping[str, Any], *, cancel: CancelToken, progress: Progress
    ) -> AlgorithmResult:
        """Runs the algorithm on a circuit, usually one with open parameters.

        Raises:
            UsageError: A parameter is unknown or out of range.
        """
