"""Where Proxima keeps its files. Nothing but `os` and `sys` is imported here: `proxima --version` pays for it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths:
    """The four directories of one Proxima home, as absolute paths; constructing one creates nothing.

    Args:
        config: Settings that the user writes.
        data: What must not be lost: results, grants, installed plugins.
        state: What is worth keeping: logs, calibration, which plugins are enabled.
        cache: What can be made again.
    """

    __slots__ = ("cache", "config", "data", "state")

    def __init__(self, *, config: str, data: str, state: str, cache: str) -> None:
        self.config = config
        self.data = data
        self.state = state
        self.cache = cache

    @classmethod
    def under(cls, home: str) -> Paths:
        """Put all four under one directory, as `PROXIMA_HOME` does."""
        return cls(**{name: os.path.join(os.path.abspath(home), name) for name in cls.__slots__})

    @classmethod
    def default(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The directories of this user.

        `PROXIMA_HOME` wins. Linux follows the XDG Base Directory Specification 0.8, under which an empty or
        relative value counts as unset; other systems ask platformdirs.

        Raises:
            StorageError: there is no home directory to start from.
        """
        home = environ.get("PROXIMA_HOME")
        if home:
            return cls.under(os.path.expanduser(home))
        if sys.platform != "linux":
            from platformdirs import PlatformDirs

            dirs = PlatformDirs("proxima", appauthor=False)
            return cls(**{name: getattr(dirs, f"user_{name}_dir") for name in cls.__slots__})
        return cls(
            config=_xdg(environ, "XDG_CONFIG_HOME", ".config"),
            data=_xdg(environ, "XDG_DATA_HOME", ".local/share"),
            state=_xdg(environ, "XDG_STATE_HOME", ".local/state"),
            cache=_xdg(environ, "XDG_CACHE_HOME", ".cache"),
        )

    @staticmethod
    def ensure(path: str) -> str:
        """Create a directory and its missing parents with mode 0700, and return it.

        Raises:
            StorageError: the directory cannot be made, or something else has its name.
        """
        try:
            _make(path)
        except OSError as error:
            from proxima.errors import StorageError

            raise StorageError(
                f"cannot create the directory {path}: {error.strerror}",
                hint="Make its parent writable, or set PROXIMA_HOME to a directory that is.",
            ) from error
        return path


def user_home(environ: Mapping[str, str] = os.environ) -> str:
    """This user's home directory: `HOME`, else what the system's user database says.

    Raises:
        StorageError: neither knows one.
    """
    home = environ.get("HOME", "") if os.name == "posix" else os.path.expanduser("~")
    if os.path.isabs(home):
        return home
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError) as error:
        from proxima.errors import StorageError

        raise StorageError(
            "this user has no home directory", hint="Set HOME, or PROXIMA_HOME to a directory of your own."
        ) from error


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> str:
    base = environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(user_home(environ), below_home)
    return os.path.join(base, "proxima")


def _make(path: str) -> None:
    # os.makedirs gives the mode to the last directory only; the parents would be readable by everyone.
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path.rstrip(os.sep))
    if parent and parent != path:
        _make(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
