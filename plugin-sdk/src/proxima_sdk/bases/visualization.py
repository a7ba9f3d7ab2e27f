"""`Visualization`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from proxima.contracts import visualization as contract
from proxima.contracts.circuit import Circuit
from proxima.contracts.result import RunResult
from proxima.errors import UsageError
from proxima_sdk.bases.settings import filled


class Visualization(contract.Visualization):
    """A picture of a result or a circuit.

    Attributes:
        name: As the manifest has it.
        formats: The formats it offers, e.g. ``("svg", "png")``.
        defaults: Every option with its default, whose type is the option's.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}

    def settings(self, picture_format: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options over the defaults, for the first line of `render`.

        Raises:
            UsageError: The format is not offered, or an option is unknown or of another type than its default.
        """
        if picture_format not in self.formats:
            offered = ", ".join(self.formats)
            raise UsageError(f"{self.name} offers no format {picture_format!r}", hint=f"it offers {offered}")
        return filled(self.defaults, options, of=f"visualization {self.name}", what="option")

    @abstractmethod
    def render(self, subject: RunResult | Circuit, picture_format: str, options: Mapping[str, Any]) -> bytes:
        """The picture as a file of the format.

        Raises:
            UsageError: The subject lacks what is to be drawn, or the format or an option is not offered.
        """
