"""The backend: plans and runs requests on QuEST."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import ErrorBound, Expectation, RunResult, counts_from_samples, timed
from proxima.errors import ProximaError
from proxima_backend_quest import costs, engine
from proxima_backend_quest.engine import Register, State
from proxima_backend_quest.follow import End, ends, shots_split, weight_split
from proxima_backend_quest.program import translate, weights

_TESTED = ("0.19.",)
_DRAWN_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Native:
    """What a plan holds: the way to run it, and the steps for exact states and for shots."""

    way: costs.Way
    exact: tuple[Any, ...]
    sampled: tuple[Any, ...]


class QuestBackend(Backend):
    """QuEST: statevectors and exact density matrices in double precision."""

    name = "quest"

    def probe(self) -> Probe:
        """Whether qoqo and qoqo-quest are installed; imports nothing of them."""
        absent = engine.missing()
        if absent:
            return Probe("not_installed", f"{absent} is not installed", engine.HINT)
        versions = engine.versions()
        version = versions["qoqo-quest"]
        if not version.startswith(_TESTED):
            return Probe("available", f"qoqo-quest {version} is not among the tested versions 0.19", versions=versions)
        return Probe("available", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost."""
        try:
            way = costs.choose(request)
        except ProximaError as error:
            return Estimate(False, error.message)
        reason = "" if way.method == "statevector" else "density_matrix: the circuit is noisy or dynamic"
        needed = costs.memory(request, way)
        return Estimate(True, reason, way.method, needed, costs.work(request, features, way))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit.

        Raises:
            BackendUnavailableError: The engine is missing or cannot be loaded.
            UnsupportedError: The state is too large, or QuEST cannot do what the request needs.
            UsageError: The request makes no sense.
        """
        seconds: dict[str, float] = {"import": 0.0}
        way = costs.choose(request)
        loaded = engine.is_loaded()
        with timed(seconds, "translate" if loaded else "import"):
            engine.load()
        with timed(seconds, "translate"):
            exact = translate(request.circuit, mixed=way.exact_mixed) if way.states else ()
            same = way.states and way.exact_mixed == way.sampled_mixed
            sampled = exact if same else translate(request.circuit, mixed=way.sampled_mixed) if way.samples else ()
        native = Native(way, exact, sampled)
        return Plan(backend=self.name, request=request, method=way.method, native=native, timings=seconds)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan.

        Raises:
            CancelledError, DeadlineExceededError: Between two calls of the engine, well under a second apart.
            RunError: The engine failed.
        """
        native: Native = plan.native
        request, seconds = plan.request, dict(plan.timings)
        context.check()
        answers = _answers(native, request, context, seconds)
        shots = request.shots or 1
        rounding = float(np.finfo(np.float64).eps * np.sqrt(len(request.circuit) + 1))
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision="double",
            shots=request.shots,
            seed=request.seed,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5)
            if native.way.samples
            else ErrorBound("exact", rounding),
            timings=seconds,
            versions=engine.versions(),
            **answers,
        )


def _answers(native: Native, request: RunRequest, context: RunContext, seconds: dict[str, float]) -> dict[str, Any]:
    circuit, way, wants = request.circuit, native.way, set(request.wants)
    n, m = circuit.num_qubits, circuit.num_clbits
    out: dict[str, Any] = {}
    state: State | None = None
    if way.states:
        with timed(seconds, "execute"):
            register = Register(n, mixed=way.exact_mixed)
            state = _mixture(ends(register, native.exact, m, 1.0, weight_split, context))
            if "expectation" in wants:
                out["expectations"] = tuple(_expectation(register, state, o) for o in request.observables)
        with timed(seconds, "convert"):
            out |= _written_out(state[(slice(2**n),) * state.ndim], wants)
    if way.samples:
        shots = float(request.shots or 0)
        with timed(seconds, "execute" if state is None else "sample"):
            rng = np.random.default_rng(request.seed)
            if state is None or circuit.is_dynamic or way.exact_mixed != way.sampled_mixed:
                register = Register(n, mixed=way.sampled_mixed)
                several = ends(register, native.sampled, m, shots, shots_split(rng), context)
            else:
                several = iter([End(state, [0] * m, shots)])
            samples = _samples(request, several, rng, context)
        with timed(seconds, "convert"):
            if "counts" in wants:
                out["counts"] = counts_from_samples(samples)
            if "samples" in wants:
                out["samples"] = samples
    return out


def _mixture(found: Iterator[End]) -> State:
    """The states averaged; a vector has one end only."""
    first = next(found)
    total = first.state if first.weight == 1.0 else first.weight * first.state
    for end in found:
        total = total + end.weight * end.state
    return total


def _written_out(state: State, wants: Set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if "statevector" in wants:
        out["statevector"] = state
    if "density_matrix" in wants:
        out["density_matrix"] = state if state.ndim == 2 else np.outer(state, state.conj())
    if "probabilities" in wants:
        out["probabilities"] = weights(state)
    return out


def _expectation(register: Register, state: State, observable: PauliSum) -> Expectation:
    mean, square = register.expectation(state, observable), observable.squared()
    variance = None if square is None else max(register.expectation(state, square) - mean**2, 0.0)
    return Expectation(str(observable), mean, variance)


def _samples(
    request: RunRequest, several: Iterable[End], rng: np.random.Generator, context: RunContext
) -> npt.NDArray[np.uint8]:
    """Draws the final measurements of each end; the shots are mixed again where there are many ends."""
    shots, circuit = request.shots or 0, request.circuit
    out = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
    begin = parts = 0
    for end in several:
        count = int(end.weight)
        rows = out[begin : begin + count]
        rows[:] = end.bits
        chances = np.cumsum(weights(end.state)) if circuit.final_measurements else np.ones(1)
        for first in range(0, count, _DRAWN_AT_ONCE):
            context.check()
            part = rows[first : first + _DRAWN_AT_ONCE]
            drawn = np.searchsorted(chances, rng.random(len(part)) * chances[-1], side="right")
            for qubit, clbit in circuit.final_measurements:
                part[:, clbit] = drawn >> qubit & 1
        begin += count
        parts += 1
    return out[rng.permutation(shots)] if parts > 1 else out
