"""The backend: plans and runs requests on qsim."""

from __future__ import annotations

import importlib.metadata
from functools import cache

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.result import ErrorBound, RunResult
from proxima.errors import ProximaError, ResourceError
from proxima_backend_qsim import costs
from proxima_backend_qsim.density import DensityProgram
from proxima_backend_qsim.engine import Engine, folder, load, loaded, physical_memory
from proxima_backend_qsim.gates import lower
from proxima_backend_qsim.runs import Clock, Native, Run
from proxima_backend_qsim.trajectories import Program

_TESTED = ("0.22.",)
_HINT = "pip install proxima-backend-qsim"


class QsimBackend(Backend):
    """qsim: statevectors, exact density matrices and trajectories in single precision."""

    name = "qsim"

    def probe(self) -> Probe:
        """Whether qsimcirq is installed; imports nothing of it."""
        if folder() is None:
            return Probe("not_installed", "qsimcirq is not installed", _HINT)
        versions = _versions()
        version = versions.get("qsimcirq", "of unknown version")
        if not version.startswith(_TESTED):
            return Probe("available", f"qsimcirq {version} is not among the tested versions 0.22", versions=versions)
        return Probe("available", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost."""
        try:
            method = costs.choose(request, features)
        except ProximaError as error:
            return Estimate(False, error.message)
        reason = "" if method.name == "statevector" else f"{method.name}: the circuit is noisy or dynamic"
        needed = costs.memory(request, method)
        return Estimate(True, reason, method.name, needed, costs.work(request, features, method))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit.

        Raises:
            BackendUnavailableError: qsimcirq is missing or cannot be loaded.
            ResourceError: The state is larger than this machine's memory.
            UnsupportedError: qsim cannot do what the request needs.
            UsageError: The request makes no sense.
        """
        clock = Clock()
        with clock.of("translate"):
            method = costs.choose(request)
            _refuse_too_large(costs.memory(request, method), request)
        was_loaded = loaded()
        with clock.of("import"):
            module = load()
        if was_loaded:
            clock.seconds["import"] = 0.0
        circuit = request.circuit
        body = circuit.without_final_measurements()
        engine = Engine(module, circuit.num_qubits)
        with clock.of("translate"):
            lowered = lower(body)
            gates = [gate for gate in lowered if gate is not None]
        with clock.of("compile"):
            wide = Engine(module, 2 * circuit.num_qubits)
            density = DensityProgram.of(body, lowered, wide) if method.density_matrix else None
            program = Program.of(body, lowered) if method.trajectories else None
            pieces = engine.compile(gates) if density is None and program is None else []
        native = Native(engine, len(lowered), pieces, density, program)
        return Plan(backend=self.name, request=request, method=method.name, native=native, timings=clock.seconds)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan.

        Raises:
            CancelledError, DeadlineExceededError: Between two calls of the engine, well under a second apart up to 27
                qubits; above that a single gate takes longer.
            RunError: The engine failed.
        """
        native: Native = plan.native
        request, clock = plan.request, Clock(plan.timings)
        answers = Run(native, request, context, clock).go()
        shots = costs.shots_of(request)
        drawn = native.program is not None or bool({"counts", "samples"} & set(request.wants))
        rounding = ErrorBound("exact", _rounding(native.num_operations))
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision="single",
            shots=shots if drawn else request.shots,
            seed=request.seed,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if drawn else rounding,
            timings=clock.seconds,
            versions=_versions(),
            **answers,
        )


def _rounding(num_operations: int) -> float:
    """Rounding errors of single precision add up like a random walk over the operations."""
    return float(np.finfo(np.float32).eps * np.sqrt(num_operations + 1))


def _refuse_too_large(needed: int, request: RunRequest) -> None:
    have = physical_memory()
    if needed > have:
        raise ResourceError(
            f"{request.circuit.num_qubits} qubits need {needed:,} bytes with qsim, this machine has {have:,}",
            hint="use a backend that does not hold the whole state, or fewer qubits",
        )


@cache
def _version() -> str:
    try:
        return importlib.metadata.version("qsimcirq")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _versions() -> dict[str, str]:
    return {"qsimcirq": _version()} if _version() else {}
