"""`CodeGenerator`."""

from __future__ import annotations

from abc import abstractmethod

from proxima.contracts import codegen as contract
from proxima.contracts.circuit import Circuit


class CodeGenerator(contract.CodeGenerator):
    """Writes circuits as source code of some library.

    Attributes:
        name: As the manifest has it.
        language: Of the code, e.g. ``python``.
        library: That the code uses, e.g. ``qiskit``.
    """

    @abstractmethod
    def generate(self, circuit: Circuit) -> str:
        """Source code that builds the circuit, ready to run.

        Raises:
            UnsupportedError: The circuit holds an operation that the library cannot express; the message names it.
        """
