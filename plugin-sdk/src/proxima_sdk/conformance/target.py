"""The backend under test: where it comes from, what it declares, how a fresh process finds it again."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from proxima.contracts.backend import Backend
from proxima.contracts.decomposition import undecomposable
from proxima.contracts.operations import OPERATIONS, Op, OpKind
from proxima.errors import UsageError


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend's manifest declares.

    Attributes:
        operations: Names of the operations it runs; ``None`` for all.
        restricted_operations: Of those it runs at some parameters only; the kit does not try them.
        noise: Whether it runs channels, ``dynamic`` conditions, resets and mid-circuit measurements.
        seeded: Whether the same seed gives the same counts, and ``noisy_device`` whether errors of its own are in them.
        rates: Default seconds per unit of work.
    """

    wants: tuple[str, ...]
    precisions: tuple[str, ...]
    methods: tuple[str, ...] = ()
    operations: frozenset[str] | None = None
    restricted_operations: frozenset[str] = frozenset()
    noise: bool = False
    dynamic: bool = False
    seeded: bool = True
    noisy_device: bool = False
    max_qubits: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Capabilities:
        """Reads the manifest's ``capabilities``.

        Raises:
            UsageError: ``wants`` or ``precisions`` is missing.
        """
        for key in ("wants", "precisions"):
            if not data.get(key):
                raise UsageError(f"the backend's capabilities lack {key!r}", hint="declare them in plugin.yaml")
        operations = data.get("operations", "all")
        return cls(
            wants=tuple(data["wants"]),
            precisions=tuple(data["precisions"]),
            methods=tuple(data.get("methods", ())),
            operations=None if operations == "all" else frozenset(operations),
            restricted_operations=frozenset(data.get("restricted_operations", ())),
            noise=bool(data.get("noise", False)),
            dynamic=bool(data.get("dynamic", False)),
            seeded=bool(data.get("seeded", True)),
            noisy_device=bool(data.get("noisy_device", False)),
            max_qubits=data.get("max_qubits"),
            rates=dict(data.get("rates", {})),
        )

    def supports(self, op: Op) -> bool:
        """Whether it declares that it runs the operation; every backend takes ``measure``."""
        kind = OPERATIONS[op].kind
        if kind is OpKind.MEASURE:
            return True
        if kind is OpKind.RESET and not self.dynamic:
            return False
        if kind is OpKind.CHANNEL and not self.noise:
            return False
        return self.operations is None or OPERATIONS[op].name in self.operations

    @property
    def known(self) -> frozenset[Op]:
        """What it runs whatever the parameters: circuits come to it in these."""
        return frozenset(op for op in OPERATIONS if self.supports(op))

    @property
    def restricted(self) -> frozenset[Op]:
        """What comes to it as it is, too, and its estimate may refuse."""
        return frozenset(op for op in OPERATIONS if OPERATIONS[op].name in self.restricted_operations)

    def runs(self, op: Op) -> bool:
        """Whether a circuit with the named operation can be run: as it is, or written in what it supports."""
        return not undecomposable([op], self.known)


@dataclass(frozen=True, slots=True)
class Target:
    """A backend with its capabilities.

    Attributes:
        reference: What `load_reference` needs to make the backend again in a fresh process; empty where it cannot.
    """

    backend: Backend
    capabilities: Capabilities
    reference: Mapping[str, str]


def manifest_of(package: str) -> dict[str, Any] | None:
    """A package's manifest, without importing the package: the compiled one beside it, else plugin.yaml above it."""
    spec = importlib.util.find_spec(package.partition(".")[0])
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    compiled = folder / "proxima-plugin.json"
    if compiled.is_file():
        return cast(dict[str, Any], json.loads(compiled.read_text(encoding="utf-8")))
    for above in (folder, *list(folder.parents)[:2]):
        source = above / "plugin.yaml"
        if source.is_file():
            import yaml

            return cast(dict[str, Any], yaml.safe_load(source.read_text(encoding="utf-8")))
    return None


def _declared(manifest: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The backends that a manifest declares, with their capabilities."""
    entries = ((manifest or {}).get("entry_points") or {}).get("backends") or []
    return {entry["name"]: entry.get("capabilities") or {} for entry in entries}


def _by_name(name: str) -> tuple[Backend, Mapping[str, Any], bool]:
    """The backend, its capabilities, and whether it is in this process."""
    from proxima_sdk.testing import session

    kernel = session.kernel()
    contribution = kernel.registry.find("backends", name)
    backend: Backend = kernel.get("backends", name)
    here = kernel.registry.get(contribution.plugin).isolation == "in-process"
    return backend, contribution.data.get("capabilities") or {}, here


def _made(source: Any) -> Backend:
    """The backend itself, from an instance, a class or a factory."""
    if isinstance(source, type) or not hasattr(source, "plan"):
        source = source()
    return cast(Backend, source)


def _capabilities_beside(backend: Backend) -> Mapping[str, Any]:
    declared = _declared(manifest_of(type(backend).__module__))
    if backend.name not in declared:
        raise UsageError(
            f"no manifest beside {type(backend).__module__} declares a backend called {backend.name!r}",
            hint="write plugin.yaml, or give the test class a `capabilities` mapping",
        )
    return declared[backend.name]


def _reference_to(source: Any) -> Mapping[str, str]:
    made_by = source if inspect.isclass(source) or inspect.isroutine(source) else type(source)
    if "<" in made_by.__qualname__:
        return {}
    file = inspect.getsourcefile(made_by) or ""
    return {"module": made_by.__module__, "qualname": made_by.__qualname__, "file": file}


def resolve(source: Any, capabilities: Mapping[str, Any] | None = None) -> Target:
    """Finds the backend.

    Args:
        source: A backend's name among the installed plugins, or an instance, class or factory of a backend.
        capabilities: Instead of those in its manifest.

    Raises:
        NotFoundError: No installed plugin declares that name.
        PluginError: Its plugin cannot be used.
        UsageError: There is no manifest and no ``capabilities``.
    """
    if isinstance(source, str):
        backend, declared, here = _by_name(source)
        return Target(backend, Capabilities.of(capabilities or declared), {"name": source} if here else {})
    backend = _made(source)
    declared = capabilities if capabilities is not None else _capabilities_beside(backend)
    return Target(backend, Capabilities.of(declared), _reference_to(source))


def load_reference(reference: Mapping[str, str]) -> Backend:
    """Makes the backend that `Target.reference` describes, in whatever process."""
    if "name" in reference:
        return _by_name(reference["name"])[0]
    try:
        module = importlib.import_module(reference["module"])
    except ModuleNotFoundError as error:
        # A test module is no importable module under pytest's importlib mode; its file is.
        if error.name != reference["module"].partition(".")[0]:
            raise
        spec = importlib.util.spec_from_file_location("conformance_target", reference["file"])
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found: Any = module
    for part in reference["qualname"].split("."):
        found = getattr(found, part)
    return _made(found)
