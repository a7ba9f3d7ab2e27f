"""The backend: `proxima_lret_core`'s, with gradients by the adjoint method. PennyLane is not imported."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from proxima.contracts.backend import Estimate, Plan, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.operations import CHANNELS, Op
from proxima.contracts.result import ErrorBound, Expectation, Gradient, RunResult
from proxima.errors import ProximaError, UnsupportedError, UsageError
from proxima_lret_core.backend import LretBackend

if TYPE_CHECKING:
    from proxima_lret_core import LowRankGradient

METHOD = "adjoint"


class LretPennyLaneBackend(LretBackend):
    """Circuits with and without noise as a few columns L of rho = L L^dagger, and gradients for hybrid optimisation."""

    name = "lret-pennylane"
    plugin = "backend-lret-pennylane"

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; a gradient adds two runs' passes and a factor for each observable."""
        if "gradient" not in request.wants:
            return super().estimate(request, features)
        try:
            made = super().estimate(_bound(request), features)
        except ProximaError as error:
            return Estimate(False, error.message)
        passes = 2 + 2 * len(request.observables)
        work = {**made.work, "product": passes * made.work["product"]} if made.feasible else made.work
        return replace(made, memory_bytes=(2 + len(request.observables)) * made.memory_bytes, work=work)

    def plan(self, request: RunRequest) -> Plan:
        """Checks the request and imports the library; see `LretBackend.plan`."""
        if "gradient" not in request.wants:
            return super().plan(request)
        return replace(super().plan(_bound(request)), request=request)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan; see `LretBackend.run`. A gradient and expectation values take one run together."""
        request = plan.request
        if "gradient" not in request.wants:
            return super().run(plan, context)
        # Imported here, since a backend is asked what it can do without its engine.
        from proxima_lret_core.gradients import gradient

        began = time.perf_counter()
        found = gradient(
            request.circuit,
            request.parameters,
            request.observables,
            tolerance=float(plan.native),
            precision=request.precision,
            context=context,
        )
        seconds = time.perf_counter() - began
        rest = tuple(want for want in request.wants if want not in ("gradient", "expectation"))
        if rest:
            bound = replace(plan, request=replace(_bound(request), wants=rest))
            result = super().run(bound, context)
        else:
            result = self._result(plan, found)
        names = [str(observable) for observable in request.observables]
        values = zip(names, found.values.tolist(), strict=True)
        slopes = zip(names, found.slopes, strict=True)
        timings = {**result.timings, "execute": result.timings.get("execute", 0.0) + seconds}
        return replace(
            result,
            expectations=tuple(Expectation(*each) for each in values) if "expectation" in request.wants else (),
            gradients=tuple(Gradient(name, found.parameters, row, METHOD) for name, row in slopes),
            timings=timings,
        )

    def _result(self, plan: Plan, found: LowRankGradient) -> RunResult:
        request = plan.request
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision=request.precision,
            shots=request.shots,
            seed=request.seed,
            error_bound=ErrorBound("trace_distance", found.bound),
            timings=plan.timings,
            versions=self.probe().versions,
            notes=(
                (
                    f"At most {found.most_columns} columns on the way; the trace distance to the exact state is at most"
                    f" {found.bound:.2g}, tolerance {float(plan.native):.2g}."
                ),
            ),
        )


def _bound(request: RunRequest) -> RunRequest:
    """The request with its circuit bound and expectation values in the gradient's place.

    Raises:
        UsageError: The parameters are not those of the circuit, or there is no observable.
        UnsupportedError: There is no gradient here of such a circuit.
    """
    circuit, c = request.circuit, request.circuit.columns
    if not request.observables:
        raise UsageError("a gradient needs an observable", hint='such as "0.5*ZZ - XI"')
    bound = circuit.bind(request.parameters)
    measured = int((c.ops == Op.MEASURE).sum()) - len(circuit.final_measurements)
    if measured or (c.conditions >= 0).any():
        raise UnsupportedError(
            "lret-pennylane gives no gradient of a circuit with a condition or a measurement in the middle",
            hint="defer its measurements to the end",
        )
    for instruction in circuit if circuit.has_noise else ():
        if instruction.op in CHANNELS and not all(isinstance(p, float) for p in instruction.params):
            raise UnsupportedError(
                f"lret-pennylane gives no derivative by the parameter of {instruction.op.name.lower()}",
                hint="bind it to a value; angles of gates have derivatives",
            )
    wants = tuple(dict.fromkeys("expectation" if want == "gradient" else want for want in request.wants))
    return replace(request, circuit=bound, wants=wants, parameters={})
