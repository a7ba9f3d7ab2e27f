"""`ParameterShift`: gradients from the expectation values of a backend that gives none itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.parameter_shift import METHOD, Shift, shifted, shifts_of
from proxima.contracts.result import Gradient, RunResult
from proxima.errors import UnsupportedError, UsageError


class ParameterShift(Backend):
    """A backend that runs requests for gradients on one that only gives expectation values.

    Args:
        backend: Whose expectation values are used.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name

    def probe(self) -> Probe:
        """As its backend's."""
        return self._backend.probe()

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """The cost of one run, times the number of runs."""
        try:
            runs = 1 + sum(1 for _ in shifts_of(request.circuit))
        except UnsupportedError as error:
            return Estimate(False, error.message)
        one = self._backend.estimate(without_gradient(request), features)
        if not one.feasible:
            return one
        reason = f"{one.reason or one.method}; gradient by parameter shift, {runs} runs".lstrip("; ")
        return replace(one, reason=reason, work={unit: runs * amount for unit, amount in one.work.items()})

    def plan(self, request: RunRequest) -> Plan:
        """See `Backend.plan`."""
        shifts = tuple(shifts_of(request.circuit))
        whole = self._backend.plan(without_gradient(request))
        # A bound plan may differ from its own in angles alone, so the shifted runs need one without the other wants.
        point = whole
        if whole.request.wants != ("expectation",):
            point = self._backend.plan(replace(whole.request, wants=("expectation",)))
        return self._planned(request, shifts, whole, point)

    def bind(self, plan: Plan, request: RunRequest) -> Plan:
        """Binds the backend's own plan; the shifts stay."""
        shifts, whole, point = plan.native
        return self._planned(request, shifts, self._backend.bind(whole, without_gradient(request)), point)

    def _planned(self, request: RunRequest, shifts: tuple[Shift, ...], whole: Plan, point: Plan) -> Plan:
        native = (shifts, whole, point)
        return Plan(backend=self.name, request=request, method=whole.method, native=native, timings=whole.timings)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs the circuit as it is for whatever else is wanted, then once for each shift."""
        shifts, whole, unshifted = plan.native
        request = plan.request
        parts = _Progress(context, 1 + len(shifts))
        result = self._backend.run(whole, parts.next())
        observables, names = request.observables, request.circuit.parameters
        values, variances = np.zeros((2, len(observables), len(names)))
        spent: dict[str, float] = dict(result.timings)
        for number, shift in enumerate(shifts):
            context.check()
            point = replace(
                whole.request,
                circuit=shifted(whole.request.circuit, shift),
                wants=("expectation",),
                # Runs that sample must be independent of each other, and the whole reproducible.
                seed=int.from_bytes(hashlib.sha256(f"{request.seed} {number}".encode()).digest()[:8], "big") >> 1,
            )
            found = self._backend.run(self._backend.bind(unshifted, point), parts.next())
            for i, expectation in enumerate(found.expectations):
                values[i, shift.parameter] += shift.weight * expectation.value
                variances[i, shift.parameter] += (shift.weight * expectation.standard_error) ** 2
            for stage in found.timings:
                spent[stage] = spent.get(stage, 0.0) + found.timings[stage]
        gradients = tuple(
            Gradient(str(o), names, v, METHOD, np.sqrt(w) if w.any() else None)
            for o, v, w in zip(observables, values, variances, strict=True)
        )
        kept = result.expectations if "expectation" in request.wants else ()
        return replace(result, expectations=kept, gradients=gradients, timings=spent)


class _Progress:
    """The contexts of the runs that make up one, each telling its part of the whole's progress."""

    def __init__(self, context: RunContext, runs: int) -> None:
        self._context, self._runs, self._begun = context, runs, 0

    def next(self) -> RunContext:
        """The context of the next run."""
        number = self._begun
        self._begun += 1

        def tell(fraction: float | None, message: str) -> None:
            done = (number + (fraction or 0.0)) / self._runs
            self._context.progress(done, f"run {number + 1} of {self._runs} for the gradient: {message}")

        tell(0.0, "starting")
        return replace(self._context, progress=tell)


def without_gradient(request: RunRequest) -> RunRequest:
    """The request of a backend without gradients: the bound circuit, and expectation values in the gradient's place.

    Raises:
        UsageError: A parameter has no value.
    """
    if "gradient" not in request.wants:
        raise UsageError("no gradient is wanted")
    wants = tuple(dict.fromkeys("expectation" if want == "gradient" else want for want in request.wants))
    circuit = request.circuit.bind(request.parameters)
    return replace(request, circuit=circuit, wants=wants, parameters={})
