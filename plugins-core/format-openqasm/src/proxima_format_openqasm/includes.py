"""Files that a circuit includes: only from the circuit's own directory or below it, within limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxima_format_openqasm.source import MAX_BYTES, Source, decode

MAX_INCLUDES = 1000
"""Most include statements that one circuit may follow."""

MAX_NESTING = 32
"""How deep included files may include others."""


class Includes:
    """Opens included files and remembers which are being read.

    Args:
        directory: Where the circuit lies; ``None`` allows no include.
        size: Size of the circuit itself in bytes, which counts against the limit.
    """

    def __init__(self, directory: Path | None, size: int) -> None:
        self.directory = directory
        self.size = size
        self.count = 0
        self.open: list[Path] = []

    @contextmanager
    def opened(self, name: str, source: Source, at: int) -> Iterator[Source]:
        """The included file's text, while it is being read.

        Raises:
            CircuitSyntaxError: It lies elsewhere, is missing, includes itself, or passes a limit.
        """
        path = self._resolved(name, source, at)
        if path in self.open:
            chain = " -> ".join([*(p.name for p in self.open[self.open.index(path) :]), path.name])
            raise source.error(f"recursive include: {chain}", at, name)
        self.count += 1
        if self.count > MAX_INCLUDES:
            raise source.error(f"more than {MAX_INCLUDES} includes", at, name)
        if len(self.open) >= MAX_NESTING:
            raise source.error(f"includes are nested deeper than {MAX_NESTING} levels", at, name)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES - self.size + 1)
        except OSError as error:
            why = "no such file beside the circuit" if isinstance(error, FileNotFoundError) else error.strerror
            raise source.error(f"cannot include the file: {why}", at, name) from None
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise source.error(f"the circuit and its includes exceed the limit of {MAX_BYTES >> 20} MiB", at, name)
        self.open.append(path)
        try:
            yield decode(data, str(path))
        finally:
            self.open.pop()

    def _resolved(self, name: str, source: Source, at: int) -> Path:
        if self.directory is None:
            raise source.error("this circuit may include no files, for it lies in no directory", at, name)
        root = self.directory.resolve()
        beside = self.open[-1].parent if self.open else root
        if not name or "\\" in name or Path(name).is_absolute():
            raise source.error("an include names a file beside the circuit, by a relative path", at, name)
        try:
            path = (beside / name).resolve()
        except (OSError, RuntimeError, ValueError):
            raise source.error("cannot include the file: its path cannot be followed", at, name) from None
        if not path.is_relative_to(root):
            raise source.error("an include must stay within the circuit's directory", at, name)
        if path.exists() and not path.is_file():
            raise source.error("cannot include the file: not a regular file", at, name)
        return path
