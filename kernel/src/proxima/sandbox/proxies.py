"""Objects in the kernel that stand for those of a sandboxed plugin: the same contracts, hooks and class names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.algorithm import Algorithm, AlgorithmResult
from proxima.contracts.codegen import CodeGenerator
from proxima.contracts.formats import CircuitFormat
from proxima.contracts.tool import Tool, ToolDefinition, ToolResult
from proxima.contracts.view import Group, View
from proxima.contracts.visualization import Visualization
from proxima.hookspecs import hookimpl
from proxima.sandbox.host import Offer, Worker
from proxima.sandbox.interfaces import INTERFACES

if TYPE_CHECKING:
    from pathlib import Path

    from proxima.contracts.backend import CancelToken
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.execution import Progress
    from proxima.contracts.result import RunResult

QUESTION_SECONDS = 30.0
"""How long a plugin may take to answer what is asked before, or told after, the work that the user wants."""

_QUESTIONS = frozenset({"probe", "estimate", "recognises", "default_params", "definition"})

GetWorker = Callable[[], Worker]
"""The plugin's worker; starts one where there is none."""


class Proxy:
    """What all stand-ins have: their name, their attributes, and the way to the worker.

    Args:
        worker: Asked for each call, because a worker that ended is replaced.
        offer: What the worker said of the object.
    """

    def __init__(self, worker: GetWorker, offer: Offer) -> None:
        self._worker = worker
        self._kind = offer.kind
        self.name = offer.name
        for name, value in offer.attributes.items():
            setattr(self, name, value)

    def _ask(
        self, method: str, *, cancel: CancelToken | None = None, progress: Progress | None = None, **arguments: Any
    ) -> Any:
        worker = self._worker()
        return worker.call(
            "call",
            {"kind": self._kind, "name": self.name, "method": method, "arguments": arguments},
            returns=INTERFACES[self._kind].methods[method],
            cancel=cancel,
            progress=progress,
            wall=_short(worker) if method in _QUESTIONS else None,
        )


class FormatProxy(Proxy, CircuitFormat):
    """A circuit format in a worker."""

    def recognises(self, head: bytes) -> bool:
        """See `CircuitFormat.recognises`."""
        return self._ask("recognises", head=head)  # type: ignore[no-any-return]

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """See `CircuitFormat.load`; what a worker may not read cannot be included."""
        where = None if directory is None else str(directory)
        return self._ask("load", data=data, source=source, directory=where)  # type: ignore[no-any-return]

    def dump(self, circuit: Circuit) -> str:
        """See `CircuitFormat.dump`."""
        return self._ask("dump", circuit=circuit)  # type: ignore[no-any-return]


class AlgorithmProxy(Proxy, Algorithm):
    """An algorithm in a worker."""

    def default_params(self) -> Mapping[str, Any]:
        """See `Algorithm.default_params`."""
        return self._ask("default_params")  # type: ignore[no-any-return]

    def execute(
        self, circuit: Circuit, params: Mapping[str, Any], *, cancel: CancelToken, progress: Progress
    ) -> AlgorithmResult:
        """See `Algorithm.execute`."""
        return self._ask(  # type: ignore[no-any-return]
            "execute", cancel=cancel, progress=progress, circuit=circuit, params=dict(params)
        )


class VisualizationProxy(Proxy, Visualization):
    """A visualization in a worker."""

    def render(self, subject: RunResult | Circuit, picture_format: str, options: Mapping[str, Any]) -> bytes:
        """See `Visualization.render`."""
        return self._ask(  # type: ignore[no-any-return]
            "render", subject=subject, picture_format=picture_format, options=dict(options)
        )


class CodeGeneratorProxy(Proxy, CodeGenerator):
    """A code generator in a worker."""

    def generate(self, circuit: Circuit) -> str:
        """See `CodeGenerator.generate`."""
        return self._ask("generate", circuit=circuit)  # type: ignore[no-any-return]


class ToolProxy(Proxy, Tool):
    """A tool in a worker."""

    def definition(self) -> ToolDefinition:
        """See `Tool.definition`."""
        return self._ask("definition")  # type: ignore[no-any-return]

    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """See `Tool.call`."""
        return self._ask("call", arguments=dict(arguments))  # type: ignore[no-any-return]


class ViewProxy(Proxy, View):
    """A view in a worker."""

    def show(self) -> Group:
        """See `View.show`."""
        return self._ask("show")  # type: ignore[no-any-return]

    def act(self, action: str, values: Mapping[str, Any]) -> Group:
        """See `View.act`."""
        return self._ask("act", action=action, values=dict(values))  # type: ignore[no-any-return]


_PROXIES: Mapping[str, type[Proxy]] = {
    "formats": FormatProxy,
    "algorithms": AlgorithmProxy,
    "visualizations": VisualizationProxy,
    "codegens": CodeGeneratorProxy,
    "tools": ToolProxy,
    "views": ViewProxy,
}


def stand_in(worker: GetWorker) -> object:
    """A plugin object whose hooks hand out stand-ins for what the worker offers."""
    first = worker()
    offers = {kind: list(each) for kind, each in itertools.groupby(first.offers, key=lambda offer: offer.kind)}
    methods: dict[str, Any] = {f"proxima_{kind}": _offering(worker, each) for kind, each in offers.items()}
    if "proxima_run_finished" in first.hooks:
        methods["proxima_run_finished"] = _run_finished(worker)
    return type("SandboxedPlugin", (), methods)()


def _offering(worker: GetWorker, offers: list[Offer]) -> Callable[[Any], list[Any]]:
    @hookimpl
    def offering(self: Any) -> list[Any]:
        return [_made(worker, offer) for offer in offers]

    return offering


def _run_finished(worker: GetWorker) -> Callable[[Any, RunResult], None]:
    """Tells the plugin if it may read stored results: most runs are of other plugins' backends."""

    @hookimpl
    def run_finished(self: Any, result: RunResult) -> None:
        told = worker()
        if any(permission.kind == "database" for permission in told.granted):
            arguments = {"hook": "proxima_run_finished", "arguments": {"result": result}}
            told.call("tell", arguments, returns=None, wall=_short(told))

    return run_finished


def _made(worker: GetWorker, offer: Offer) -> Any:
    """The stand-in, of a class with the name and module of the class that it stands for."""
    if offer.theme is not None:
        return offer.theme
    module, _, name = offer.target.rpartition(".")
    cls = type(name, (_proxy_of(offer.kind),), {"__module__": module, "__qualname__": name})
    return cls(worker, offer)


def _proxy_of(kind: str) -> type[Proxy]:
    if kind == "backends":  # their contract is most of all contracts
        from proxima.sandbox.backend_proxy import BackendProxy

        return BackendProxy
    return _PROXIES[kind]


def _short(worker: Worker) -> float:
    return min(worker.policy.limits.wall_seconds, QUESTION_SECONDS)
