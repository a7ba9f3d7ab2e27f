"""The contract of a visualization: data in, a picture out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.result import RunResult


class Visualization(Protocol):
    """A picture of a result or a circuit, in formats such as ``("png", "svg")``."""

    name: str
    formats: tuple[str, ...]

    @abstractmethod
    def render(self, subject: RunResult | Circuit, picture_format: str, options: Mapping[str, Any]) -> bytes:
        """The picture as a file of the format.

        Raises:
            UsageError: The subject lacks what is to be drawn, or the format is not offered.
        """
