"""The backend ``qiskit-aer``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Backend, Estimate, Plan, Precision, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import ErrorBound, Expectation, RunResult, counts_from_samples
from proxima.errors import UnsupportedError
from proxima_backend_qiskit_aer import engine
from proxima_backend_qiskit_aer.cost import SAMPLE_WANTS, choose
from proxima_backend_qiskit_aer.execute import MPS_THRESHOLD, run_job
from proxima_backend_qiskit_aer.jobs import check, jobs_of
from proxima_backend_qiskit_aer.outcome import Outcome


class QiskitAerBackend(Backend):
    """Qiskit Aer's simulators, driven below Qiskit.

    Short runs are one call of Aer's controller; long ones are cut into pieces, because Aer holds the interpreter lock.
    """

    name = "qiskit-aer"

    def probe(self) -> Probe:
        """Whether Aer is installed; does not import it."""
        installed = engine.version()
        if installed is None:
            return Probe("not_installed", "Aer is not installed", "pip install proxima-backend-qiskit-aer")
        versions = {engine.DISTRIBUTION: installed}
        if engine.find_extension() is None:
            return Probe(
                "error",
                f"{engine.DISTRIBUTION} {installed} is installed, but its extension module is missing",
                f"pip install --force-reinstall {engine.DISTRIBUTION}",
                versions,
            )
        if not engine.is_tested(installed):
            low, high = (".".join(map(str, v)) for v in engine.TESTED)
            reason = f"version {installed} of Aer lies outside the tested range >={low},<{high}"
            return Probe("available", reason, f'pip install "{engine.DISTRIBUTION}>={low},<{high}"', versions)
        return Probe("available", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost by the cheapest method; imports no engine."""
        try:
            choice = choose(request, features)
        except UnsupportedError as error:
            return Estimate(False, error.message)
        return Estimate(True, f"{choice.method}: {choice.reason}", choice.method, choice.memory_bytes, choice.work)

    def plan(self, request: RunRequest) -> Plan:
        """Chooses the method and translates the circuit; see `Backend.plan`."""
        check(request)
        began = time.perf_counter()
        aer = engine.load()
        imported = time.perf_counter()
        choice = choose(request)
        jobs = tuple(jobs_of(aer, request, choice))
        timings = {"import": imported - began, "translate": time.perf_counter() - imported}
        return Plan(backend=self.name, request=request, method=choice.method, native=jobs, timings=timings)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan; see `Backend.run`."""
        request = plan.request
        seed = int(np.random.SeedSequence(request.seed).generate_state(1, np.uint64)[0] >> np.uint64(2))
        outcome = Outcome()
        for job in plan.native:
            context.check()
            run_job(engine.load(), job, request, context, seed, outcome)
        return _result(self.name, plan, outcome)


def _result(name: str, plan: Plan, outcome: Outcome) -> RunResult:
    request = plan.request
    began = time.perf_counter()
    wants = set(request.wants)
    samples = np.concatenate(outcome.samples) if outcome.samples else None
    counts: Mapping[str, int] | None = None
    if "counts" in wants:
        counts = counts_from_samples(samples) if samples is not None else dict(sorted(outcome.counts.items()))
    precision: Precision = "double" if outcome.double else "single"
    dtype = np.complex128 if outcome.double else np.complex64
    timings = {
        **plan.timings,
        "execute": outcome.execute,
        "sample": outcome.sample,
        "convert": outcome.convert + time.perf_counter() - began,
    }
    return RunResult(
        backend=name,
        method=plan.method,
        precision=precision,
        shots=request.shots,
        seed=request.seed,
        counts=counts,
        samples=samples if "samples" in wants else None,
        statevector=_as(outcome.statevector, dtype),
        density_matrix=_as(outcome.density_matrix, dtype),
        probabilities=outcome.probabilities,
        expectations=tuple(_expectation(i, o, outcome) for i, o in enumerate(request.observables))
        if "expectation" in wants
        else (),
        error_bound=_bound(request, plan.method, outcome, precision),
        timings=timings,
        versions={engine.DISTRIBUTION: engine.loaded_version()},
    )


def _as(array: npt.NDArray[Any] | None, dtype: Any) -> npt.NDArray[Any] | None:
    return None if array is None else array.astype(dtype, copy=False)


def _expectation(i: int, observable: PauliSum, outcome: Outcome) -> Expectation:
    if i in outcome.means:
        mean, square = outcome.means[i]
        variance = None if square is None else max(float(square) - float(mean) ** 2, 0.0)
        return Expectation(str(observable), float(mean), variance)
    values = np.array(outcome.values[i])
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")
    return Expectation(str(observable), float(values.mean()), None, error)


def _bound(request: RunRequest, method: str, outcome: Outcome, precision: Precision) -> ErrorBound:
    if SAMPLE_WANTS & set(request.wants) or outcome.values:
        return ErrorBound("sampling", 0.5 / float(np.sqrt(request.shots or 1)))
    if method == "matrix_product_state":
        return ErrorBound("truncated_weight", MPS_THRESHOLD)
    # Rounding errors of m operations add up like a random walk.
    step = 2.0**-53 if precision == "double" else 2.0**-24
    return ErrorBound("exact", step * float(np.sqrt(len(request.circuit) + 1)))
