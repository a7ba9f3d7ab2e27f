"""`LretBackend`: Proxima's backend contract over `simulate`, to which a plugin gives a name and methods."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.result import RunResult, counts_from_samples, timed
from proxima.errors import BackendUnavailableError, ProximaError
from proxima_lret_core import costs

if TYPE_CHECKING:
    from proxima_lret_core import DensityMatrixState, LowRankState, TrajectoryState

    State = LowRankState | DensityMatrixState | TrajectoryState

_ENGINE = "proxima_lret_core._native"
_DISTRIBUTION = "proxima-lret-core"
_HINT = "pip install proxima-lret-core; from source that takes a C++ compiler"
_SHOTS_AT_ONCE = 1 << 20  # drawn between two looks at the context


class LretBackend(Backend):
    """Circuits with and without noise by low rank, a density matrix or trajectories, with a certified bound.

    Attributes:
        plugin: The id of the plugin that offers it.
        methods: Those that it offers, ``automatic`` first.
    """

    name: str
    plugin: ClassVar[str]
    methods: ClassVar[tuple[str, ...]] = ("automatic", "low_rank")

    def probe(self) -> Probe:
        """Whether the native part is installed; does not load it."""
        if importlib.util.find_spec(_ENGINE) is None:
            return Probe("not_installed", f"the native part of {_DISTRIBUTION} is not installed", _HINT)
        return Probe("available", versions=_versions())

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; the number of columns is a guess where there is noise."""
        try:
            costs.check(request, self.name, self.methods)
            method, work, needed, columns = costs.estimate(request, features, self.methods)
        except ProximaError as error:
            return Estimate(False, error.message)
        reason = f"{method}: about {columns:.3g} columns" if columns > 1 else method.replace("_", " ")
        return Estimate(True, reason, method, needed, work)

    def plan(self, request: RunRequest) -> Plan:
        """Checks the request and imports the library, which translates as it runs.

        Raises:
            BackendUnavailableError: The library is missing or cannot be loaded.
            UnsupportedError: The request needs what it cannot do.
            UsageError: The request makes no sense.
        """
        costs.check(request, self.name, self.methods)
        method, tolerance = costs.choice(request, self.methods)
        seconds = {"import": 0.0}
        if _ENGINE not in sys.modules:
            with timed(seconds, "import"):
                _load(self.plugin)
        return Plan(
            backend=self.name,
            request=request,
            method=method,
            native=tolerance,
            timings=seconds,
        )

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan.

        Raises:
            CancelledError, DeadlineExceededError: Within a second.
            ResourceError: The memory does not suffice; the hint says for which tolerance it would.
            UnsupportedError: Rounding alone may exceed the tolerance.
        """
        request, tolerance, seconds = plan.request, float(plan.native), dict(plan.timings)
        with timed(seconds, "execute"):
            state: State = _load(self.plugin)(
                request.circuit,
                tolerance=tolerance,
                precision=request.precision,
                shots=request.shots if set(request.wants) <= {"counts", "samples"} else None,
                method=plan.method,
                context=context,
            )
        answers = _answers(state, request, context, seconds)
        return RunResult(
            backend=self.name,
            method=state.method,
            precision=request.precision,
            shots=request.shots,
            seed=request.seed,
            error_bound=state.error_bound,
            timings=seconds,
            versions=_versions(),
            notes=_notes(state, tolerance),
            **answers,
        )


def _answers(state: State, request: RunRequest, context: RunContext, seconds: dict[str, float]) -> dict[str, Any]:
    """The fields of the `RunResult` that the request wants."""
    wants, out = set(request.wants), dict[str, Any]()
    dtype = np.complex64 if request.precision == "single" else np.complex128
    if wants & {"counts", "samples"}:
        # Trajectories run the circuit as they are drawn.
        with timed(seconds, "execute" if state.method == "trajectories" else "sample"):
            samples = _samples(state, request, context)
            if "samples" in wants:
                out["samples"] = samples
            if "counts" in wants:
                out["counts"] = counts_from_samples(samples)
    with timed(seconds, "convert"):
        if "probabilities" in wants:
            out["probabilities"] = state.probabilities()
        if wants & {"density_matrix", "statevector"}:
            rho = state.density_matrix()
            if "density_matrix" in wants:
                out["density_matrix"] = rho.astype(dtype)
            if "statevector" in wants:
                out["statevector"] = _pure(rho).astype(dtype)
        if "expectation" in wants:
            out["expectations"] = tuple(state.expectation(observable) for observable in request.observables)
    return out


def _samples(state: State, request: RunRequest, context: RunContext) -> npt.NDArray[np.uint8]:
    shots = request.shots or 0
    parts = []
    for part, begin in enumerate(range(0, shots, _SHOTS_AT_ONCE)):
        context.check()
        # The first part's seed is the request's own, so that a library call with it gives the same shots.
        mixed = np.random.SeedSequence([request.seed, part]).generate_state(1, np.uint64)[0]
        seed = int(mixed) if part else request.seed
        parts.append(state.samples(min(_SHOTS_AT_ONCE, shots - begin), seed))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pure(rho: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """The state psi of rho = psi psi^dagger, its largest amplitude real and positive."""
    largest = int(np.argmax(rho.diagonal().real))
    psi = rho[:, largest]
    return np.asarray(psi / np.linalg.norm(psi))


def _notes(state: State, tolerance: float) -> tuple[str, ...]:
    from proxima_lret_core import LowRankState

    parts = f"{state.spent:.2g} by what was left out, {state.rounding:.2g} by rounding"
    bound = f"The trace distance to the exact state is at most {state.bound:.2g} ({parts}); tolerance {tolerance:.2g}."
    if isinstance(state, LowRankState):
        return (f"Rank {state.rank}, at most {state.most_columns} columns on the way.", bound, *state.notes)
    return (bound, *state.notes)


def _load(plugin: str) -> Callable[..., State]:
    try:
        from proxima_lret_core.simulation import simulate
    except ImportError as error:
        raise BackendUnavailableError(
            f"{_DISTRIBUTION} cannot be loaded: {error}", hint=_HINT, plugin=plugin
        ) from error
    return simulate


@cache
def _version() -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _versions() -> Mapping[str, str]:
    return {_DISTRIBUTION: _version()} if _version() else {}
