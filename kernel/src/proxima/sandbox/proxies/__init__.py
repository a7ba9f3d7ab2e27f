"""Objects in the kernel that stand for those of a sandboxed plugin: the same contracts, hooks and class names.

Each kind has a module, which is imported when the first of that kind is met: with it comes the kind's contract.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from proxima.hookspecs import hookimpl
from proxima.sandbox.host import Offer
from proxima.sandbox.proxies.proxy import GetWorker, short

if TYPE_CHECKING:
    from proxima.contracts.result import RunResult

_PROXIES = {
    "backends": "BackendProxy",
    "formats": "FormatProxy",
    "algorithms": "AlgorithmProxy",
    "visualizations": "VisualizationProxy",
    "codegens": "CodeGeneratorProxy",
    "tools": "ToolProxy",
    "views": "ViewProxy",
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
            told.call("tell", arguments, returns=None, wall=short(told))

    return run_finished


def _made(worker: GetWorker, offer: Offer) -> Any:
    """The stand-in, of a class with the name and module of the class that it stands for."""
    if offer.theme is not None:
        return offer.theme
    proxy_name = _PROXIES[offer.kind]
    proxy = getattr(import_module(f"{__name__}.{offer.kind}"), proxy_name)
    module, _, name = offer.target.rpartition(".")
    cls = type(name, (proxy,), {"__module__": module, "__qualname__": name})
    return cls(worker, offer)
