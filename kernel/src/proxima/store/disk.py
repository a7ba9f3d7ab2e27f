"""What is done to whole directories of the store: they are written to the disk, and removed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.layout import Layout


def sync(directory: str) -> None:
    """Has the system write all of a file system to the disk: one call for thousands of files."""
    import ctypes

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:
            os.sync()
        elif syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise storage_error("write", directory, OSError(number, os.strerror(number)))
    finally:
        os.close(descriptor)


def remove(layout: Layout, path: str, instead: str = "") -> None:
    """Removes a directory of the store, or a file: it is gone at once, and its files after that.

    Args:
        layout: The store, which the caller holds.
        path: What is removed; nothing happens where it is not there.
        instead: A directory that takes its place.

    Raises:
        StorageError: It cannot be removed.
    """
    doomed = os.path.join(Paths.ensure(layout.work), f"gone-{os.path.basename(path)}")
    try:
        shutil.rmtree(doomed, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.rename(path, doomed)
        if instead:
            os.rename(instead, path)
        if os.path.isdir(doomed):
            shutil.rmtree(doomed)
        elif os.path.lexists(doomed):
            os.unlink(doomed)
    except OSError as error:
        raise storage_error("replace" if instead else "remove", path, error) from error
