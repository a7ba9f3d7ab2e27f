"""The whole set in one file: what is installed, to the hash, with permissions and settings; and a machine like it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from proxima.errors import PermissionDeniedError, StorageError, UsageError
from proxima.plugins.scan import is_plugin_id
from proxima.plugins.state import PluginState
from proxima.settings import read_toml
from proxima.storage import storage_error, write_atomic
from proxima.store.install import Installed, Store
from proxima.store.job import Job
from proxima.store.proposal import Consent, Proposal, accept
from proxima.store.pylock import Pinned, read_pylock
from proxima.store.sources import Source
from proxima.store.versions import is_kept

if TYPE_CHECKING:
    from proxima.permissions import Permission

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Locked:
    """One plugin of the set.

    Attributes:
        packages: Its wheels, its own among them.
        granted: The permissions that the user has granted it for good.
        settings: The user's own settings for it.
    """

    plugin: str
    distribution: str
    version: str
    trusted: bool
    disabled: bool
    source: dict[str, str]
    packages: tuple[Pinned, ...]
    granted: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def write_lock(store: Store, path: str, job: Job | None = None) -> list[Locked]:
    """Writes what is installed to a file; user names and passwords in addresses stay out of it.

    Raises:
        StorageError: The file cannot be written; one that was there is as it was.
    """
    job = job or Job()
    job.step("read")
    table = read_toml(os.path.join(store.paths.config, "settings.toml")).get("plugins")
    settings = table if isinstance(table, dict) else {}
    disabled = PluginState(store.paths).disabled()
    found, installed = [], [each for each in store.installed() if is_kept(store.layout, each.plugin, each.directory)]
    if damaged := sorted(set(store.plugins()) - {each.plugin for each in installed}):
        message = f"{path} is not written: the store's entry of {', '.join(damaged)} is damaged"
        raise StorageError(message, hint="Install it again, or remove it: proxima plugin uninstall NAME")
    for each in installed:
        grants = store.permissions().grants.decisions(each.plugin)
        found.append(
            Locked(
                plugin=each.plugin,
                distribution=each.distribution,
                version=each.version,
                trusted=each.trusted,
                disabled=each.plugin in disabled,
                source=asdict(each.source.public),
                packages=tuple(
                    read_pylock(os.path.join(store.layout.version(each.plugin, each.directory), "pylock.toml"))
                ),
                granted=tuple(sorted(str(g.permission) for g in grants if g.granted and g.scope == "always")),
                settings=settings.get(each.plugin) or {},
            )
        )
    job.step("write")
    data = {"format": FORMAT, "plugins": [asdict(each) for each in found]}
    write_atomic(path, json.dumps(data, indent=1, default=str) + "\n")
    return found


def read_lock(path: str) -> list[Locked]:
    """Reads what `write_lock` wrote.

    Raises:
        UsageError: It is something else; the message names the field.
        StorageError: It cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not known here")
        found = [_locked(each) for each in data["plugins"]]
        if len({each.plugin for each in found}) < len(found):
            raise ValueError("a plugin is in it twice")
        return found
    except OSError as error:
        raise storage_error("read", path, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        hint = "It has to be a file that `proxima plugin lock` wrote."
        raise UsageError(f"{path} is not a lock of plugins: {error}", hint=hint) from error


def sync(
    store: Store,
    path: str,
    *,
    consent: Consent = accept,
    configure: Callable[[str, Mapping[str, Any]], Iterable[str] | None] = lambda plugin, settings: None,
    job: Job | None = None,
) -> list[Installed]:
    """Makes the store like a lock: the same wheels, to the hash; what is not in it is removed.

    Args:
        store: Which.
        path: The lock.
        consent: Asked for each plugin that is put in place, and for one that is in place and was granted less than the
            lock says. No more is granted than it says, and what it does not say is no longer granted.
        configure: Called with a plugin's id and its settings in the lock; says in words what was different.
        job: For each plugin in turn.

    Returns:
        The plugins of which something was different, new versions or not.

    Raises:
        UsageError: The lock makes no sense. For the rest see `Store.install`.
    """
    wanted = read_lock(path)
    state = PluginState(store.paths)
    done = []
    for each in wanted:

        def granted(proposal: Proposal, each: Locked = each) -> Collection[Permission] | None:
            answer = consent(proposal)
            return None if answer is None else [one for one in answer if str(one) in each.granted]

        source = Source(**each.source)  # type: ignore[arg-type]
        outcome = store.install_pinned(
            each.plugin, each.packages, each.distribution, source, each.trusted, granted, job
        )
        if outcome.plugin != each.plugin:
            raise UsageError(f"{path}: the wheels of {each.plugin} are those of the plugin {outcome.plugin}")
        adjusted = (
            *_grant(store, each, source, None if outcome.changed else consent),
            *(configure(each.plugin, each.settings) or ()),
            *_switch(state, each),
        )
        if outcome.changed or adjusted:
            done.append(outcome._replace(adjusted=adjusted))
    for extra in set(store.plugins()) - {each.plugin for each in wanted}:
        store.uninstall(extra, job=job)
    return done


def _grant(store: Store, each: Locked, source: Source, consent: Consent | None) -> Iterator[str]:
    """Makes what a plugin is granted for good what the lock says; the user, if anybody, is asked for what is more."""
    from proxima.permissions import Permission

    grants = store.permissions().grants
    now = {str(one.permission): one for one in grants.decisions(each.plugin) if one.granted and one.scope == "always"}
    wanted = {}
    for text in each.granted:
        try:
            permission = Permission.parse(text)
            wanted[str(permission)] = permission
        except UsageError as error:
            yield f"{text} is not granted: {error}"
    for text in sorted(now.keys() - wanted.keys()):
        grants.forget(each.plugin, now[text])
        yield f"{text} is no longer granted"
    more = [wanted[text] for text in wanted if text not in now]
    asked = tuple(one for one in more if grants.check(each.plugin, one).outcome != "undeclared")
    facts = ("grant", each.plugin, each.version, "", each.distribution, source, each.trusted)
    granted = consent(Proposal(*facts, permissions=asked, asked=asked)) if asked and consent else ()
    if granted is None:
        message = f"{each.plugin} is granted less than the file says: what it asks for was not accepted"
        raise PermissionDeniedError(message, plugin=each.plugin)
    for one in more:
        if one in granted:
            grants.grant(each.plugin, one)
        yield f"{one} is {'granted' if one in granted else 'not granted'}"


def _switch(state: PluginState, each: Locked) -> Iterator[str]:
    off = each.plugin in state.disabled()
    if not each.disabled:
        state.enable(each.plugin)  # out of quarantine, too
    elif not off:
        state.disable(each.plugin)
    if each.disabled != off:
        yield "is turned off" if each.disabled else "is turned on"


def _locked(data: dict[str, Any]) -> Locked:
    kinds = {"plugin": str, "distribution": str, "version": str, "trusted": bool, "disabled": bool, "settings": dict}
    for name, kind in kinds.items():
        if not isinstance(data[name], kind):
            raise TypeError(f"{name}: expected {kind.__name__}, found {data[name]!r:.60}")
    values = {each.name: data[each.name] for each in fields(Locked)}
    if not is_plugin_id(data["plugin"]):
        raise ValueError(f"plugin: {data['plugin']!r:.80} is not a plugin's id")
    packages = tuple(Pinned(**package) for package in data["packages"])
    for pin in packages:
        if not pin.sha256:
            raise ValueError(f"packages: {pin.name} has no sha256")
    own = [pin for pin in packages if pin.name == data["distribution"]]
    if len(own) != 1:
        raise ValueError(f"packages: {data['distribution']!r:.80} is to be there once")
    values["packages"] = packages
    values["granted"] = tuple(str(each) for each in data["granted"])
    values["source"] = asdict(_source(data["source"], own[0]))
    return Locked(**values)


def _source(data: dict[str, Any], own: Pinned) -> Source:
    """Where updates come from; no directory to be built, for a build runs what lies there and nobody would be asked."""
    if not all(isinstance(value, str) for value in data.values()):
        raise TypeError(f"source: expected text only, found {data!r:.200}")
    source = Source(**data)
    if source.kind != "project":
        return source
    return Source("wheel", own.path) if own.path else Source("url", own.url)
