"""`Format`."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima.contracts.formats import CircuitFormat


class Format(CircuitFormat):
    """A circuit file format.

    Attributes:
        name: As the manifest has it.
        extensions: File endings, e.g. ``(".qasm",)``.
    """

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` (up to 4 KiB) is in this format; cheap, and never raises."""

    @abstractmethod
    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads a circuit from the bytes of a whole file.

        Args:
            data: The file.
            source: What to call it in errors: a path, or ``<stdin>``.
            directory: Where relative includes are looked up; ``None`` allows none.

        Raises:
            CircuitSyntaxError: With file, line, column and the offending token; also for what is no text at all.
        """

    @abstractmethod
    def dump(self, circuit: Circuit) -> str:
        """Writes a circuit; reading it again gives the same circuit.

        Raises:
            UnsupportedError: The circuit holds an operation that the format cannot express; the message names it.
        """
