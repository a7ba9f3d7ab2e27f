"""The object in the kernel that stands for a sandboxed plugin's backend."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.result import RunResult
from proxima.errors import PluginBrokenError, RunError, UsageError
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.host import Worker
from proxima.sandbox.proxies.proxy import Proxy

MAX_BATCH = 1024
"""How many runs a plugin may be asked for in one call, whatever it says that it gains from."""


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


def _is_duration(value: object) -> bool:
    return type(value) in (float, int) and 0 <= value < sys.float_info.max  # type: ignore[operator]


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
