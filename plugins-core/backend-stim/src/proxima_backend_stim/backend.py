"""The backend: plans and runs requests on stim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import ErrorBound, Expectation, RunResult, timed
from proxima.errors import ProximaError
from proxima_backend_stim import costs, engine, sampling, states
from proxima_backend_stim.propagation import expectations
from proxima_backend_stim.translate import Program, translate

_TESTED = ("1.16.",)


@dataclass(frozen=True, slots=True)
class Native:
    """What a plan holds.

    Attributes:
        program: To sample; ``None`` where nothing is sampled.
        body: To evolve a pure state; ``None`` where the state is mixed or not wanted.
    """

    task: costs.Task
    program: Program | None
    body: Program | None


class StimBackend(Backend):
    """stim: stabilizer states, and shots of noisy Clifford circuits by the million."""

    name = "stim"

    def probe(self) -> Probe:
        """Whether stim is installed; imports nothing of it."""
        if not engine.is_installed():
            return Probe("not_installed", "stim is not installed", engine.HINT)
        version = engine.version()
        versions = {"stim": version or "unknown"}
        if not version.startswith(_TESTED):
            return Probe("available", f"stim {version} is not among the tested versions 1.16", versions=versions)
        return Probe("available", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; every matrix and angle is looked at."""
        try:
            task = costs.task_of(request)
        except ProximaError as error:
            return Estimate(False, error.message)
        reason = "the circuit is Clifford, with Pauli noise" if features.noise_sites else "the circuit is Clifford"
        return Estimate(True, reason, task.method, costs.memory(request, task), costs.work(request, task))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit.

        Raises:
            BackendUnavailableError: stim is missing or cannot be loaded.
            UnsupportedError: An operation is neither Clifford nor Pauli noise; the message names its row.
            UsageError: The request makes no sense.
        """
        seconds: dict[str, float] = {"import": 0.0}
        with timed(seconds, "translate"):
            task = costs.task_of(request)
        loaded = engine.is_loaded()
        with timed(seconds, "translate" if loaded else "import"):
            engine.load()
        with timed(seconds, "translate"):
            wants = set(request.wants)
            program = translate(task.circuit, task.kinds) if wants & costs.SAMPLED else None
            pure = bool(wants - costs.SAMPLED) and not task.mixed
            body = translate(task.body, task.body_kinds) if pure else None
        native = Native(task, program, body)
        return Plan(backend=self.name, request=request, method=task.method, native=native, timings=seconds)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan.

        Raises:
            CancelledError, DeadlineExceededError: Between two calls of stim, well under a second apart.
            ResourceError: Conditions split an observable into too many Pauli strings.
        """
        native: Native = plan.native
        request, seconds = plan.request, dict(plan.timings)
        context.check()
        answers = _states(native, request, context, seconds)
        if native.program is not None:
            answers |= _samples(native, native.program, request, context, seconds)
        shots = request.shots or 1
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision=request.precision,
            shots=request.shots,
            seed=request.seed,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if native.program else _rounding(native.task),
            timings=seconds,
            versions={"stim": engine.version() or "unknown"},
            **answers,
        )


def _samples(
    native: Native, program: Program, request: RunRequest, context: RunContext, seconds: dict[str, float]
) -> dict[str, Any]:
    draw = sampling.by_frames if native.task.frames else sampling.by_shots
    out: dict[str, Any] = {}
    with timed(seconds, "execute"):
        packed = np.concatenate(list(draw(program, request.shots or 0, request.seed, context)))
    with timed(seconds, "convert"):
        if "samples" in request.wants:
            bits = np.unpackbits(packed, axis=1, count=program.num_clbits, bitorder="little")
            out["samples"] = np.ascontiguousarray(bits)
        if "counts" in request.wants:
            out["counts"] = sampling.counts_of(packed, program.num_clbits)
    return out


def _states(native: Native, request: RunRequest, context: RunContext, seconds: dict[str, float]) -> dict[str, Any]:
    """The parts of the answer that are exact."""
    task, wants = native.task, set(request.wants)
    dtype = np.complex64 if request.precision == "single" else np.complex128
    observables = request.observables if "expectation" in wants else ()
    out: dict[str, Any] = {}
    with timed(seconds, "execute"):
        if native.body is not None:
            n = task.circuit.num_qubits
            simulator = states.tableau(native.body, context)
            if wants & {"statevector", "probabilities", "density_matrix"}:
                state = states.statevector(simulator, n, context)
                if "statevector" in wants:
                    out["statevector"] = state.astype(dtype)
                if "probabilities" in wants:
                    out["probabilities"] = state.real**2 + state.imag**2
                if "density_matrix" in wants:
                    out["density_matrix"] = np.outer(state, state.conj()).astype(dtype)
            values = [[_peek(simulator, letters) for _, letters in o.terms] for o in _with_squares(observables)]
        else:
            if "probabilities" in wants:
                out["probabilities"] = states.probabilities(task.body, task.body_kinds, context)
            if "density_matrix" in wants:
                out["density_matrix"] = states.density_matrix(task.body, task.body_kinds, context).astype(dtype)
            values = _propagated(task, _with_squares(observables), context)
        if observables:
            out["expectations"] = _expectations(observables, values)
    return out


def _with_squares(observables: tuple[PauliSum, ...]) -> list[PauliSum]:
    """Each observable, and behind it its square where that is not too long."""
    pairs = ((observable, observable.squared()) for observable in observables)
    return [each for pair in pairs for each in pair if each is not None]


def _peek(simulator: Any, letters: str) -> float:
    pauli = engine.load().PauliString(letters[::-1])  # stim's leftmost letter is on qubit 0
    return float(simulator.peek_observable_expectation(pauli))


def _propagated(task: costs.Task, sums: list[PauliSum], context: RunContext) -> list[list[float]]:
    strings = [letters for each in sums for _, letters in each.terms]
    if not strings:
        return []
    codes = states.codes_of(strings, task.circuit.num_qubits)
    found = iter(expectations(task.body, task.body_kinds, codes, context).tolist())
    return [[next(found) for _ in each.terms] for each in sums]


def _expectations(observables: tuple[PauliSum, ...], values: list[list[float]]) -> tuple[Expectation, ...]:
    sums = _with_squares(observables)
    totals = iter(
        [sum(c * v for (c, _), v in zip(s.terms, vs, strict=True)) for s, vs in zip(sums, values, strict=True)]
    )
    out = []
    for observable in observables:
        mean = next(totals)
        variance = None if observable.squared() is None else max(next(totals) - mean**2, 0.0)
        out.append(Expectation(str(observable), mean, variance))
    return tuple(out)


def _rounding(task: costs.Task) -> ErrorBound:
    return ErrorBound("exact", float(np.finfo(np.float64).eps * np.sqrt(len(task.circuit) + 1)))
