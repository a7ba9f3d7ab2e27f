"""The kept versions of a plugin, as their ``install.json`` tells of them."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import NamedTuple

from proxima.errors import NotFoundError, StorageError
from proxima.plugins.scan import DEPENDENCIES, FoundPlugin
from proxima.storage import storage_error, write_atomic
from proxima.store.layout import Layout, names_in
from proxima.store.pointer import directory_of, read_pointer
from proxima.store.pylock import read_pylock
from proxima.store.sources import Source


class Version(NamedTuple):
    """A kept version of a plugin, from its ``install.json``.

    Attributes:
        directory: Its directory's name.
        time: When it was installed, the last time, in seconds since the epoch.
        source: What it was installed from; an address has its user name and password, for updates.
        current: It is the one that runs.
    """

    plugin: str
    directory: str
    distribution: str
    version: str
    target: str
    fits: str
    kinds: str
    trusted: bool
    time: float
    source: Source
    permissions: tuple[str, ...]
    changelog: str = ""
    current: bool = False

    @property
    def found(self) -> FoundPlugin:
        """As discovery finds it where its pointer leads here."""
        found = FoundPlugin(self.plugin, self.target, self.distribution, self.version, "")
        found.origin, found.fits, found.kinds, found.trusted = "store", self.fits, self.kinds, self.trusted
        return found


def versions_of(layout: Layout, plugin: str) -> list[Version]:
    """The kept versions of a plugin, the newest first; one that is damaged is left out."""
    current = directory_of(read_pointer(layout.root, plugin))
    found = []
    for name in names_in(layout.versions(plugin)):
        with suppress(StorageError):
            found.append(read_version(layout, plugin, name, current))
    return sorted(found, key=lambda each: each.time, reverse=True)


def is_kept(layout: Layout, plugin: str, directory: str) -> bool:
    """Whether a version is there, and undamaged as far as what is written of it tells."""
    try:
        read_version(layout, plugin, directory)
        return bool(read_pylock(os.path.join(layout.version(plugin, directory), "pylock.toml")))
    except StorageError:
        return False


def read_version(layout: Layout, plugin: str, directory: str, current: str = "") -> Version:
    """One kept version.

    Raises:
        StorageError: Its ``install.json`` cannot be read, or what it depends on is not there any more.
    """
    path = os.path.join(layout.version(plugin, directory), "install.json")
    link = os.path.join(layout.version(plugin, directory), DEPENDENCIES)
    if os.path.islink(link) and not os.path.isdir(link):
        raise StorageError(f"{link} leads to nothing", hint=f"Install {plugin} again.")
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        permissions, source = tuple(values.pop("permissions")), Source(**values.pop("source"))
        now = directory == current
        return Version(**values, source=source, directory=directory, permissions=permissions, current=now)
    except OSError as error:
        raise storage_error("read", path, error) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(f"{path} is damaged: {error}", hint=f"Install {plugin} again.") from error


def renew(layout: Layout, plugin: str, directory: str, seconds: float) -> None:
    """Has a kept version count as installed at a time; nothing happens to a damaged one."""
    if not is_kept(layout, plugin, directory):
        return
    path = os.path.join(layout.version(plugin, directory), "install.json")
    with open(path, encoding="utf-8") as file:
        facts = json.load(file)
    write_atomic(path, json.dumps(facts | {"time": seconds}, indent=1))


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another, in the order of PEP 440."""
    from packaging.version import Version as Ordered

    return Ordered(version) < Ordered(than)


def earlier(plugin: str, kept: list[Version], wanted: str | None) -> Version:
    """The kept version that is asked for, or the one that was installed before the current one.

    Raises:
        NotFoundError: It is not kept; the hint says which are.
    """
    if wanted is not None:
        found = [each for each in kept if wanted in (each.version, each.directory)]
    else:
        now = next((each.time for each in kept if each.current), float("inf"))
        found = [each for each in kept if each.time < now]
    if not found:
        names = ", ".join(f"{each.version}{' (runs now)' if each.current else ''}" for each in kept)
        what = f"version {wanted}" if wanted else "older version"
        raise NotFoundError(f"no {what} of {plugin} is kept", hint=f"Kept: {names or 'none'}.", plugin=plugin)
    return found[0]
