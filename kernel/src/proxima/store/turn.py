"""One transaction at a time: whoever holds the lock on one file may change the store."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from proxima.errors import CancelledError, DeadlineExceededError
from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.job import Job
from proxima.store.layout import Layout

_TICK = 0.02


@contextmanager
def turn(layout: Layout, doing: str, job: Job, wait_seconds: float) -> Iterator[None]:
    """Holds the store; the system lets go of it for a process that is killed.

    Args:
        layout: The store.
        doing: What for, told to others who wait meanwhile.
        job: Told that it waits, and for whom; its cancel token ends the wait.
        wait_seconds: How long to wait for another process.

    Raises:
        DeadlineExceededError: Another process holds it for longer.
        StorageError: The store cannot be written.
    """
    Paths.ensure(layout.root)
    try:
        descriptor = os.open(layout.turn, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error("open", layout.turn, error) from error
    try:
        _wait(descriptor, job, time.monotonic() + wait_seconds, layout.turn)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{doing} (process {os.getpid()})".encode()[:500], 0)
        yield
    finally:
        os.close(descriptor)


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
