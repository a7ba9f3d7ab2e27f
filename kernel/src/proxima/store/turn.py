"""One transaction at a time: whoever holds the lock on one file may change the store."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from proxima.errors import CancelledError, DeadlineExceededError
from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.job import Job
from proxima.store.layout import Layout

_TICK = 0.02


class Turn:
    """Holds the store; the system lets go of it for a process that is killed.

    Args:
        layout: The store.
        doing: What for, told to others who wait meanwhile.
        job: Told that it waits, and for whom; its cancel token ends the wait.
        wait_seconds: How long to wait for another process.
    """

    def __init__(self, layout: Layout, doing: str, job: Job, wait_seconds: float) -> None:
        self.job = job
        self._layout, self._doing, self._seconds = layout, doing, wait_seconds
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Whether it holds the store now."""
        return self._descriptor >= 0

    def __enter__(self) -> Self:
        """Waits for the store.

        Raises:
            DeadlineExceededError: Another process holds it for longer.
            StorageError: The store cannot be written.
        """
        Paths.ensure(self._layout.root)
        path = self._layout.turn
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error("open", path, error) from error
        try:
            _wait(descriptor, self.job, time.monotonic() + self._seconds, path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{self._doing} (process {os.getpid()})".encode()[:500], 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self.held:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def left_to_others(self) -> Iterator[None]:
        """Lets others have the store for a while; it is not taken again where that ends with an error.

        Raises:
            DeadlineExceededError, StorageError, CancelledError: It could not be taken again.
        """
        self.__exit__()
        yield
        self.__enter__()


def _wait(descriptor: int, job: Job, last: float, path: str) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            owner = os.pread(descriptor, 500, 0).decode(errors="replace") or "another transaction"
        except OSError as error:
            raise storage_error("lock", path, error) from error
        if not told:
            job.progress(None, f"waiting for {owner}")
            told = True
        if job.cancel is not None and job.cancel.cancelled:
            raise CancelledError(f"cancelled while waiting for {owner}")
        if time.monotonic() > last:
            hint = "Wait for it to end; store.wait_seconds sets for how long this waits."
            raise DeadlineExceededError(f"the plugin store is held by {owner}", hint=hint)
        time.sleep(_TICK)
