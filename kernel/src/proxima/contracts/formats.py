"""The contract of a plugin that reads and writes circuits in a file format."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from proxima.contracts.circuit import Circuit


class CircuitFormat(Protocol):
    """A circuit file format.

    Attributes:
        name: As users name it, e.g. ``openqasm2``.
        extensions: File endings, e.g. ``(".qasm",)``.
    """

    name: str
    extensions: tuple[str, ...]

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` (up to 4 KiB) is in this format; cheap and never raises."""

    @abstractmethod
    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads a circuit.

        Args:
            data: The whole file.
            source: What to call it in errors: a path, or ``<stdin>``.
            directory: Where relative includes are looked up; ``None`` allows none.

        Raises:
            CircuitSyntaxError: With file, line, column and the offending token.
        """

    @abstractmethod
    def dump(self, circuit: Circuit) -> str:
        """Writes a circuit.

        Raises:
            UnsupportedError: The circuit holds an operation that the format cannot express; the message names it.
        """
