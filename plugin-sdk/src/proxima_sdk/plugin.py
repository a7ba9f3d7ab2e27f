"""`Plugin`: the object at a plugin's entry point, which hands over what the manifest declares."""

from __future__ import annotations

import inspect
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxima.errors import ManifestError
from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MANIFEST = "proxima-plugin.json"


class Plugin:
    """Hands over an object of each class that the package's compiled manifest declares; nothing else is needed.

    In the package's ``__init__.py``::

        from proxima_sdk import Plugin

        plugin = Plugin(__package__)

    A kind's modules are imported when its hook is called, which is when the first contribution of the kind is used.
    Each class is called without arguments, or with ``kernel`` where its constructor has a parameter of that name.
    A subclass may implement hooks of its own; one for a kind is called in place of the one made here.

    Args:
        package: The package's ``__package__``; the manifest lies in its top-level directory.

    Raises:
        ManifestError: The package holds no compiled manifest, or one that cannot be read.
    """

    def __init__(self, package: str) -> None:
        manifest = Path(sys.modules[package.partition(".")[0]].__path__[0], _MANIFEST)
        self._closing: list[Callable[[], object]] = []
        try:
            declared = json.loads(manifest.read_bytes())["entry_points"]
        except FileNotFoundError:
            hint = "compile plugin.yaml: python -m proxima_sdk.manifest.compile plugin.yaml"
            raise ManifestError(f"there is no {manifest}", hint=hint) from None
        except (OSError, ValueError, KeyError) as error:
            raise ManifestError(f"{manifest}: cannot be read: {error!r}") from None
        for kind, entries in declared.items():
            hook = f"proxima_{kind}"
            if not hasattr(type(self), hook):
                setattr(self, hook, hookimpl(self._hook(kind, entries)))

    @hookimpl
    def proxima_kernel_closing(self) -> None:
        """Calls ``close`` on what was handed over and has it, the last first."""
        while self._closing:
            self._closing.pop()()

    def _hook(self, kind: str, entries: list[Mapping[str, Any]]) -> Callable[[Any], list[Any]]:
        def hand_over(kernel: Any) -> list[Any]:
            return [self._contribution(kind, entry, kernel) for entry in entries]

        return hand_over

    def _contribution(self, kind: str, entry: Mapping[str, Any], kernel: Any) -> Any:
        made = _named(entry["class"])
        contribution = made(kernel=kernel) if "kernel" in inspect.signature(made).parameters else made()
        if hasattr(contribution, "close"):
            self._closing.append(contribution.close)
        if kind == "services":
            from proxima.contracts.service import Service

            return Service(_named(entry["contract"]), contribution)
        return contribution


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
