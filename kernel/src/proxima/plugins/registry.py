"""`PluginRegistry`: every installed plugin with its state, and what their manifests say they contribute."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from proxima.errors import (
    ManifestError,
    NotFoundError,
    PluginBrokenError,
    PluginDisabledError,
    PluginError,
    PluginIncompatibleError,
    StorageError,
)
from proxima.nearest import did_you_mean
from proxima.once import once
from proxima.plugins.compatibility import unfit
from proxima.plugins.first_party import is_first_party
from proxima.plugins.scan import FoundPlugin, manifest_path, read_header, scan, store_paths
from proxima.plugins.state import PluginState

if TYPE_CHECKING:
    from proxima.plugins.manifest import Contribution, Manifest

REMOVE_ONE = f"uninstall the one that should not be there: `{sys.executable} -m pip uninstall NAME`"


class State(StrEnum):
    """Where a plugin stands in its life.

    ``discovered``, ``installed`` and ``uninstalled`` are passed through while a plugin is put in place or taken away;
    a plugin that is found on the path is in one of the others.
    """

    DISCOVERED = "discovered"  # its metadata was seen; its manifest is not read yet
    INSTALLED = "installed"  # read and compatible, but left out of this start (safe mode, PROXIMA_PLUGINS)
    ENABLED = "enabled"  # ready to be activated on first use
    RUNNING = "running"  # activated in this process
    DISABLED = "disabled"  # the user turned it off
    UNINSTALLED = "uninstalled"  # remembered, but no longer on the path
    INCOMPATIBLE = "incompatible"  # made for another kernel or Python
    BROKEN = "broken"  # its manifest or its code failed; quarantined


@dataclass(slots=True)
class PluginRecord:
    """One plugin.

    Attributes:
        manifest: ``None`` where it cannot be read.
        reason: Why it is in a state that keeps it from running.
        traceback: How it failed, where it did.
        isolation: Where it runs once it is activated: ``in-process``, or ``worker`` and its tier.
    """

    id: str
    found: FoundPlugin | None
    state: State
    manifest: Manifest | None = None
    reason: str = ""
    traceback: str = ""
    isolation: str = ""

    @property
    def version(self) -> str:
        """The distribution's version."""
        return self.found.version if self.found else ""

    @property
    def first_party(self) -> bool:
        """Whether this project publishes it; what came through the store could take any name."""
        found = self.found
        return found is not None and found.origin != "store" and is_first_party(self.id, found.distribution)

    def error(self) -> PluginError | None:
        """Why it cannot be activated, as an error; ``None`` where it can."""
        match self.state:
            case State.ENABLED | State.RUNNING:
                return None
            case State.DISABLED:
                hint = f"turn it on with `proxima plugin enable {self.id}`"
                return PluginDisabledError(f"plugin {self.id} is disabled", hint=hint, plugin=self.id)
            case State.INCOMPATIBLE:
                hint = f"install a version of {self.id} made for this kernel"
                return PluginIncompatibleError(f"plugin {self.id} {self.reason}", hint=hint, plugin=self.id)
            case State.BROKEN if self.found and self.found.contested:
                message = f"plugin {self.id} is not run: {self.found.contested}"
                return PluginBrokenError(message, hint=REMOVE_ONE, plugin=self.id)
            case State.BROKEN:
                hint = f"see `proxima plugin info {self.id}`; once it is mended: `proxima plugin enable {self.id}`"
                return PluginBrokenError(f"plugin {self.id} is broken: {self.reason}", hint=hint, plugin=self.id)
        return PluginDisabledError(f"plugin {self.id} is {self.state}: {self.reason}", plugin=self.id)


@dataclass
class PluginRegistry:
    """The plugins on a path, judged by their metadata and manifests alone.

    Args:
        only: Ids of the plugins to start with (``PROXIMA_PLUGINS``); ``None`` for all.
        safe_mode: Start without third-party plugins.
        path: Directories to look in; ``sys.path`` by default.
        store: The directory of the plugin store.
        on_change: Called with the record when a plugin goes to another state.
    """

    state: PluginState
    only: Sequence[str] | None = None
    safe_mode: bool = False
    path: Iterable[str] | None = None
    store: str = ""
    on_change: Callable[[PluginRecord], object] = lambda record: None

    @once
    def records(self) -> dict[str, PluginRecord]:
        """Every plugin by id, in order of id."""
        disabled, quarantined = self.state.disabled(), self.state.quarantined()
        found: dict[str, FoundPlugin] = {}
        for plugin in scan(self.path, self.store):
            found.setdefault(plugin.id, plugin)
        records = {
            plugin_id: self.judge(found[plugin_id], plugin_id in disabled, plugin_id in quarantined)
            for plugin_id in sorted(found)
        }
        gone = sorted((disabled | quarantined) - set(found))
        records.update({i: PluginRecord(i, None, State.UNINSTALLED, reason="not on the path") for i in gone})
        return records

    @once
    def contributions(self) -> dict[str, list[Contribution]]:
        """Contributions of every plugin that can be activated, by kind, first-party plugins first, then by name."""
        by_kind: dict[str, list[Contribution]] = {}
        usable = [r for r in self.records.values() if r.manifest and r.error() is None]
        for record in sorted(usable, key=lambda r: (not r.first_party, r.id)):
            assert record.manifest is not None
            for contribution in record.manifest.contributions:
                by_kind.setdefault(contribution.kind, []).append(contribution)
        for contributions in by_kind.values():
            contributions.sort(key=lambda c: (not self.records[c.plugin].first_party, c.name))
        return by_kind

    def get(self, plugin_id: str) -> PluginRecord:
        """One plugin.

        Raises:
            NotFoundError: With the nearest names.
        """
        record = self.records.get(plugin_id)
        if record is None:
            hint = did_you_mean(plugin_id, self.records) or "see `proxima plugin list`"
            raise NotFoundError(f"there is no plugin called {plugin_id!r}", hint=hint)
        return record

    def find(self, kind: str, name: str) -> Contribution:
        """The contribution of that kind and name; a first-party plugin's where several have it.

        Raises:
            NotFoundError: With the nearest names.
            PluginError: It belongs to a plugin that cannot be activated.
        """
        available = self.contributions.get(kind, [])
        for contribution in available:
            if contribution.name == name:
                return contribution
        for record in self.records.values():
            for contribution in record.manifest.contributions if record.manifest else ():
                if (contribution.kind, contribution.name) == (kind, name) and (error := record.error()):
                    raise error
        names = [c.name for c in available]
        one = kind.removesuffix("s").replace("_", " ")
        known = f"installed: {', '.join(names)}" if names else f"no plugin with {kind.replace('_', ' ')} is installed"
        raise NotFoundError(f"there is no {one} called {name!r}", hint=did_you_mean(name, names) or known)

    def mark_running(self, plugin_id: str) -> None:
        """Remembers that the plugin is activated in this process."""
        self._change(self.get(plugin_id), State.RUNNING)

    def mark_broken(self, plugin_id: str, reason: str, traceback: str) -> None:
        """Quarantines a plugin that failed: it is not tried again until it changes or the user enables it."""
        record = self.get(plugin_id)
        self._change(record, State.BROKEN, reason[:500], traceback[-50_000:])
        if record.found:
            try:
                self.state.quarantine(plugin_id, fingerprint(record.found), f"{record.reason}\n{record.traceback}")
            except StorageError as error:
                logging.getLogger("proxima").warning("that %s is broken cannot be remembered: %s", plugin_id, error)

    def set_enabled(self, plugin_id: str, enabled: bool) -> PluginRecord:
        """Turns a plugin on (which also lifts its quarantine) or off, and remembers it.

        Raises:
            NotFoundError: With the nearest names.
        """
        record = self.get(plugin_id)
        if enabled:
            self.state.enable(plugin_id)
        else:
            self.state.disable(plugin_id)
        if record.found:
            now = self.judge(record.found, not enabled, plugin_id in self.state.quarantined())
            self._change(record, now.state, now.reason, now.traceback)
        return record

    def look_again(self, plugin_id: str) -> None:
        """Takes note that a plugin was installed, changed or removed; one that runs goes on as it is until the end."""
        old = self.records.get(plugin_id)
        if old is not None and old.state is State.RUNNING:
            return
        found = next((each for each in scan(self.path, self.store) if each.id == plugin_id), None)
        self.records.pop(plugin_id, None)
        if found is not None:
            disabled, quarantined = self.state.disabled(), self.state.quarantined()
            self.records[plugin_id] = self.judge(found, plugin_id in disabled, plugin_id in quarantined)
        self.__dict__.pop("contributions", None)

    def _change(self, record: PluginRecord, state: State, reason: str = "", traceback: str = "") -> None:
        record.state, record.reason, record.traceback = state, reason, traceback
        self.__dict__.pop("contributions", None)
        self.on_change(record)

    def judge(self, found: FoundPlugin, disabled: bool, quarantined: bool) -> PluginRecord:
        """The state of a plugin as its manifest and what is remembered of it tell."""
        from proxima.plugins.manifest import read_manifest

        record = PluginRecord(found.id, found, State.ENABLED)
        path = manifest_path(found)
        try:
            if path is None:
                raise ManifestError(f"{found.distribution} holds no {found.package}/proxima-plugin.json")
            record.manifest = read_manifest(path)
            if record.manifest.id != found.id:
                raise ManifestError(f"{path}: name: expected {found.id!r} as the entry point says")
            if found.origin == "store" and not all(map(os.path.isdir, store_paths(found))):
                raise ManifestError(f"what {found.id} depends on is not in the store any more: install it again")
        except ManifestError as error:
            # What was written for a later kernel may well look wrong to this one.
            header = read_header(path) if path else None
            reason = unfit(header[0]) if header else ""
            record.state = State.INCOMPATIBLE if reason else State.BROKEN
            record.reason = reason or str(error)
            return record
        if found.contested:
            record.state, record.reason = State.BROKEN, found.contested
        elif disabled:
            record.state, record.reason = State.DISABLED, "turned off"
        elif quarantined and (failure := self.state.quarantine_of(found.id)) and failure[0] == fingerprint(found):
            record.state = State.BROKEN
            record.reason, _, record.traceback = failure[1].partition("\n")
        elif reason := unfit(found.fits or record.manifest.fits):
            record.state, record.reason = State.INCOMPATIBLE, reason
        elif self.only is not None and found.id not in self.only:
            record.state, record.reason = State.INSTALLED, "left out by PROXIMA_PLUGINS"
        elif self.safe_mode and not record.first_party:
            record.state, record.reason = State.INSTALLED, "left out by --safe-mode"
        return record


def fingerprint(found: FoundPlugin) -> str:
    """Tells one build of a plugin from another: a new version, or a file that was changed, gives a new one."""
    path = manifest_path(found)
    package = os.path.dirname(path) if path else found.base
    newest = size = 0
    for directory, _, names in os.walk(package):
        for name in names:
            if name.endswith((".py", ".json")) and os.path.exists(file := os.path.join(directory, name)):
                status = os.stat(file)
                newest, size = max(newest, status.st_mtime_ns), size + status.st_size
    return f"{found.distribution} {found.version} {newest} {size}"
