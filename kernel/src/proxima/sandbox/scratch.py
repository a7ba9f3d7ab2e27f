"""Workers' private directories: mode 0700, measured while the worker lives, removed with it or swept later."""

from __future__ import annotations

import fcntl
import functools
import os
import secrets
import stat
import sys
from contextlib import suppress

from proxima.paths import Paths
from proxima.sandbox.linux import limits
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import MAX_ENTRIES, Tier
from proxima.sandbox.worker_removal import REMOVED

FOR_ROOT = "/var/cache/proxima-sandbox"

_MAPPED = 1 << 16  # at least a page, whatever its size


class ScratchSpace:
    """The scratch directories of one kernel, under ``<cache>/sandbox/KERNEL_PID-STARTED``.

    A worker of root at tier B is another user, without mounts of its own. Its directory must lie where every user may
    pass through: in `FOR_ROOT` where root's cache does not.

    Args:
        paths: Proxima's directories.
        tier: What workers run at.
    """

    def __init__(self, paths: Paths, tier: Tier = "A") -> None:
        self._passed_through = tier == "B" and limits.is_root()
        closed = self._passed_through and limits.first_closed(paths.cache) is not None
        self._base = FOR_ROOT if closed else os.path.join(paths.cache, "sandbox")
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
        if self._passed_through:
            for path in (self._base, self.root):
                os.chmod(path, 0o711)

    def make(self, plugin: str) -> str:
        """A new empty directory for one worker."""
        self._count += 1
        path = os.path.join(self.root, f"{plugin}-{self._count}")
        os.mkdir(path, 0o700)
        os.mkdir(trash_of(path), 0o700)
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


def trash_of(scratch: str) -> str:
    """Where the kernel keeps a worker's removed files until nobody has them open; out of the worker's reach."""
    return f"{scratch}.trash"


def delete_removed(scratch: str) -> None:
    """Deletes what a worker at tier B moved aside to be removed, but for what it still has open or mapped.

    A lease tells: it is given on a file that nobody else has open. On a file system where it does not tell of mappings,
    such as overlayfs, what was removed counts until the worker ends.
    """
    trash = trash_of(scratch)
    with suppress(OSError):  # what cannot be moved is counted where it is
        aside = os.open(os.path.join(scratch, REMOVED), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in os.listdir(aside):
                os.rename(name, os.path.join(trash, secrets.token_hex(8)), src_dir_fd=aside)
        finally:
            os.close(aside)
    with suppress(FileNotFoundError):  # the worker has ended
        for name in os.listdir(trash) if _leases_tell(os.path.dirname(trash)) else ():
            _delete_unused(os.path.join(trash, name))


def _delete_unused(path: str) -> None:
    with suppress(OSError):  # it is counted
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            os.fchown(file, os.geteuid(), -1)  # leases are for the owner
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            os.unlink(path)
        finally:
            os.close(file)


@functools.cache
def _leases_tell(directory: str) -> bool:
    """Whether the file system refuses a lease on a file that is mapped and no longer open; tried with one."""
    path = os.path.join(directory, secrets.token_hex(8))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(file, _MAPPED)
        address = call("mmap", 0, _MAPPED, 1, 1, file, 0)  # Python's own mapping would keep the descriptor
        os.close(file)
        _delete_unused(path)
        call("munmap", address, _MAPPED)
        return os.path.exists(path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


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
