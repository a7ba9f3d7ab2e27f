"""`Store`: installs plugins, updates them, takes them back and removes them, each as one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from proxima.errors import NotFoundError, PermissionDeniedError, PluginIncompatibleError, ProximaError
from proxima.nearest import did_you_mean
from proxima.paths import Paths
from proxima.plugins.compatibility import unfit
from proxima.plugins.scan import FoundPlugin, scan
from proxima.plugins.state import PluginState
from proxima.store.errors import StoreError
from proxima.store.job import Job
from proxima.store.journal import Entry, history, remember
from proxima.store.layout import Layout
from proxima.store.options import Options
from proxima.store.pointer import directory_of, read_pointer, read_pointers
from proxima.store.proposal import Consent, Proposal, accept, propose, since
from proxima.store.sources import Source, parse_source
from proxima.store.swapping import Swapper
from proxima.store.turn import Turn
from proxima.store.versions import Version, earlier, is_kept, is_older, versions_of

if TYPE_CHECKING:
    from proxima.events import Event
    from proxima.permissions import Permissions
    from proxima.store.making import Making
    from proxima.store.preparing import Closure, Prepared, Workbench
    from proxima.store.probe import Prober
    from proxima.store.pylock import Pinned

_ASKED_AGAIN = "you are asked again: something of this was changed in the meantime"


class Installed(NamedTuple):
    """The outcome of `Store.install` and `Store.update`.

    Attributes:
        changed: Whether something was done; not so where that very version runs already.
        proposal: What was accepted; ``None`` where nothing was asked.
        adjusted: What else `sync` made like the lock, or could not, in words.
    """

    plugin: str
    version: str
    version_before: str
    changed: bool
    proposal: Proposal | None = None
    adjusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """The plugins of one Proxima home that were installed with it.

    Attributes:
        options: How it resolves, fetches and waits.
        permissions: What plugins were granted, and the audit log.
        publish: Told of every change.
        prober: Makes what tries a plugin in a worker before it is put in place, given a directory for its files.
        environment: The plugins that are installed in the interpreter's environment.
    """

    paths: Paths
    options: Options
    permissions: Callable[[], Permissions]
    publish: Callable[[Event], object]
    prober: Callable[[str], Prober]
    environment: Callable[[], Iterable[FoundPlugin]] = scan

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout.of(self.paths)

    def plugins(self) -> list[str]:
        """The ids of all plugins of the store, damaged ones among them."""
        return sorted(each.id for each in read_pointers(self.layout.root))

    def installed(self) -> list[Version]:
        """The version of each plugin that runs, by id; one whose pointer or directory is damaged is left out."""
        found = [self._current(each) for each in read_pointers(self.layout.root)]
        return sorted((each for each in found if each), key=lambda each: each.plugin)

    def versions(self, plugin: str) -> list[Version]:
        """The kept versions of a plugin, the newest first.

        Raises:
            NotFoundError: The store has no such plugin; with the nearest names.
        """
        self._pointer(plugin)
        return versions_of(self.layout, plugin)

    def history(self, plugin: str | None = None) -> list[dict[str, object]]:
        """What was installed, updated, rolled back and removed, when and from what; oldest first."""
        return history(self.layout, plugin)

    def install(
        self,
        source: str | Source,
        *,
        version: str | None = None,
        trust: bool = False,
        consent: Consent = accept,
        job: Job | None = None,
    ) -> Installed:
        """Installs a plugin, or another version of one that is installed.

        Args:
            source: ``NAME``, ``pypi:NAME``, a wheel's path, a project's directory or a wheel's https address.
            version: Only this version.
            trust: It is to run in-process, over the environment's own distributions.
            consent: Asked before it is put in place.
            job: How long it may take, who is told, who may stop it.

        Raises:
            UsageError: The source is none, or a wheel is refused.
            NotFoundError: No index has it.
            ConflictError: No versions fit together.
            FetchError: A wheel could not be had.
            ProbeError: It is not what its manifest says.
            PermissionDeniedError: The consent was not given.
            StorageError: The disk is full or read-only.
        """
        source = parse_source(source) if isinstance(source, str) else source
        with self._transaction(f"install of {source}", job) as turn, self._making(source, trust, turn.job) as making:
            return self._put(making.resolve(version), making, consent, turn)

    def install_pinned(
        self,
        plugin: str,
        pins: Sequence[Pinned],
        distribution: str,
        source: Source,
        trust: bool,
        consent: Consent,
        job: Job | None = None,
    ) -> Installed:
        """Installs these very wheels, of which nothing is resolved.

        Args:
            plugin: The id that it must have.
            pins: With their hashes; where one's address leads nowhere from here, it is looked for on the index.
            distribution: Which of them is the plugin's own.
            source: Where updates come from.
            trust: See `install`; so also for the others and what this raises.
            consent: See `install`.
            job: See `install`.
        """
        doing = f"install of {distribution}"
        with self._transaction(doing, job) as turn, self._making(source, trust, turn.job, plugin) as making:
            return self._put(self._workbench.locate(pins, distribution, turn.job), making, consent, turn)

    def update(
        self,
        plugin: str,
        *,
        version: str | None = None,
        source: str | None = None,
        consent: Consent = accept,
        job: Job | None = None,
    ) -> Installed:
        """Resolves a plugin anew from where it came, and puts the newer version in place if there is one.

        The version that runs stays in place where anything fails, the trial above all, and that is remembered. So it
        does where all that is offered is older: it goes back to that where the version or another source is named.

        Args:
            plugin: Its id.
            version: Only this version, which may be older.
            source: From elsewhere than before.
            consent: Asked before the new version is put in place.
            job: As for `install`, which see for what this raises.
        """
        with self._transaction(f"update of {plugin}", job) as turn:
            before = self._running(plugin)
            origin = parse_source(source) if source else before.source
            if origin.kind == "index" and not source:
                origin = replace(origin, specifier="")
            try:
                with self._making(origin, before.trusted, turn.job, plugin) as making:
                    closure = making.resolve(version)
                    if not version and not source and is_older(closure.own.version, before.version):
                        return Installed(plugin, before.version, before.version, changed=False)
                    return self._put(closure, making, consent, turn)
            except ProximaError as error:
                entry = Entry("update", plugin, before.distribution, before.directory, "", "", before.version)
                remember(self.layout, replace(entry, why=f"{type(error).__name__}: {error}"[:1000]), "failed")
                raise

    def newer(self, plugin: str, *, job: Job | None = None) -> str:
        """The version that `update` would put in place; empty where there is none newer.

        Raises:
            NotFoundError, ConflictError, StoreError: As for `install`; nothing is fetched but what tells of versions.
        """
        before, found = self._offered(plugin, job or self._job())
        return found.own.version if is_older(before.version, found.own.version) else ""

    def changes(self, plugin: str, *, job: Job | None = None) -> str:
        """What its author tells of the changes since the version that runs, up to the one that `newer` tells of.

        Raises:
            NotFoundError, ConflictError, FetchError, StoreError: As for `install`; the plugin's own wheel is fetched.
        """
        job = job or self._job()
        before, found = self._offered(plugin, job)
        return since(self._workbench.changelog(found, job), before.version)

    def rollback(
        self, plugin: str, version: str | None = None, *, consent: Consent = accept, job: Job | None = None
    ) -> Version:
        """Swaps back to a kept version.

        Args:
            plugin: Its id.
            version: A kept version or its directory's name; by default the one that was installed before this one.
            consent: Asked before a version is put in place that runs in-process.
            job: As for `install`.

        Raises:
            NotFoundError: It is not kept.
            PluginIncompatibleError: It does not fit this kernel or Python any more.
            PermissionDeniedError: The consent was not given.
        """
        agreed = ""
        with self._transaction(f"rollback of {plugin}", job) as turn:
            while True:
                pointer = self._pointer(plugin)
                wanted = earlier(plugin, versions_of(self.layout, plugin), version)
                if reason := unfit(wanted.fits):
                    raise PluginIncompatibleError(f"plugin {plugin} {wanted.version} {reason}", plugin=plugin)
                if wanted.current or not wanted.trusted or wanted.directory == agreed:
                    break
                facts = ("rollback", plugin, wanted.version, pointer.version, wanted.distribution, wanted.source, True)
                with turn.left_to_others():
                    if consent(Proposal(*facts)) is None:
                        message = f"{plugin} {wanted.version} was not put in place: it was not accepted"
                        raise PermissionDeniedError(message, plugin=plugin)
                self._swapper.heal()
                agreed = wanted.directory
            if not wanted.current:
                entry = Entry(
                    *("rollback", plugin, wanted.distribution, directory_of(pointer), wanted.directory),
                    *(wanted.version, pointer.version),
                    permissions=wanted.permissions,
                    why="the user",
                )
                self._swapper.swap(entry, wanted.found, "", turn.job)
            return wanted

    def uninstall(self, plugin: str, *, job: Job | None = None) -> None:
        """Removes a plugin, all its versions and what it was granted; nothing of it is imported.

        Raises:
            NotFoundError: The store has no such plugin.
        """
        with self._transaction(f"removal of {plugin}", job) as turn:
            found = self._pointer(plugin)
            distribution = found.distribution if found.target else ""
            entry = Entry(
                *("uninstall", plugin, distribution, directory_of(found), "", "", found.version), why="the user"
            )
            self._swapper.swap(entry, None, "", turn.job)

    def heal(self) -> list[Entry]:
        """Finishes or undoes what a killed process left; every other transaction does so first."""
        with self._turn("healing", self._job()):
            return self._swapper.heal()

    @property
    def _workbench(self) -> Workbench:
        return self.options.workbench(self.layout, self.paths)

    @property
    def _swapper(self) -> Swapper:
        forget = PluginState(self.paths).enable  # neither turned off nor quarantined
        return Swapper(self.layout, self.permissions, self.publish, forget, self.options.keep)

    def _job(self) -> Job:
        return Job(deadline=time.monotonic() + self.options.seconds)

    def _turn(self, doing: str, job: Job) -> Turn:
        return Turn(self.layout, doing, job, self.options.wait_seconds)

    @contextmanager
    def _transaction(self, doing: str, job: Job | None) -> Iterator[Turn]:
        """Holds the store, healed; what the transaction was working on is gone when it ends."""
        with self._turn(doing, job or self._job()) as turn:
            self._swapper.heal()
            if turn.job.deadline == float("inf"):
                turn.job = turn.job._replace(deadline=time.monotonic() + self.options.seconds)
            try:
                yield turn
            except BaseException:
                if turn.held:
                    self._swapper.heal()
                raise

    def _making(self, source: Source, trusted: bool, job: Job, expected: str = "") -> Making:
        """What makes a version; ``expected`` is the id that it must have."""
        from proxima.store.making import Making

        def wanted(made: Prepared) -> bool:
            self.permissions()  # opened while the import root is made
            before = read_pointer(self.layout.root, made.found.id)
            self._check_id(made, before, expected)
            return directory_of(before) != made.directory or bool(made.work)

        return Making(self._workbench, self.prober, source, trusted, job, wanted)

    def _put(self, closure: Closure, making: Making, consent: Consent, turn: Turn) -> Installed:
        """From a resolved closure to a version in place.

        Others have the store while the user is asked. Who comes back to something else than was agreed to asks again.
        """
        job, agreed, granted = making.job, None, None
        job.step("lock")
        while True:
            if same := self._same(closure, making.trusted):
                return Installed(same.plugin, same.version, same.version, changed=False)
            tried = making.tried(closure)
            made, plugin = tried.made, tried.made.found.id
            before = read_pointer(self.layout.root, plugin)
            _check_distribution(made, before)
            version_before = before.version if before and before.target else ""
            if directory_of(before) == made.directory and not made.work:
                return Installed(plugin, made.found.version, version_before, changed=False)
            proposal = propose(made, self._current(before) if before else None, tried.notes, self.permissions())
            if proposal == agreed:
                break
            job.step("ask")
            shown = proposal._replace(notes=(*proposal.notes, _ASKED_AGAIN)) if agreed else proposal
            with turn.left_to_others():
                granted = consent(shown)
            self._swapper.heal()
            if granted is None:
                message = f"{plugin} {made.found.version} was not installed: what it asks for was not accepted"
                raise PermissionDeniedError(message, plugin=plugin)
            job.step("agreed")
            agreed = proposal
        assert granted is not None
        made.assembly.keep(self.layout, job)
        job.check(f"{plugin} was installed")
        entry = Entry(
            *(proposal.action, plugin, made.found.distribution, directory_of(before), made.directory),
            *(made.found.version, version_before),
            grants=tuple(sorted(str(each) for each in granted)),
            permissions=made.manifest.permissions,
            why=str(made.source),
        )
        self._swapper.swap(entry, made.found, made.work, job)
        return Installed(plugin, made.found.version, version_before, changed=True, proposal=proposal)

    def _same(self, closure: Closure, trusted: bool) -> Version | None:
        """The version that runs, where it is made of these very wheels."""
        for found in read_pointers(self.layout.root):
            directory = directory_of(found)
            if found.distribution == closure.own.name and directory == closure.directory(trusted):
                return self._current(found) if is_kept(self.layout, found.id, directory) else None
        return None

    def _check_id(self, made: Prepared, before: FoundPlugin | None, expected: str) -> None:
        plugin = made.found.id
        if expected not in ("", plugin):
            raise StoreError(f"{made.source} is the plugin {plugin}, not {expected}", plugin=expected)
        for other in self.environment():
            if other.id == plugin:
                raise StoreError(
                    f"the environment has a plugin {plugin} already, from {other.distribution} {other.version}",
                    hint=f"Remove that first: pip uninstall {other.distribution}",
                    plugin=plugin,
                )
        _check_distribution(made, before)

    def _pointer(self, plugin: str) -> FoundPlugin:
        found = read_pointer(self.layout.root, plugin)
        if found is None:
            names = [each.id for each in read_pointers(self.layout.root)]
            hint = did_you_mean(plugin, names) or f"The store has: {', '.join(sorted(names)) or 'nothing'}."
            if any(each.id == plugin for each in self.environment()):
                hint = "It is in the environment; pip or uv put it there, and updates or removes it."
            raise NotFoundError(f"the store has no plugin called {plugin!r}", hint=hint)
        return found

    def _current(self, found: FoundPlugin) -> Version | None:
        return next((each for each in versions_of(self.layout, found.id) if each.current), None)

    def _running(self, plugin: str) -> Version:
        """The version that the pointer leads to."""
        found = self._pointer(plugin)
        current = self._current(found)
        if current is None:
            hint = f"Install it again: proxima plugin install {found.distribution if found.target else plugin}"
            raise StoreError(f"the store's entry of {plugin} is damaged", hint=hint, plugin=plugin)
        return current

    def _offered(self, plugin: str, job: Job) -> tuple[Version, Closure]:
        """The version that runs, and what there is now where it came from."""
        before = self._running(plugin)
        source = replace(before.source, specifier="") if before.source.kind == "index" else before.source
        return before, self._workbench.resolve(source, job, trusted=before.trusted)


def _check_distribution(made: Prepared, before: FoundPlugin | None) -> None:
    plugin, distribution = made.found.id, made.found.distribution
    if before and before.target and before.distribution != distribution:
        raise StoreError(
            f"{plugin} is installed from {before.distribution}; {distribution} claims the same name",
            hint=f"Remove that first: proxima plugin uninstall {plugin}",
            plugin=plugin,
        )
