"""cuStateVec and CuPy: whether they are here, and loading them.

`cuquantum.bindings.custatevec` wraps the C library one to one; CuPy gives device memory. No kernel of CuPy's is
compiled: its arrays are allocated, copied and read, and cuStateVec does the rest.
"""

from __future__ import annotations

import ctypes.util
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from proxima.errors import BackendUnavailableError

HINT = 'pip install "proxima-backend-cuquantum[cu13]"'
DISTRIBUTIONS = ("cuquantum-python-cu13", "custatevec-cu13", "cupy-cuda13x")
TESTED = "26.9."
STATEVECTOR = ("custatevec", "cublas", "cublasLt")
TENSORNET = ("cutensornet", "cusolver", "cusparse", "nvJitLink")


class Engine(NamedTuple):
    """The two modules."""

    custatevec: ModuleType
    cupy: ModuleType


def missing_package() -> str:
    """The package that is not installed, or an empty string; imports nothing."""
    return next((name for name in ("cuquantum", "cupy") if importlib.util.find_spec(name) is None), "")


def missing_library(names: Sequence[str] = STATEVECTOR) -> str:
    """The first library that is not found where the loader will look, or an empty string; loads nothing."""
    spec = importlib.util.find_spec("cuquantum")
    folders = [Path(at) / "lib" for at in (spec.submodule_search_locations or ())] if spec else []
    for root in map(Path, sys.path):
        folders += sorted((root / "nvidia").glob("*/lib")) if root.is_dir() else []
    folders += [Path(home) / "lib64" for home in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME")) if home]
    for name in names:
        there = any(next(folder.glob(f"lib{name}.so*"), None) for folder in folders)
        if not there and ctypes.util.find_library(name) is None:
            return f"lib{name}"
    return ""


@cache
def load() -> Engine:
    """The modules, with their libraries loaded and a device that answers.

    Raises:
        BackendUnavailableError: A package or library is missing, or there is no device; it says which.
    """
    if name := missing_package():
        raise BackendUnavailableError(f"{name} is not installed", hint=HINT)
    try:
        custatevec = importlib.import_module("cuquantum.bindings.custatevec")
        cupy = importlib.import_module("cupy")
    except Exception as error:
        raise _unavailable("cannot be imported", error) from error
    try:
        custatevec.get_version()
    except Exception as error:
        raise _unavailable("lacks a library", error) from error
    try:
        custatevec.destroy(custatevec.create())
    except Exception as error:
        raise BackendUnavailableError(
            f"cuStateVec finds no device that it can use: {type(error).__name__}: {_first_line(error)}",
            hint="an NVIDIA GPU, and a driver for CUDA 13, are needed; `nvidia-smi` shows both",
        ) from error
    return Engine(custatevec, cupy)


@cache
def load_ex() -> ModuleType:
    """The functions for a statevector over several devices.

    Raises:
        BackendUnavailableError: This cuQuantum has none.
    """
    return _module("cuquantum.bindings.custatevecEx")


class TensorNet(NamedTuple):
    """cuTensorNet: its states and its bindings."""

    states: ModuleType
    bindings: ModuleType


@cache
def load_tensornet() -> TensorNet:
    """The modules of cuTensorNet.

    Raises:
        BackendUnavailableError: They or their library are missing.
    """
    loaded = TensorNet(_module("cuquantum.tensornet.experimental"), _module("cuquantum.bindings.cutensornet"))
    try:
        loaded.bindings.get_version()
    except Exception as error:
        raise _unavailable("lacks a library", error) from error
    return loaded


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _unavailable(f"has no {name} that can be imported", error) from error


def _unavailable(what: str, error: Exception) -> BackendUnavailableError:
    return BackendUnavailableError(f"cuquantum {what}: {type(error).__name__}: {_first_line(error)}", hint=HINT)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


@cache
def versions() -> dict[str, str]:
    """Of what is installed."""
    found: dict[str, str] = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
