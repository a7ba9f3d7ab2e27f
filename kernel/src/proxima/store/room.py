"""`Room`: a directory in which one transaction makes its version, and which others leave alone while it lives.

A transaction lets others have the store while the user is asked. What it has made by then is no leftover of a process
that was killed, and it can be told from one: the lock on its room is held.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time

from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.layout import Layout

_LOCK = "lock"
_MOMENT = 1.0  # seconds


class Room:
    """One transaction's own place under `Layout.work`.

    Args:
        layout: The store, which the caller holds while the room is made.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._path = ""
        self._descriptor = -1

    @property
    def path(self) -> str:
        """The directory, which is made when it is first asked for.

        Raises:
            StorageError: The disk is full or read-only.
        """
        if not self._path:
            path = os.path.join(Paths.ensure(self._layout.work), f"room-{os.getpid()}-{secrets.token_hex(4)}")
            Paths.ensure(path)
            try:
                self._descriptor = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            except OSError as error:
                raise storage_error("lock", path, error) from error
            self._path = path
        return self._path

    def close(self) -> None:
        """Removes it and what is in it."""
        if self._path:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = ""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_lived_in(path: str) -> bool:
    """Whether a directory under `Layout.work` is the room of a transaction that goes on; the caller holds the store.

    Where its process is gone and the lock is held, a program that it was starting may hold it a moment longer.
    """
    try:
        descriptor = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    until = time.monotonic() + _MOMENT
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if _runs(path) or time.monotonic() > until:
                    return True
                time.sleep(0.01)
            else:
                return False
    finally:
        os.close(descriptor)


def _runs(path: str) -> bool:
    """Whether the process that a room is named after is there, as far as this one can see."""
    try:
        os.kill(int(os.path.basename(path).split("-")[1]), 0)
    except (ValueError, IndexError, ProcessLookupError):
        return False
    except PermissionError:  # another user's
        return True
    return True
