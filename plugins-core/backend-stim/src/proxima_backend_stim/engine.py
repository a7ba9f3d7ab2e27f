"""stim itself: found without importing it, and imported where it is used."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from functools import cache
from typing import Any

from proxima.errors import BackendUnavailableError

MODULE = "stim"
HINT = "pip install stim; it has wheels for Linux on x86-64, macOS and Windows, and is compiled elsewhere"


def is_installed() -> bool:
    """Whether it can be found; imports nothing of it."""
    spec = importlib.util.find_spec(MODULE)
    return spec is not None and spec.origin is not None


def is_loaded() -> bool:
    """Whether it is imported already."""
    return MODULE in sys.modules


@cache
def version() -> str:
    """The installed version, empty where there is none."""
    try:
        return importlib.metadata.version(MODULE)
    except importlib.metadata.PackageNotFoundError:
        return ""


def load() -> Any:
    """The module.

    Raises:
        BackendUnavailableError: It is not installed or cannot be loaded.
    """
    try:
        import stim
    except ImportError as error:
        raise BackendUnavailableError(f"stim cannot be imported: {error}", hint=HINT, plugin="backend-stim") from error
    return stim
