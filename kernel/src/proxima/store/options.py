"""`Options`: the settings ``store.*``, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from proxima.errors import SettingsError
from proxima.paths import Paths
from proxima.store.layout import Layout

if TYPE_CHECKING:
    from proxima.store.preparing import Workbench

_CHOICES = {"update_check": ("never", "daily", "weekly"), "update": ("ask", "auto")}


class Options(NamedTuple):
    """How the store resolves, fetches, waits and keeps.

    Attributes:
        resolver: ``uv``, ``pip`` or ``pip-tools``; the first that is here by default.
        index_url: The index, where it is not what the resolver's own configuration says.
        extra_index_urls: More of them.
        find_links: Directories or pages of wheels; a directory's path may be relative to the current one.
        seconds: How long one transaction may take.
        wait_seconds: How long one waits for another.
        keep: How many versions of a plugin are kept.
        max_wheel_bytes: How large a wheel may be.
        update_check: How often newer versions are looked for: ``never``, ``daily`` or ``weekly``.
        update: ``auto`` puts them in place where they ask for nothing new; ``ask`` only tells of them.
    """

    resolver: str = ""
    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    seconds: float = 1800.0
    wait_seconds: float = 600.0
    keep: int = 3
    max_wheel_bytes: int = 4 << 30
    update_check: str = "never"
    update: str = "ask"

    @classmethod
    def from_settings(cls, table: object) -> Options:
        """Reads the table ``store``.

        Raises:
            SettingsError: A setting is unknown or has another type than it should.
        """
        if not isinstance(table, Mapping):
            raise SettingsError(f"store: expected a table, found {table!r}")
        known = cls()._asdict()
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name not in known:
                raise SettingsError(f"store.{name}: unknown setting", hint=f"The settings are {', '.join(known)}.")
            values[name] = _checked(name, value, known[name])
        return cls(**values)

    def workbench(self, layout: Layout, paths: Paths) -> Workbench:
        """What versions are made with."""
        from proxima.store.preparing import Workbench
        from proxima.store.resolve.resolver import Index

        # the tools run in directories of their own
        links = (each if "://" in each else os.path.abspath(os.path.expanduser(each)) for each in self.find_links)
        index = Index(self.index_url, self.extra_index_urls, tuple(links))
        return Workbench(layout, paths.cache, index, self.resolver, self.max_wheel_bytes)


def _checked(name: str, value: object, default: object) -> object:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise SettingsError(f"store.{name}: expected a list of texts, found {value!r}")
    if isinstance(default, str):
        choices = _CHOICES.get(name)
        if choices and value not in choices:
            raise SettingsError(f"store.{name}: expected {' or '.join(choices)}, found {value!r}")
        if isinstance(value, str):
            return value
        raise SettingsError(f"store.{name}: expected text, found {value!r}")
    kinds = (int,) if isinstance(default, int) else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and value > 0:
        return value
    raise SettingsError(f"store.{name}: expected a number above 0, found {value!r}")
