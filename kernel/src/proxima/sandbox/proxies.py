"""Objects in the kernel that stand for those of a sandboxed plugin: the same contracts, hooks and class names."""

from __future__ import annotations

import itertools
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxima.contracts.algorithm import Algorithm, AlgorithmResult
from proxima.contracts.backend import Backend, CancelToken, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.codegen import CodeGenerator
from proxima.contracts.execution import Progress
from proxima.contracts.features import Features
from proxima.contracts.formats import CircuitFormat
from proxima.contracts.result import RunResult
from proxima.contracts.tool import Tool, ToolDefinition, ToolResult
from proxima.contracts.view import Group, View
from proxima.contracts.visualization import Visualization
from proxima.errors import PluginBrokenError, RunError, UsageError
from proxima.hookspecs import hookimpl
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.host import Offer, Worker
from proxima.sandbox.interfaces import INTERFACES

QUESTION_SECONDS = 30.0
"""How long a plugin may take to answer what is asked before, or told after, the work that the user wants."""

MAX_BATCH = 1024
"""How many runs a plugin may be asked for in one call, whatever it says that it gains from."""

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


class PlanHandle:
    """Stands for a plan that a worker keeps; the worker forgets it once nobody here holds this.

    Attributes:
        worker: The one that made it.
        number: The worker's number for it.
    """

    __slots__ = ("__weakref__", "number", "worker")

    def __init__(self, worker: Worker, number: int) -> None:
        self.worker = worker
        self.number = number
        weakref.finalize(self, worker.dropped.append, number).atexit = False


class BackendProxy(Proxy, Backend):
    """A backend in a worker. Plans stay there: one whose worker has ended is made anew when it is used."""

    def probe(self) -> Probe:
        """See `Backend.probe`."""
        return self._ask("probe")  # type: ignore[no-any-return]

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """See `Backend.estimate`."""
        return self._ask("estimate", request=request, features=features)  # type: ignore[no-any-return]

    def plan(self, request: RunRequest) -> Plan:
        """See `Backend.plan`."""
        worker = self._worker()
        return self._kept(worker, request, "plan", {"name": self.name, "request": request})

    def bind(self, plan: Plan, request: RunRequest) -> Plan:
        """See `Backend.bind`."""
        handle = self._handle(plan)
        if not handle.worker.alive:
            return self.plan(request)
        return self._kept(handle.worker, request, "bind", {"plan": handle.number, "request": request})

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """See `Backend.run`; the result tells the worker's isolation tier."""
        return self.run_batch([plan], context)[0]

    def run_batch(self, plans: Sequence[Plan], context: RunContext) -> list[RunResult]:
        """See `Backend.run_batch` and `run`."""
        context.check()
        handles = [self._handle(plan) for plan in plans]
        worker = self._worker()
        handles = [
            handle if handle.worker is worker else self._handle(self.plan(plan.request))
            for handle, plan in zip(handles, plans, strict=True)
        ]
        left = None if context.deadline is None else context.deadline - time.monotonic()
        arguments = {
            "plans": tuple(handle.number for handle in handles),
            "threads": context.threads,
            "seconds": left,
            "scratch": context.scratch is not None,
            "drop": _dropped(worker),
        }
        try:
            results: tuple[RunResult, ...] = worker.call(
                "run",
                arguments,
                returns=tuple[RunResult, ...],
                deadline=context.deadline,
                cancel=context.cancel,
                progress=context.progress,
            )
        except PluginBrokenError as error:
            # A bug in the plugin, whose process lives on: for the caller the engine failed.
            raise RunError(error.message, hint=error.hint, plugin=error.plugin) from error
        if len(results) != len(plans):
            plugin = worker.policy.plugin
            raise worker.finish(
                ProtocolError(f"plugin {plugin} answered {len(plans)} runs with {len(results)} results")
            )
        for result, plan in zip(results, plans, strict=True):
            _check_result(result, plan.request, worker)
        # Whose it is, where it ran, and under which id it is stored, is not for the plugin to say.
        return [replace(result, backend=self.name, id="", tier=worker.tier) for result in results]

    def _handle(self, plan: Plan) -> PlanHandle:
        if not isinstance(plan.native, PlanHandle):
            raise UsageError(f"{self.name}: this plan was made by another backend")
        return plan.native

    def _kept(self, worker: Worker, request: RunRequest, method: str, arguments: Mapping[str, Any]) -> Plan:
        answer = worker.call(method, {**arguments, "drop": _dropped(worker)}, returns=dict[str, Any])
        number, how, timings, batch = (answer.get(name) for name in ("plan", "method", "timings", "batch"))
        times = timings.values() if type(timings) is dict else (None,)
        sound = type(number) is int and type(how) is str and type(batch) is int and batch >= 1
        if not sound or not all(_is_duration(t) for t in times):
            raise worker.finish(ProtocolError(f"plugin {worker.policy.plugin} gave a plan that is none"))
        return Plan(
            backend=self.name,
            request=request,
            method=str(how),
            native=PlanHandle(worker, number),
            timings=timings or {},
            batch=min(batch, MAX_BATCH),
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
    "backends": BackendProxy,
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
    cls = type(name, (_PROXIES[offer.kind],), {"__module__": module, "__qualname__": name})
    return cls(worker, offer)


def _is_duration(value: object) -> bool:
    return type(value) in (float, int) and 0 <= value < sys.float_info.max  # type: ignore[operator]


def _short(worker: Worker) -> float:
    return min(worker.policy.limits.wall_seconds, QUESTION_SECONDS)


def _dropped(worker: Worker) -> tuple[int, ...]:
    numbers = []
    while worker.dropped:
        numbers.append(worker.dropped.popleft())
    return tuple(numbers)


def _check_result(result: RunResult, request: RunRequest, worker: Worker) -> None:
    """Holds a result's sizes against its request: code behind this relies on them without looking.

    Raises:
        ProtocolError: It answers another request; the worker is ended.
    """
    circuit = request.circuit
    length, width = 1 << circuit.num_qubits, circuit.num_clbits
    wrong = ""
    for name, shape in (
        ("statevector", (length,)),
        ("density_matrix", (length, length)),
        ("probabilities", (length,)),
        ("samples", (request.shots, width)),
    ):
        array = getattr(result, name)
        if array is not None and array.shape != shape:
            wrong = f"{name} of shape {array.shape}, not {shape}"
    if result.counts and (len(next(iter(result.counts))) != width or sum(result.counts.values()) != request.shots):
        wrong = f"counts of {sum(result.counts.values())} shots on {len(next(iter(result.counts)))} bits"
    asked = [str(o) for o in request.observables]
    for want, values in (("expectation", result.expectations), ("gradient", result.gradients)):
        named = [value.observable for value in values]
        if named != (asked if want in request.wants else []):
            wrong = f"{want} values of {len(named)} other observables"
    if any(gradient.parameters != circuit.parameters for gradient in result.gradients):
        wrong = "derivatives by other parameters"
    for want in request.wants:
        if want not in ("expectation", "gradient") and getattr(result, want) is None:
            wrong = f"no {want}"
    if wrong:
        plugin = worker.policy.plugin
        raise worker.finish(ProtocolError(f"plugin {plugin} answered with {wrong}", plugin=plugin))
