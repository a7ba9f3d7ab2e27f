"""Puts a version in place, and heals what a killed process left: after it, a plugin is exactly old or exactly new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxima.errors import StorageError, UsageError
from proxima.paths import Paths
from proxima.plugins.scan import FoundPlugin
from proxima.storage import storage_error, sync_directory, write_atomic
from proxima.store.collect import keep_last, remove_unused
from proxima.store.disk import remove, sync
from proxima.store.fetch import sweep
from proxima.store.job import Job
from proxima.store.journal import Entry, close_entry, entries_left, is_remembered, open_entry, remember
from proxima.store.layout import Layout, names_in
from proxima.store.pointer import directory_of, pointer_text, read_pointer
from proxima.store.room import is_lived_in
from proxima.store.versions import is_kept, renew

if TYPE_CHECKING:
    from proxima.events import Event
    from proxima.permissions import Permissions


@dataclass(frozen=True, slots=True)
class Swapper:
    """Swaps the pointers of one store; who calls it holds the store.

    Attributes:
        permissions: Where grants are kept and everything is recorded; opened when it is needed.
        publish: Told of every change.
        forget: Called with the id of a plugin that was removed, of which nothing else is remembered from then on.
        keep: How many versions of a plugin are kept.
    """

    layout: Layout
    permissions: Callable[[], Permissions]
    publish: Callable[[Event], object]
    forget: Callable[[str], object]
    keep: int = 3

    def swap(self, entry: Entry, found: FoundPlugin | None, work: str, job: Job) -> None:
        """Does what an entry says.

        Args:
            entry: From which version's directory to which.
            found: As discovery is to find the plugin; ``None`` takes it away.
            work: Where the new version's directory lies; empty where it is in place already.
            job: Its step hook is called.

        Raises:
            StorageError: The disk is full or read-only; all is as before.
        """
        entry = replace(entry, made=bool(work))
        pointer = os.path.join(Paths.ensure(self.layout.current), entry.plugin)
        if work:
            Paths.ensure(self.layout.versions(entry.plugin))
            sync(self.layout.root)
        try:
            job.step("journal")
            open_entry(self.layout, entry)
            job.step("place")
            if work:
                # Where something is there already it is damaged: else the version would not have been made anew.
                remove(self.layout, self.layout.version(entry.plugin, entry.after), instead=work)
                sync_directory(self.layout.versions(entry.plugin))  # no pointer survives a power loss without it
            job.step("swap")
            if found is None:
                os.unlink(pointer)
                sync_directory(self.layout.current)
            else:
                write_atomic(pointer, pointer_text(found, entry.after))
        except OSError as error:
            self._settle(entry)
            if isinstance(error, StorageError):
                raise
            raise storage_error("change", pointer, error) from error
        job.step("record")
        self._finish(entry)
        job.step("collect")
        self._collect(entry.plugin)

    def heal(self) -> list[Entry]:
        """Finishes or undoes what a killed process was doing; gives the swaps that it was in the middle of."""
        left = list(entries_left(self.layout))
        for entry in left:
            self._settle(entry)
        work = self.layout.work
        _sweep(work, lambda name: not is_lived_in(os.path.join(work, name)))
        sweep(self.layout.downloads)
        for directory in (self.layout.current, self.layout.journal):
            _sweep(directory, lambda name: name.startswith("."))
        for plugin in set(names_in(self.layout.versions())) - set(names_in(self.layout.current)):
            remove(self.layout, self.layout.versions(plugin))
        remove_unused(self.layout)
        return left

    def _settle(self, entry: Entry) -> None:
        """Looks at the pointer and knows: what was swapped is finished, what was not is undone."""
        if self._swapped(entry):
            self._finish(entry)
            self._collect(entry.plugin)
            return
        if entry.made and entry.before != entry.after:
            remove(self.layout, self.layout.version(entry.plugin, entry.after))
        remember(self.layout, entry, "undone")
        close_entry(self.layout, entry)

    def _swapped(self, entry: Entry) -> bool:
        if not entry.after:
            return not os.path.exists(os.path.join(self.layout.current, entry.plugin))
        if entry.before == entry.after and not is_kept(self.layout, entry.plugin, entry.after):
            return False  # a damaged version was to be replaced
        return directory_of(read_pointer(self.layout.root, entry.plugin)) == entry.after

    def _finish(self, entry: Entry) -> None:
        """What belongs to a swap that was done, and was not finished yet; after it, nothing is left to do."""
        if not is_remembered(self.layout, entry):
            self._record(entry)
        close_entry(self.layout, entry)

    def _record(self, entry: Entry) -> None:
        from proxima.events import PluginStateChanged
        from proxima.permissions import Permission, Source

        permissions = self.permissions()
        source = Source(entry.distribution, "store")
        permissions.declare(entry.plugin, entry.version or entry.version_before, entry.permissions, source=source)
        if entry.after:
            if entry.action != "rollback" and not entry.made:
                renew(self.layout, entry.plugin, entry.after, entry.time)
            for text in entry.grants:
                with suppress(UsageError):  # a directory that was granted may be gone by the time this is healed
                    permissions.grants.grant(entry.plugin, Permission.parse(text))
        else:
            # A damaged pointer does not tell which distribution it was; one of the store is what it was.
            for each in [*(s for s in permissions.grants.sources(entry.plugin) if s.origin == "store"), source]:
                permissions.declare(entry.plugin, entry.version_before, entry.permissions, source=each)
                permissions.grants.reset(entry.plugin)
            self.forget(entry.plugin)
        target = f"{entry.distribution} {entry.version_before or '-'} -> {entry.version or '-'} ({entry.why})"
        version = entry.version or entry.version_before
        permissions.audit.record(entry.plugin, f"store.{entry.action}", "used", version=version, target=target)
        remember(self.layout, entry)
        state = "installed" if entry.after else "uninstalled"
        self.publish(PluginStateChanged(plugin=entry.plugin, state=state, detail=f"{entry.action} {entry.version}"))

    def _collect(self, plugin: str) -> None:
        if keep_last(self.layout, plugin, self.keep):
            remove_unused(self.layout)


def _sweep(directory: str, is_left: Callable[[str], bool]) -> None:
    """Removes what a killed process left in a directory, by its name."""
    for name in filter(is_left, names_in(directory)):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)
