"""Removing files where a worker may not: they are moved aside, and the kernel deletes what nobody has open any more.

A file that was removed while it was open takes up space that no directory shows. At tier A the private directory is a
file system of its own, which counts it. At tier B the lock refuses to remove; `os.remove` and `os.rename`, and all of
Python that builds on them, work by what is here. Native code that removes files itself fails with EPERM there.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import tempfile
from typing import Any

from proxima.sandbox.linux.syscalls import AT_FDCWD, call

REMOVED = ".removed"
"""The directory in the private one that removed files are moved to."""


_NOREPLACE, _EXCHANGE = 1, 2


def install(scratch: str) -> None:
    """Replaces this process's functions that remove and rename, for good."""
    aside = os.path.join(scratch, REMOVED)
    os.mkdir(aside, 0o700)
    numbers = itertools.count()
    real = os.unlink

    def remove(path: Any, *, dir_fd: int | None = None) -> None:
        if _is_directory(path, dir_fd):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        _move(path, os.path.join(aside, str(next(numbers))), _NOREPLACE, dir_fd)

    def rename(src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        try:
            _move(src, dst, _NOREPLACE, src_dir_fd, dst_dir_fd)
            return
        except FileExistsError:
            onto = _is_directory(dst, dst_dir_fd)
        if onto != _is_directory(src, src_dir_fd):
            number = errno.EISDIR if onto else errno.ENOTDIR
            raise OSError(number, os.strerror(number), src, None, dst)
        if onto:
            os.rmdir(dst, dir_fd=dst_dir_fd)  # fails unless it is empty, as it must be
            _move(src, dst, _NOREPLACE, src_dir_fd, dst_dir_fd)
        elif (src, src_dir_fd) != (dst, dst_dir_fd):
            _move(src, dst, _EXCHANGE, src_dir_fd, dst_dir_fd)  # whoever opens it finds the one or the other
            remove(src, dir_fd=src_dir_fd)

    replaced: dict[str, Any] = {"remove": remove, "unlink": remove, "rename": rename, "replace": rename}
    for name, function in replaced.items():
        os.supports_dir_fd.add(function)
        setattr(os, name, function)
    for method in vars(vars(tempfile)["_TemporaryFileCloser"]).values():  # it remembers the old one
        if defaults := getattr(method, "__defaults__", None):
            method.__defaults__ = tuple(remove if each is real else each for each in defaults)


def _is_directory(path: Any, dir_fd: int | None) -> bool:
    return stat.S_ISDIR(os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode)


def _move(src: Any, dst: Any, flags: int, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    names = [os.fsencode(each) + b"\0" for each in (src, dst)]
    places = [AT_FDCWD if each is None else each for each in (src_dir_fd, dst_dir_fd)]
    try:
        call("renameat2", places[0], names[0], places[1], names[1], flags)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), src, None, dst) from None
