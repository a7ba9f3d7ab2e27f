"""Looks for the programs and libraries of the system that a manifest names; they are never installed from here."""

from __future__ import annotations

import shutil

from proxima.plugins.manifest import Manifest


def missing_parts(manifest: Manifest) -> tuple[str, ...]:
    """What of ``dependencies.system`` is neither a program on `PATH` nor a shared library that is found."""
    dependencies = manifest.raw.get("dependencies")
    named = dependencies.get("system") if isinstance(dependencies, dict) else None
    parts = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    return tuple(part for part in parts if not (shutil.which(part) or _library(part)))


def _library(name: str) -> bool:
    import ctypes.util

    return ctypes.util.find_library(name.removeprefix("lib")) is not None
