"""The text of a circuit file, and errors that point into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxima.errors import CircuitSyntaxError

MAX_BYTES = 64 * 1024 * 1024
"""Largest OpenQASM 2 file, includes counted in."""

MAX_BITS = 1_000_000
"""Most qubits, and most classical bits, that the registers of one circuit may hold."""

MAX_OPERATIONS = 10_000_000
"""Most operations that one circuit may expand to."""

_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*')
_TOKEN_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Source:
    """One file's text; positions are character offsets into it.

    Attributes:
        path: What errors call it.
        text: The text; comments may be blanked, but never so that a position moves.
    """

    path: str
    text: str

    def line(self, at: int) -> int:
        """The line of position ``at``, from 1."""
        return self.text.count("\n", 0, at) + 1

    def error(self, message: str, at: int, token: str = "", *, hint: str | None = None) -> CircuitSyntaxError:
        """The error for position ``at``."""
        at = min(at, len(self.text))
        line = self.line(at)
        column = at - self.text.rfind("\n", 0, at)
        shown = token if len(token) <= _TOKEN_SHOWN else token[: _TOKEN_SHOWN - 3] + "..."
        return CircuitSyntaxError(message, path=self.path, line=line, column=column, token=shown, hint=hint)


def check_size(size: int, path: str, *, limit: int) -> None:
    """Refuses a file over the limit, before any of it is read as text."""
    if size > limit:
        raise CircuitSyntaxError(
            f"the file has {size / 2**20:.1f} MiB; the limit is {limit / 2**20:g} MiB", path=path, line=1, column=1
        )


def decode(data: bytes, path: str, *, limit: int = MAX_BYTES) -> Source:
    """The file's text.

    Raises:
        CircuitSyntaxError: The file is over ``limit`` bytes, is binary, is not UTF-8, or is empty.
    """
    check_size(len(data), path, limit=limit)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        byte = f"byte 0x{data[error.start]:02x}"
        raise Source(path, before).error(f"the file is binary or not UTF-8: {byte}", len(before)) from None
    nul = text.find("\0")
    if nul >= 0:
        raise Source(path, text).error("the file is binary: it holds a NUL character", nul)
    if not text or text.isspace():
        raise Source(path, text).error("the file is empty", 0)
    return Source(path, text)


def without_comments(source: Source) -> Source:
    """The source with ``//`` comments blanked, every position kept."""
    if "//" not in source.text:
        return source
    blanked = _COMMENT.sub(lambda m: m[0] if m[0][0] == '"' else " " * len(m[0]), source.text)
    return Source(source.path, blanked)
