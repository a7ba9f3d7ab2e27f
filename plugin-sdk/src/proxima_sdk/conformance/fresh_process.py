"""What a backend does in a fresh process, with its engine there, absent or broken.

Run as ``python -m proxima_sdk.conformance.fresh_process`` with a JSON object on standard input; prints one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.abc import Loader
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

Mode = Literal["present", "absent", "broken"]


_MISSING = "a shared library is missing (the conformance kit makes this import fail)"


class _BrokenLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise ImportError(f"{module.__name__}: {_MISSING}")


class _Hiding:
    """A meta path finder in place of all others: asks them, but hides or breaks some modules."""

    def __init__(self, finders: Sequence[Any], modules: Iterable[str], mode: Mode) -> None:
        self._finders = finders
        self._modules = frozenset(modules)
        self._mode = mode
        owners = packages_distributions()
        self._distributions = {name.lower() for module in self._modules for name in owners.get(module, ())}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name in self._modules and self._mode == "absent":
            return None
        for finder in self._finders:
            spec = cast(ModuleSpec | None, finder.find_spec(name, path, target))
            if spec is not None:
                if name in self._modules:
                    spec.loader = _BrokenLoader()
                return spec
        return None

    def find_distributions(self, *args: Any, **kwargs: Any) -> Iterable[Any]:
        for finder in self._finders:
            if hasattr(finder, "find_distributions"):
                for distribution in finder.find_distributions(*args, **kwargs):
                    if self._mode != "absent" or distribution.metadata["Name"].lower() not in self._distributions:
                        yield distribution

    def invalidate_caches(self) -> None:
        for finder in self._finders:
            if hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()


def _break_extensions(modules: Iterable[str]) -> None:
    """Makes the compiled modules inside some packages fail to load, also where the import system is gone around."""
    specs = [find_spec(module) for module in modules]
    folders = tuple(place + os.sep for spec in specs if spec for place in spec.submodule_search_locations or ())
    load = ExtensionFileLoader.create_module

    def create_module(self: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType:
        if folders and str(self.path).startswith(folders):
            raise ImportError(f"{self.path}: {_MISSING}")
        return load(self, spec)

    ExtensionFileLoader.create_module = create_module  # type: ignore[method-assign]


def ask(reference: Mapping[str, str], engine_modules: Sequence[str], mode: Mode, circuit: Circuit) -> dict[str, Any]:
    """Asks a backend in a fresh process for its probe, and for an estimate and a plan of a circuit.

    Returns:
        ``probe`` and ``estimate`` as mappings (or ``{"error": ...}``), ``engine_loaded`` by the two, and ``plan``:
        ``{}`` where it succeeded, else ``error``, ``kinds`` (class names), ``message``, ``hint``, ``cause``.
    """
    question = {
        "path": sys.path,
        "reference": dict(reference),
        "engine": list(engine_modules),
        "mode": mode,
        "circuit": circuit.to_bytes().hex(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "proxima_sdk.conformance.fresh_process"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(),
    )
    if done.returncode:
        return {"crash": done.stderr.strip()[-2000:]}
    return cast(dict[str, Any], json.loads(done.stdout.splitlines()[-1]))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def _error(error: BaseException) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "message": str(error),
        "hint": getattr(error, "hint", None) or "",
        "cause": repr(error.__cause__) if error.__cause__ else "",
    }


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    engine: list[str] = question["engine"]
    parts = tuple(f"{module}." for module in engine)
    if question["mode"] == "broken":
        _break_extensions(engine)
    if question["mode"] != "present":
        sys.meta_path[:] = [_Hiding(list(sys.meta_path), engine, question["mode"])]

    from proxima.contracts.backend import RunRequest
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.features import features_of
    from proxima_sdk.conformance.target import load_reference

    backend = load_reference(question["reference"])
    request = RunRequest(circuit=Circuit.from_bytes(bytes.fromhex(question["circuit"])))
    answer: dict[str, Any] = {}
    try:
        probe = backend.probe()
        answer["probe"] = {"state": probe.state, "reason": probe.reason, "hint": probe.hint}
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        answer["probe"] = _error(error)
    try:
        answer["estimate"] = {**asdict(backend.estimate(request, features_of(request.circuit)))}
    except Exception as error:  # noqa: BLE001
        answer["estimate"] = _error(error)
    answer["engine_loaded"] = sorted(name for name in sys.modules if f"{name}.".startswith(parts))
    answer["plan"] = {}
    try:
        backend.plan(request)
    except Exception as error:  # noqa: BLE001
        answer["plan"] = _error(error)
    return answer


if __name__ == "__main__":
    print(json.dumps(_answer(json.load(sys.stdin)), default=str))
