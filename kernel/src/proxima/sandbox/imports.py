"""What a worker can import from the host: the standard library, numpy, and what plugins are written against.

A worker's interpreter starts without any site-packages. This finder lends it single packages from where the kernel has
them; a plugin's own directories join ``sys.path`` only when the worker is locked and told to load. What a plugin must
not read is the lock's business: this keeps the names that a plugin sees few and always the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxima.plugins.scan import FoundPlugin

HOST_PACKAGES = ("numpy", "msgpack", "pluggy", "proxima", "proxima_sdk")
"""Top-level packages that a worker has from the host; each is read-only for it."""

# What of `proxima` a plugin may import; `sandbox` is what the worker itself runs on.
_PUBLIC = frozenset({"contracts", "errors", "hookspecs", "nearest", "sandbox"})


class HostFinder:
    """A meta path finder that goes before all others, so that no plugin can put its own package in a host's place.

    Args:
        homes: Package to the directory that it lies in.
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = dict(homes)
        self._lends_kernel = False

    def lend_kernel(self) -> None:
        """Lets all of `proxima` be imported, so that a plugin's commands and services can be looked at here."""
        self._lends_kernel = True

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec where it is a host package; ``None`` leaves it to the other finders."""
        package, _, rest = name.partition(".")
        kernel_only = package == "proxima" and rest and rest.partition(".")[0] not in _PUBLIC
        if kernel_only and not self._lends_kernel:
            raise ModuleNotFoundError(f"{name} belongs to the kernel; a sandboxed plugin cannot import it", name=name)
        if rest or package not in self._homes:
            return None
        # By its file: a worker may read the package, but not list the directory that it lies in.
        place = os.path.join(self._homes[package], package)
        return spec_from_file_location(name, os.path.join(place, "__init__.py"), submodule_search_locations=[place])


def host_homes() -> dict[str, str]:
    """Where this process has the host packages; one that is not installed is left out."""
    from importlib.util import find_spec

    homes = {}
    for name in HOST_PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            homes[name] = os.path.dirname(os.path.dirname(os.path.realpath(spec.origin)))
    return homes


def install(homes: Mapping[str, str]) -> None:
    """Puts a `HostFinder` first in this interpreter."""
    sys.meta_path.insert(0, HostFinder(homes))


def import_paths(found: FoundPlugin) -> tuple[str, ...]:
    """The directories that a plugin imports from: of the store its own alone, else those of the environment.

    One of the store that is trusted is tried over the environment, and has both.
    """
    from proxima.plugins.scan import store_paths

    own = tuple(map(os.path.realpath, store_paths(found))) if found.origin == "store" or found.trusted else ()
    return own if found.origin == "store" else (*environment_paths(found.base, found.package), *own[1:])


def brings_numpy(paths: Sequence[str]) -> bool:
    """Whether a plugin has a numpy of its own, of another version than the host's; the same one is loaded already."""
    for path in paths:
        found = [name for name in os.listdir(path) if name.startswith("numpy-") and name.endswith(".dist-info")]
        if found and os.path.isdir(os.path.join(path, "numpy")):
            return is_own_numpy(found[0].removeprefix("numpy-").removesuffix(".dist-info"))
    return False


def is_own_numpy(version: str) -> bool:
    """Whether a version of numpy that a plugin brings is not the host's, as the host's metadata has it."""
    # By the directory's name: importlib.metadata takes longer to import than all else that is asked here.
    return not os.path.isdir(os.path.join(host_homes()["numpy"], f"numpy-{version}.dist-info"))


def environment_paths(base: str, package: str) -> tuple[str, ...]:
    """The directories that a plugin installed with pip imports from: site-packages, and where it is installed as
    editable itself the source directories of all that is.

    Args:
        base: The ``sys.path`` entry that holds the plugin's metadata.
        package: The plugin's top-level package, wherever it lies.
    """
    from proxima.plugins.scan import MANIFEST_NAME  # here, as the zygote runs this file before it has the package

    entries = [os.path.realpath(entry) for entry in sys.path if entry and os.path.isdir(entry)]
    # By the manifest, not by the package's name: a directory of the user's may be called so too.
    own = [
        entry
        for entry in (os.path.realpath(base), *entries)
        if os.path.isfile(os.path.join(entry, package, MANIFEST_NAME))
    ]
    sites = [entry for entry in entries if os.path.basename(entry) in ("site-packages", "dist-packages")]
    linked = [line for site in sites for line in _pth_lines(site) if line in entries]
    found = [*own[:1], os.path.realpath(base), *sites]
    return tuple(dict.fromkeys([*found, *linked] if own[:1] and own[0] in linked else found))


def _pth_lines(site: str) -> list[str]:
    """The directories that the ``.pth`` files of a site directory name; lines of code are not run and not told."""
    found = []
    for name in sorted(os.listdir(site)):
        if name.endswith(".pth"):
            with open(os.path.join(site, name), encoding="utf-8", errors="replace") as file:
                lines = (line.strip() for line in file)
                found += [os.path.realpath(os.path.join(site, line)) for line in lines if line and line[0] != "#"]
    return found
