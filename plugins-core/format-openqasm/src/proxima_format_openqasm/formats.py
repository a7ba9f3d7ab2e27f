"""The two circuit formats; their readers and writers are imported on first use."""

from __future__ import annotations

import re
from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima.contracts.formats import CircuitFormat

_BLANK = rb"(?:\xef\xbb\xbf)?(?:\s++|//[^\n]*+(?:\n|\Z)|/\*.*?\*/)*+"
_HEADER_2 = re.compile(_BLANK + rb"OPENQASM\s++2(?:\.0)?\s*+;", re.DOTALL)
_HEADER_3 = re.compile(_BLANK + rb"OPENQASM\s++3(?:\.\d++)?\s*+;", re.DOTALL)
# A file without a header, by the statement it begins with.
_STYLE_2 = re.compile(
    _BLANK + rb"(?:include\s*+\"qelib1\.inc\"|[qc]reg\s++\w++\s*+\[|opaque\s++\w|gate\s++\w)", re.DOTALL
)
_STYLE_3 = re.compile(
    _BLANK + rb"(?:include\s*+\"stdgates\.inc\"|qubit\s*+[\[\s]|bit\s*+[\[\s]|input\s++(?:float|angle))", re.DOTALL
)


class OpenQasm2(CircuitFormat):
    """OpenQASM 2 (arXiv:1707.03429), with ``qelib1.inc`` built in."""

    name = "openqasm2"
    extensions: tuple[str, ...] = (".qasm", ".qasm2")

    def recognises(self, head: bytes) -> bool:
        """Whether a header says so, or, without one, the first statement."""
        return bool(_HEADER_2.match(head) or _STYLE_2.match(head))

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads a circuit; see `CircuitFormat.load`."""
        from proxima_format_openqasm.openqasm2 import load

        return load(data, source=source, directory=directory)

    def dump(self, circuit: Circuit) -> str:
        """Writes a circuit; see `CircuitFormat.dump`."""
        from proxima_format_openqasm.openqasm2_writer import dump

        return dump(circuit)


class OpenQasm3(CircuitFormat):
    """The gate-model part of OpenQASM 3 (arXiv:2104.14722), as Qiskit and Amazon Braket write it."""

    name = "openqasm3"
    extensions: tuple[str, ...] = (".qasm3", ".qasm")

    def recognises(self, head: bytes) -> bool:
        """Whether a header says so, or, without one, the first statement."""
        return bool(_HEADER_3.match(head) or _STYLE_3.match(head))

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads a circuit; see `CircuitFormat.load`."""
        from proxima_format_openqasm.openqasm3 import load

        return load(data, source=source, directory=directory)

    def dump(self, circuit: Circuit) -> str:
        """Writes a circuit; see `CircuitFormat.dump`."""
        from proxima_format_openqasm.openqasm3_writer import dump

        return dump(circuit)
