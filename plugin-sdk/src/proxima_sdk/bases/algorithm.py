"""`Algorithm`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from proxima.contracts import algorithm as contract
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Progress
from proxima_sdk.bases.settings import filled


class Algorithm(contract.Algorithm):
    """Something that runs circuits many times to reach an answer.

    Attributes:
        name: As the manifest has it.
        defaults: Every parameter with its default, whose type is the parameter's.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}

    def default_params(self) -> Mapping[str, Any]:
        """Parameters with their defaults."""
        return dict(self.defaults)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given parameters over the defaults, for the first line of `execute`.

        Raises:
            UsageError: A parameter is unknown or of another type than its default.
        """
        return filled(self.default_params(), given, of=f"algorithm {self.name}", what="parameter")

    @abstractmethod
    def execute(
        self, circuit: Circuit, params: Mapping[str, Any], *, cancel: CancelToken, progress: Progress
    ) -> AlgorithmResult:
        """Runs the algorithm on a circuit, usually one with open parameters.

        It calls ``progress`` with a fraction in [0, 1] (``None`` where it is not known) and a short message, and looks
        at ``cancel.cancelled`` at least every half second.

        Raises:
            UsageError: A parameter is unknown or out of range.
            CancelledError: ``cancel`` was set.
        """
