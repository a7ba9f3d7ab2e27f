"""Files inside a worker: what it may not open itself is asked of the kernel, which may have been granted it since."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Sequence
from typing import Any

from proxima.errors import NotFoundError, ProximaError, UsageError
from proxima.sandbox.worker_network import Ask

# What a file outside says: refused by the lock, not in this worker's view of the disk, or shown there to read only.
_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EROFS)


def install(ask: Ask, own: Sequence[str] = ()) -> None:
    """Have `open` ask the kernel for files that are not to be had here, for good.

    Only what names a file by its path and fails is asked for. A denial raises `PermissionDeniedError`, a
    `PermissionError`, whose message names the permission; a file to read that is not there stays a
    `FileNotFoundError`, with the denial as a note, because libraries look for files that need not exist.

    Args:
        ask: Asks the kernel.
        own: Directories that are this worker's already; nothing beneath them is asked for.
    """
    original = io.open
    mine = tuple(directory.rstrip("/") + "/" for directory in own)

    def open_or_ask(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Callable[[str, int], int] | None = None,
    ) -> Any:
        try:
            return original(file, mode, buffering, encoding, errors, newline, closefd, opener)
        except OSError as error:
            if error.errno not in _OUT_OF_REACH or opener is not None or isinstance(file, int):
                raise
            path = os.path.abspath(os.fsdecode(file))
            if path.startswith(mine):
                raise
            try:
                opened = _ask(ask, path, mode)
            except PermissionError as denial:
                if isinstance(error, FileNotFoundError) and set(mode) <= {"r", "b", "t"}:
                    error.add_note(f"{denial}; {denial.hint}" if isinstance(denial, ProximaError) else str(denial))
                    raise error from None
                raise denial from None
            return original(opened, mode.replace("x", "w"), buffering, encoding, errors, newline)

    builtins.open = io.open = open_or_ask


def _ask(ask: Ask, path: str, mode: str) -> int:
    try:
        return ask("files.open", (path, mode.replace("b", "").replace("t", "")))
    except NotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    except UsageError:
        if "x" not in mode:
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
