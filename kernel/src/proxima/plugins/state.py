"""What is remembered of plugins between runs: which are turned off, and which are quarantined.

One small file per plugin and fact, so that two processes never rewrite each other's and `plugin list` reads two
directories. Imports nothing but ``os`` for the same reason as `scan`.
"""

from __future__ import annotations

import os

from proxima.plugins.scan import is_plugin_id, read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxima.paths import Paths


class PluginState:
    """The remembered facts, under ``<state>/plugins``."""

    __slots__ = ("_disabled", "_quarantine")

    def __init__(self, paths: Paths) -> None:
        self._disabled = os.path.join(paths.state, "plugins", "disabled")
        self._quarantine = os.path.join(paths.state, "plugins", "quarantine")

    def disabled(self) -> set[str]:
        """Ids of the plugins that the user turned off."""
        return _names(self._disabled)

    def quarantined(self) -> set[str]:
        """Ids of the plugins that failed and are not tried again until the user enables them or they change."""
        return _names(self._quarantine)

    def quarantine_of(self, plugin_id: str) -> tuple[str, str] | None:
        """``(fingerprint, traceback)`` of a quarantined plugin; the fingerprint tells which build of it failed."""
        text = read_small(os.path.join(self._quarantine, plugin_id)) if is_plugin_id(plugin_id) else None
        if text is None:
            return None
        fingerprint, _, traceback = text.partition("\n")
        return fingerprint, traceback

    def disable(self, plugin_id: str) -> None:
        """Remembers that the plugin is off.

        Raises:
            UsageError: It is no plugin's id.
        """
        _write(self._disabled, plugin_id, b"")

    def enable(self, plugin_id: str) -> None:
        """Forgets that the plugin is off, and lifts its quarantine; of what is no plugin's id nothing is remembered."""
        for directory in (self._disabled, self._quarantine) if is_plugin_id(plugin_id) else ():
            _remove(os.path.join(directory, plugin_id))

    def quarantine(self, plugin_id: str, fingerprint: str, traceback: str) -> None:
        """Remembers how the plugin failed.

        Raises:
            UsageError: It is no plugin's id.
        """
        _write(self._quarantine, plugin_id, f"{fingerprint}\n{traceback}".encode(errors="backslashreplace"))


def _names(directory: str) -> set[str]:
    try:
        return {name for name in os.listdir(directory) if not name.startswith(".")}
    except OSError:
        return set()


def _write(directory: str, plugin_id: str, data: bytes) -> None:
    from proxima.errors import UsageError
    from proxima.paths import Paths
    from proxima.storage import write_atomic

    if not is_plugin_id(plugin_id):
        raise UsageError(f"{plugin_id!r:.80} is not a plugin's id")
    write_atomic(os.path.join(Paths.ensure(directory), plugin_id), data)


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        from proxima.errors import StorageError

        raise StorageError(f"cannot remove {path}: {error.strerror}") from error
