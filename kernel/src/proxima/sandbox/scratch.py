"""Workers' private directories: mode 0700, measured while the worker lives, removed with it or swept later."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress

from proxima.paths import Paths

MAX_ENTRIES = 100_000
"""A directory with more entries than this counts as full."""


class ScratchSpace:
    """The scratch directories of one kernel, under ``<cache>/sandbox/KERNEL_PID-STARTED``.

    Args:
        paths: Proxima's directories.
    """

    def __init__(self, paths: Paths) -> None:
        self._base = os.path.join(paths.cache, "sandbox")
        pid = os.getpid()
        self.root = os.path.join(self._base, f"{pid}-{_started(pid)}")
        self._count = 0

    def open(self) -> None:
        """Makes this kernel's directory, and removes those of kernels that are gone."""
        Paths.ensure(self._base)
        for name in os.listdir(self._base):
            pid, _, started = name.partition("-")
            if not (pid.isdigit() and started and _started(int(pid)) == started):
                remove_tree(os.path.join(self._base, name))
        Paths.ensure(self.root)

    def make(self, plugin: str) -> str:
        """A new empty directory for one worker."""
        self._count += 1
        path = os.path.join(self.root, f"{plugin}-{self._count}")
        os.mkdir(path, 0o700)
        return path

    def close(self) -> None:
        """Removes everything."""
        remove_tree(self.root)


def used_bytes(path: str) -> int:
    """The disk space that lies beneath a directory; links are not followed.

    An entry counts as at least 4 KiB, so that a flood of empty files is not free. What cannot be measured, because it
    is nested too deeply, has more than `MAX_ENTRIES` entries or cannot be listed, counts as `sys.maxsize`.
    """
    total = seen = 0
    pending = [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_ENTRIES:
                        return sys.maxsize
                    with suppress(FileNotFoundError):  # the worker goes on while we look
                        status = entry.stat(follow_symlinks=False)
                        total += max(status.st_blocks * 512, 4096)
                        if stat.S_ISDIR(status.st_mode):
                            pending.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return sys.maxsize
    return total


def unlinked_bytes(pid: int) -> int:
    """The space in files that a process holds open and that no directory shows any more, memory files included."""
    files: dict[tuple[int, int], int] = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return 0  # it has ended
    for name in names:
        with suppress(OSError):
            status = os.stat(f"/proc/{pid}/fd/{name}")
            if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(files.values())


def remove_tree(path: str) -> None:
    """Removes a directory that nobody writes to any more; a link in it is removed, not followed.

    However deep it is, and whatever modes it has: each directory's content is moved to the top before it is removed.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        os.chmod(path, 0o700)
        prefix, count, empty = secrets.token_hex(8), 0, False
        while not empty:
            empty = True
            with os.scandir(path) as entries:
                for entry in entries:
                    empty = False
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                        continue
                    os.chmod(entry.path, 0o700)
                    for name in os.listdir(entry.path):
                        count += 1
                        os.rename(os.path.join(entry.path, name), os.path.join(path, f"{prefix}-{count}"))
                    os.rmdir(entry.path)
        os.rmdir(path)


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot, so that a pid used anew is not taken for the old one."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""
