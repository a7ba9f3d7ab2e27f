"""The whole set in one file: what is installed, to the hash, with permissions and settings; and a machine like it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from proxima.errors import StorageError, UsageError
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
    """Writes what is installed to a file.

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
        return [_locked(each) for each in data["plugins"]]
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
    configure: Callable[[str, Mapping[str, Any]], object] = lambda plugin, settings: None,
    job: Job | None = None,
) -> list[Installed]:
    """Makes the store like a lock: the same wheels, to the hash; what is not in it is removed.

    Args:
        store: Which.
        path: The lock.
        consent: Asked for each plugin that is put in place; no more is granted than the lock says.
        configure: Called with a plugin's id and its settings in the lock.
        job: For each plugin in turn.

    Returns:
        The plugins that are new or have another version now.

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
        outcome = store.install_pinned(each.packages, each.distribution, source, each.trusted, granted, job)
        if outcome.changed:
            done.append(outcome)
        configure(each.plugin, each.settings)
        if each.disabled:
            state.disable(each.plugin)
        else:
            state.enable(each.plugin)
    for extra in set(store.plugins()) - {each.plugin for each in wanted}:
        store.uninstall(extra, job=job)
    return done


def _locked(data: dict[str, Any]) -> Locked:
    kinds = {"plugin": str, "distribution": str, "version": str, "trusted": bool, "disabled": bool, "settings": dict}
    for name, kind in kinds.items():
        if not isinstance(data[name], kind):
            raise TypeError(f"{name}: expected {kind.__name__}, found {data[name]!r:.60}")
    values = {each.name: data[each.name] for each in fields(Locked)}
    values["packages"] = tuple(Pinned(**package) for package in data["packages"])
    for pin in values["packages"]:
        if not pin.sha256:
            raise ValueError(f"packages: {pin.name} has no sha256")
    values["granted"] = tuple(str(each) for each in data["granted"])
    values["source"] = asdict(Source(**data["source"]))
    return Locked(**values)
