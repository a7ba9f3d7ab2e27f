"""The contract of a code generator: a circuit as source code."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit


class CodeGenerator(Protocol):
    """Writes circuits as source code of some library, e.g. ``qiskit`` in the language ``python``."""

    name: str
    language: str
    library: str

    @abstractmethod
    def generate(self, circuit: Circuit) -> str:
        """Source code that builds the circuit, ready to run.

        Raises:
            UnsupportedError: The circuit holds an operation that the library cannot express.
        """
