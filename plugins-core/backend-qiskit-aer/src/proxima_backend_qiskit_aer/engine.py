"""Aer's compiled module, loaded without importing Qiskit.

``import qiskit_aer`` costs a second, nearly all of it Qiskit. What simulates is one extension module whose classes
`AerCircuit`, `AerConfig` and `aer_controller_execute` the package itself drives (in ``backends/aer_compiler.py``).
It is loaded here under its own full name, so a later ``import qiskit_aer`` in the same process finds and shares it.
Nothing that reaches `std::to_json` in the extension may be used (circuit headers, noise models): that imports Qiskit.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from functools import lru_cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from typing import Any

from proxima.errors import BackendUnavailableError, ResourceError, RunError

MODULE = "qiskit_aer.backends.controller_wrappers"
DISTRIBUTION = "qiskit-aer"
TESTED = ((0, 18), (0, 19))
_loading = threading.Lock()


def version() -> str | None:
    """The installed version of Aer, ``None`` where it is not installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def loaded_version() -> str:
    """The version of the loaded module, which does not change while the process lives."""
    return version() or "unknown"


def is_tested(installed: str) -> bool:
    """Whether a version of Aer lies in the range whose internal interface this backend was tested with."""
    parts = installed.split(".")
    try:
        return TESTED[0] <= (int(parts[0]), int(parts[1])) < TESTED[1]
    except (ValueError, IndexError):
        return False


def find_extension() -> ModuleSpec | None:
    """Where the extension module lies, found without importing anything."""
    package = importlib.util.find_spec("qiskit_aer")
    if package is None or not package.submodule_search_locations:
        return None
    folders = [os.path.join(place, "backends") for place in package.submodule_search_locations]
    found = (finder.find_spec(MODULE, folders) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec is not None), None)


def load() -> Any:
    """The extension module.

    Raises:
        BackendUnavailableError: It is not installed, or a library it links to does not load.
    """
    if (loaded := sys.modules.get(MODULE)) is not None:
        return loaded
    with _loading:
        if (loaded := sys.modules.get(MODULE)) is not None:
            return loaded
        spec = find_extension()
        if spec is None or spec.loader is None or spec.origin is None:
            raise BackendUnavailableError(
                "qiskit-aer: Aer is not installed", hint="pip install proxima-backend-qiskit-aer"
            )
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except (ImportError, OSError) as error:
            raise BackendUnavailableError(
                f"qiskit-aer: Aer's extension module does not load: {error}",
                hint=f"reinstall it: pip install --force-reinstall {DISTRIBUTION}",
            ) from error
        module.aer_initialize_libraries(os.path.dirname(spec.origin))
        sys.modules[MODULE] = module
        return module


def execute(aer: Any, circuit: Any, *, num_qubits: int, num_memory: int, **options: Any) -> dict[str, Any]:
    """Runs one `AerCircuit` and returns its result record: ``data`` and ``metadata``.

    Args:
        aer: The extension module.
        circuit: The `AerCircuit`; Aer reorders its measurements in place, which a second run leaves as they are.
        num_qubits: Of the circuit, idle ones included.
        num_memory: Bits of classical memory, scratch bits included.
        options: Fields of `AerConfig`, e.g. ``shots``, ``method``.

    Raises:
        ResourceError: Aer finds too little memory.
        RunError: Aer reports a failure.
    """
    config = aer.AerConfig()
    config.n_qubits = num_qubits
    config.memory_slots = num_memory
    for name, value in options.items():
        setattr(config, name, value)
    answer = aer.aer_controller_execute().execute([circuit], None, config)
    if not answer["success"]:
        why = "; ".join(str(r["status"]) for r in answer.get("results", ()) if not r.get("success"))
        why = why or str(answer.get("status", "no reason given"))
        if "memory" in why:
            raise ResourceError(f"qiskit-aer: {why}", hint="use fewer qubits or another method")
        raise RunError(f"qiskit-aer: Aer failed: {why}")
    result: dict[str, Any] = answer["results"][0]
    return result
