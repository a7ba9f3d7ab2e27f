"""The file broker: the kernel opens a file for a plugin and passes the descriptor, for what was granted while it runs.

What was granted before a worker started it opens itself. Linux only: `openat2` needs Linux 5.6.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import suppress

from proxima.errors import PermissionDeniedError, UsageError
from proxima.paths import Paths
from proxima.permissions import Permission, Permissions
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import refuse_file

MAX_PATH = 4096

_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 2, 4, 8
_RESOLVE = _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH

# Mode as for `open`: permissions it needs, flags, and whether the file is made, must be new, is emptied.
_READ, _WRITE = ("file_read",), ("file_write",)
_MODES: dict[str, tuple[tuple[str, ...], int, bool, bool, bool]] = {
    "r": (_READ, os.O_RDONLY, False, False, False),
    "r+": (_READ + _WRITE, os.O_RDWR, False, False, False),
    "w": (_WRITE, os.O_WRONLY, True, False, True),
    "w+": (_READ + _WRITE, os.O_RDWR, True, False, True),
    "a": (_WRITE, os.O_WRONLY | os.O_APPEND, True, False, False),
    "a+": (_READ + _WRITE, os.O_RDWR | os.O_APPEND, True, False, False),
    "x": (_WRITE, os.O_WRONLY, True, True, False),
    "x+": (_READ + _WRITE, os.O_RDWR, True, True, False),
}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class FileBroker:
    """Opens regular files that a plugin was granted.

    Symbolic links are followed once, before the permission is checked; what is then opened has no link in its path, so
    what somebody puts in its place afterwards is not opened.

    Args:
        permissions: Asked for each file.
        paths: Proxima's own directories, which are never opened.
    """

    def __init__(self, permissions: Permissions, paths: Paths | None = None) -> None:
        self._permissions = permissions
        self._paths = paths or Paths.default()

    def open(self, plugin: str, path: str, mode: str = "r", *, run_id: str | None = None) -> int:
        """Open a file.

        Args:
            plugin: Whose channel the request came by.
            path: Absolute.
            mode: ``r``, ``w``, ``a`` or ``x``, with ``+`` or without. Reading needs `file_read`, the others
                `file_write`, ``+`` both.
            run_id: The run it belongs to, if any.

        Returns:
            A descriptor, which belongs to the caller.

        Raises:
            UsageError: The path is not absolute, or there is no such mode.
            PermissionDeniedError: It is not granted, or is no regular file: a device, a pipe, a socket, a directory, or
                one of the system's own views of itself.
            OSError: It is missing, is there already, or cannot be opened by the kernel's user either.
        """
        if mode not in _MODES:
            raise UsageError(f"mode {mode!r}: expected one of {', '.join(_MODES)}")
        if not path.startswith("/") or len(path) > MAX_PATH or "\0" in path:
            raise UsageError(f"{path[:100]!r} is not an absolute path")
        kinds, flags, makes, must_be_new, empties = _MODES[mode]
        real = ""
        for kind in kinds:
            real = self._allowed(plugin, kind, path, run_id)
        root = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            return self._open(root, real, flags, makes, must_be_new, empties)
        except _NotRegularError:
            message = f"{plugin} was denied {path}: it is not a regular file, and no permission opens anything else"
            raise PermissionDeniedError(message, plugin=plugin) from None
        finally:
            os.close(root)

    def _allowed(self, plugin: str, kind: str, path: str, run_id: str | None) -> str:
        """Where the path leads, if the plugin may go there."""
        asked: Permission | str
        asked = text = f"{kind}:{path}"
        with suppress(UsageError):  # `use` refuses it again, and records that
            asked = Permission.parse(text)
        # Whether it is a link, and where that leads, is not for somebody to know who may not go there.
        message = f"{plugin} was denied {text}, or the place that it leads to"
        try:
            self._permissions.use(plugin, asked, target=path, run_id=run_id)
        except PermissionDeniedError as error:
            hint = error.hint if isinstance(asked, Permission) else None
            raise PermissionDeniedError(message, hint=hint, plugin=plugin) from None
        allowed = asked if isinstance(asked, Permission) else Permission.parse(text)
        try:
            refuse_file(allowed.value, text, self._paths, written=kind == "file_write")
        except UsageError:
            self._permissions.block(plugin, allowed, target=path, run_id=run_id)
            raise PermissionDeniedError(f"{message}: no permission opens it", plugin=plugin) from None
        return allowed.value

    def _open(self, root: int, path: str, flags: int, makes: bool, must_be_new: bool, empties: bool) -> int:
        for last_try in (False, True):
            if not must_be_new:
                try:
                    found = _openat2(root, path, os.O_PATH)
                except FileNotFoundError:
                    if not makes:
                        raise
                else:
                    return _reopened(found, flags, empties)
            try:
                return _openat2(root, path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                if must_be_new or last_try:  # made by somebody else between the two, and perhaps removed again
                    raise
        raise AssertionError("the second try returns or raises")


class _NotRegularError(Exception):
    pass


def _reopened(found: int, flags: int, empties: bool) -> int:
    """Open what an O_PATH descriptor stands for; that one opened nothing, and a device may act on being opened."""
    try:
        status = os.fstat(found)
        # /proc/PID/mem and its kin call themselves regular files.
        if not stat.S_ISREG(status.st_mode) or status.st_dev in {os.stat(each).st_dev for each in ("/proc", "/sys")}:
            raise _NotRegularError
        opened = os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC | os.O_NOCTTY)
    finally:
        os.close(found)
    if empties:
        os.ftruncate(opened, 0)
    return opened


def _openat2(root: int, path: str, flags: int, mode: int = 0) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE)
    try:
        return call("openat2", root, os.fsencode(path.lstrip("/")), how, ctypes.sizeof(how))
    except OSError as error:
        if error.errno == errno.EAGAIN:  # something was renamed on the way
            return call("openat2", root, os.fsencode(path.lstrip("/")), how, ctypes.sizeof(how))
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
