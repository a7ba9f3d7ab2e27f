"""Reading a circuit file with the format plugin that recognises it."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import format_bytes
from proxima.contracts.circuit import Circuit
from proxima.contracts.formats import CircuitFormat
from proxima.errors import ProximaError, UsageError

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_HEAD = 4096


def load_circuit(kernel: Kernel, source: str, data: bytes | None, max_bytes: int) -> Circuit:
    """The circuit in a file; ``-`` is standard input.

    Raises:
        UsageError: The file is missing, empty, too large or binary, or no installed format recognises it.
        CircuitSyntaxError: It is damaged.
    """
    path: Path | None = None
    if data is None and source == "-":
        data = sys.stdin.buffer.read(max_bytes + 1)
    elif data is None:
        path = Path(source)
        data = _read(path, max_bytes)
    shown = "<stdin>" if source == "-" else source
    if len(data) > max_bytes:
        raise _too_large(shown, f"more than {format_bytes(max_bytes)}", max_bytes)
    if not data.strip():
        raise UsageError(f"{shown} is empty", hint="give a file that holds a circuit, e.g. in OpenQASM 2 or 3")
    if b"\0" in data[:_HEAD]:
        raise UsageError(f"{shown} is a binary file, not a circuit", hint="give a circuit as text, e.g. in OpenQASM 2")
    chosen = _format_of(kernel, shown, data[:_HEAD])
    circuit = chosen.load(data, source=shown, directory=path.parent if path else None)
    name = circuit.name or ("stdin" if source == "-" else Path(source).stem)
    return replace(circuit, name=name, metadata={**circuit.metadata, "source": shown})


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > max_bytes:
                raise _too_large(str(path), format_bytes(status.st_size), max_bytes)
            return file.read(max_bytes + 1)
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}", hint=_neighbours(path)) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory, not a circuit file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _neighbours(path: Path) -> str | None:
    """Files beside a missing one whose names are near to it."""
    from proxima.nearest import did_you_mean

    try:
        return did_you_mean(path.name, os.listdir(path.parent)) or None
    except (OSError, ValueError):
        return None


def _too_large(shown: str, size: str, max_bytes: int) -> UsageError:
    return UsageError(
        f"{shown} is too large: {size}, and at most {format_bytes(max_bytes)} is read",
        hint="raise the setting plugins.execution.max_circuit_bytes if the file is what you mean",
    )


def _format_of(kernel: Kernel, shown: str, head: bytes) -> CircuitFormat:
    """The first format that recognises the content, else the first whose extension fits."""
    extension = os.path.splitext(shown)[1].lower()
    by_extension: CircuitFormat | None = None
    broken: list[str] = []
    contributions = kernel.contributions("formats")
    for contribution in contributions:
        try:
            candidate: CircuitFormat = kernel.get("formats", contribution.name)
            if candidate.recognises(head):
                return candidate
        except ProximaError as error:
            broken.append(str(error))
            continue
        if by_extension is None and extension in candidate.extensions:
            by_extension = candidate
    if by_extension is not None:
        return by_extension
    names = ", ".join(c.name for c in contributions) or "none; install proxima-format-openqasm"
    hint = f"formats that can be read: {names}"
    raise UsageError(f"no installed format recognises {shown}" + "".join(f"; {b}" for b in broken), hint=hint)
