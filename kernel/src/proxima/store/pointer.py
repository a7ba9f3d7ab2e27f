"""The pointers of the store: small files ``current/ID`` that say which version of a plugin runs.

    1
    directory versions/ID/1.0-0123456789ab
    distribution proxima-something
    version 1.0
    target package:plugin
    fits kernel-api>=1
    kinds backends
    trusted 0

One of them is all that ``proxima plugin list`` reads of a plugin, so this imports nothing but ``os`` and `scan`.
"""

from __future__ import annotations

import os

from proxima.plugins.scan import FoundPlugin, read_small

FORMAT = "1"
KEYS = ("directory", "distribution", "version", "target", "fits", "kinds", "trusted")


def read_pointers(store: str) -> list[FoundPlugin]:
    """Every plugin of the store, in no order; one whose pointer makes no sense has no target."""
    try:
        names = os.listdir(f"{store}/current")
    except OSError:
        return []
    return [found for name in names if name[0] != "." and (found := read_pointer(store, name))]


def read_pointer(store: str, plugin_id: str) -> FoundPlugin | None:
    """The plugin that a pointer tells of; ``None`` where there is no such pointer."""
    text = read_small(f"{store}/current/{plugin_id}")
    if text is None and not os.path.exists(f"{store}/current/{plugin_id}"):
        return None
    lines = (text or "").splitlines()
    values = dict([line.partition(" ")[::2] for line in lines[1:]])
    if lines[:1] != [FORMAT] or any(key not in values for key in KEYS):
        values = {**dict.fromkeys(KEYS, ""), "distribution": f"the pointer {store}/current/{plugin_id}"}
    base = f"{store}/{values['directory']}/site" if values["directory"] else store
    plugin = FoundPlugin(plugin_id, values["target"], values["distribution"], values["version"], base)
    plugin.origin = "store"
    plugin.fits, plugin.kinds, plugin.trusted = values["fits"], values["kinds"], values["trusted"] == "1"
    return plugin


def directory_of(plugin: FoundPlugin | None) -> str:
    """The name of the version's directory that a pointer leads to, e.g. ``1.0-0123456789ab``; empty where to none."""
    return os.path.basename(os.path.dirname(plugin.base)) if plugin and plugin.target else ""


def pointer_text(plugin: FoundPlugin, directory: str) -> str:
    """What a pointer file holds.

    Args:
        plugin: As it is to be found.
        directory: The name of the version's directory.
    """
    values = {
        "directory": f"versions/{plugin.id}/{directory}",
        "distribution": plugin.distribution,
        "version": plugin.version,
        "target": plugin.target,
        "fits": plugin.fits,
        "kinds": plugin.kinds,
        "trusted": str(int(plugin.trusted)),
    }
    lines = [FORMAT, *(f"{key} {values[key]}" for key in KEYS)]
    assert all(line.isprintable() for line in lines)  # a wheel's names were checked before they come here
    return "\n".join(lines) + "\n"
