"""Finds installed plugins without importing any of them.

`proxima plugin list` runs this on every start, so it imports nothing that a bare interpreter has not already loaded: at
1000 plugins reading one small file each takes less time than importing `dataclasses` and `json` would.
"""

from __future__ import annotations

import os
import sys

from proxima.plugins.first_party import IDS as FIRST_PARTY
from proxima.plugins.first_party import is_first_party

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

GROUP = "proxima.plugins"
MANIFEST_NAME = "proxima-plugin.json"
DEPENDENCIES = "dependencies"
"""In a version's directory of the store: the link to the import root of what the plugin depends on."""
MAX_FILE_BYTES = 1 << 20
_CHUNK = 1 << 13  # more than most files have: one system call, and no large buffer

# A named pipe in place of a file must not hang discovery.
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class FoundPlugin:
    """A plugin as its distribution's metadata tell of it.

    Attributes:
        id: The entry point's name, which is also the manifest's ``name``.
        target: The entry point's value, ``package.module:object``.
        distribution: The distribution's normalised name.
        version: The distribution's version.
        base: The ``sys.path`` entry that holds its metadata.
        origin: ``environment``: put there by the user with pip or uv; or ``store``.
        contested: Why it may not have its id, and so does not run; else empty.
        fits: In the store: what it needs of kernel and Python, which its dependencies can narrow.
        kinds: In the store: the kinds that it contributes.
        trusted: In the store: the user lets it run in-process.
    """

    __slots__ = ("base", "contested", "distribution", "fits", "id", "kinds", "origin", "target", "trusted", "version")

    def __init__(self, name: str, target: str, distribution: str, version: str, base: str) -> None:
        self.id = name
        self.target = target
        self.distribution = distribution
        self.version = version
        self.base = base
        self.origin = "environment"
        self.contested = ""
        self.fits = ""
        self.kinds = ""
        self.trusted = False

    @property
    def module(self) -> str:
        """The module that the entry point names."""
        return self.target.partition(":")[0]

    @property
    def package(self) -> str:
        """The top-level package, whose directory holds the compiled manifest."""
        return self.module.partition(".")[0]


def read_small(path: str) -> str | None:
    """The text of a small file, or ``None`` where it cannot be read or is not small UTF-8 text."""
    data = _read(path, MAX_FILE_BYTES + 1)
    if data is None or len(data) > MAX_FILE_BYTES:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _read(path: str, limit: int) -> bytes | None:
    """The first ``limit`` bytes of a file; by system calls, which is half the time of `open`."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):  # ValueError: a null character in the name of a package
        return None
    try:
        data = more = os.read(descriptor, _CHUNK)
        while len(more) == _CHUNK and len(data) < limit:
            more = os.read(descriptor, _CHUNK)
            data += more
        return data[:limit]
    except OSError:
        return None
    finally:
        os.close(descriptor)


def is_plugin_id(name: str) -> bool:
    """Whether a plugin can be called so: letters, digits, ``-`` and ``_``, 64 at most."""
    return len(name) <= 64 and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def entry_points(text: str) -> list[tuple[str, str]]:
    """The ``(name, value)`` pairs of our group in the text of an ``entry_points.txt``.

    What cannot be a plugin's id is left out: ids become file names and are printed on terminals.
    """
    found = []
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line[1:-1].strip() == GROUP
        elif inside and line and line[0] not in "#;":
            name, equals, value = line.partition("=")
            name = name.strip()
            if equals and is_plugin_id(name):
                found.append((name, value.partition("[")[0].strip()))
    return found


def scan(path: Iterable[str] | None = None, store: str = "") -> list[FoundPlugin]:
    """Every plugin on the path and in the store, sorted by id; of one id the one that may have it first.

    Where two distributions claim an id neither has it, for what the user granted or trusted was meant for one of them.
    A first-party plugin's id is its own distribution's alone.

    Args:
        path: Directories to look in; ``sys.path`` by default.
        store: The store's directory, which need not exist.
    """
    found: list[FoundPlugin] = []
    seen_distributions = set()
    for base in sys.path if path is None else path:
        base = base or "."
        if store and base.startswith(f"{store}/"):
            continue  # of a plugin of the store that runs in this process
        try:
            names = os.listdir(base)
        except OSError:
            continue
        for name in sorted([name for name in names if name.endswith(".dist-info")]):
            text = read_small(f"{base}/{name}/entry_points.txt")
            if text is None or GROUP not in text:
                continue
            distribution, _, version = name[: -len(".dist-info")].partition("-")
            distribution = distribution.lower().replace("_", "-").replace(".", "-")
            if distribution in seen_distributions:
                continue
            seen_distributions.add(distribution)
            found.extend(FoundPlugin(n, v, distribution, version, base) for n, v in dict(entry_points(text)).items())
    if store and os.path.isdir(f"{store}/current"):
        from proxima.store.pointer import read_pointers

        found += read_pointers(store)
    found.sort(key=lambda plugin: (plugin.id, not is_first_party(plugin.id, plugin.distribution)))
    before: FoundPlugin | None = None
    for plugin in found:
        if plugin.id in FIRST_PARTY:
            if not is_first_party(plugin.id, plugin.distribution):
                plugin.contested = f"only proxima-{plugin.id} may have this name, and {_place(plugin)} claims it"
        elif before and before.id == plugin.id:
            plugin.contested = f"two distributions claim this name: {_place(before)} and {_place(plugin)}"
            before.contested = before.contested or plugin.contested
        before = plugin
    return found


def _place(plugin: FoundPlugin) -> str:
    return f"{plugin.distribution} {plugin.version} in {plugin.base}"


def manifest_path(plugin: FoundPlugin) -> str | None:
    """Where its compiled manifest lies: beside its metadata, or elsewhere on the path for an editable install."""
    for base in (plugin.base,) if plugin.origin == "store" else (plugin.base, *sys.path):
        candidate = f"{base or '.'}/{plugin.package}/{MANIFEST_NAME}"
        if os.path.exists(candidate):
            return candidate
    return None


def store_paths(plugin: FoundPlugin) -> list[str]:
    """The directories that a plugin of the store is imported from."""
    beside = f"{os.path.dirname(plugin.base)}/{DEPENDENCIES}"
    return [plugin.base, beside] if os.path.islink(beside) else [plugin.base]


def read_header(path: str) -> tuple[str, str] | None:
    """The ``fits`` and ``kinds`` of a compiled manifest, from its first line; ``None`` where it has no such line.

    The compiler writes that line as ``{"format": 1, "fits": "...", "kinds": "...",`` so that this can take it apart.
    """
    head = _read(path, 4096)
    if head is None:
        return None
    match head.partition(b"\n")[0].decode("ascii", "replace").split('"'):
        case ["{", "format", ": 1, ", "fits", ": ", fits, ", ", "kinds", ": ", kinds, ","]:
            return fits, kinds
    return None
