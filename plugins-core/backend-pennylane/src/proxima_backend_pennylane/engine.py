"""PennyLane's engines: Lightning's compiled extension, and PennyLane itself where a density matrix is wanted.

The package ``pennylane_lightning`` has no ``__init__``, so its extension ``lightning_qubit_ops`` can be imported by
itself, in milliseconds, without PennyLane, which takes seconds. Its classes are those that the device
``lightning.qubit`` drives.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from proxima.errors import BackendUnavailableError

LIGHTNING = "pennylane_lightning.lightning_qubit_ops"
DISTRIBUTIONS = ("pennylane-lightning", "pennylane")
HINT = "pip install proxima-backend-pennylane"


def found() -> bool:
    """Whether Lightning's extension is installed; imports nothing of it."""
    package, _, name = LIGHTNING.partition(".")
    spec = importlib.util.find_spec(package)
    if spec is None:
        return False
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    return any((Path(at) / (name + end)).is_file() for at in spec.submodule_search_locations or () for end in suffixes)


def load() -> ModuleType:
    """Lightning's extension.

    Raises:
        BackendUnavailableError: It is not installed, or cannot be loaded.
    """
    if not found():
        raise BackendUnavailableError("pennylane-lightning is not installed", hint=HINT)
    return _imported(LIGHTNING)


def load_pennylane() -> Any:
    """PennyLane, with the functions behind ``default.mixed``; the first time this takes seconds.

    Raises:
        BackendUnavailableError: It is not installed, or cannot be loaded.
    """
    if importlib.util.find_spec("pennylane") is None:
        raise BackendUnavailableError("PennyLane is not installed, and noise is simulated with it", hint=HINT)
    _imported("pennylane.devices.qubit_mixed")
    return sys.modules["pennylane"]


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BackendUnavailableError(
            f"{name} is installed but cannot be loaded: {type(error).__name__}: {error}",
            hint="pip install --force-reinstall pennylane pennylane-lightning",
        ) from error


@cache
def version(distribution: str) -> str:
    """The installed version, or an empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def versions() -> dict[str, str]:
    """Of the engines that are installed."""
    return {name: told for name in DISTRIBUTIONS if (told := version(name))}
