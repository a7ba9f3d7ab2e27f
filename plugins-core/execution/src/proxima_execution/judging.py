"""Holding one backend against one request: whether it can, why not, and what it would cost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxima.cli.output import format_bytes, format_seconds
from proxima.contracts.backend import Backend, Estimate, Probe, RunRequest
from proxima.contracts.features import Features, features_of
from proxima.contracts.result import Candidate
from proxima.errors import (
    BackendUnavailableError,
    ProximaError,
    ResourceError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from proxima.permissions import Permission
from proxima.plugins.manifest import Contribution
from proxima_execution.adaptation import Adaptations, Adapted
from proxima_execution.calibration import Calibration, Rates
from proxima_execution.host import available_memory
from proxima_execution.observations import Correction, Kind, Observations
from proxima_execution.parameter_shift import ParameterShift, without_gradient

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_MEMORY_ASKED_FROM = 1 << 26  # bytes; reading how much is available costs more than so little memory is worth
_MEMORY_HOLDS = 0.01  # seconds: as long as the judgements for one choice take
_ALIKE = 0.9  # of the last estimate; the gates' places and angles count too
_REMEMBERED = 1000  # likenesses of requests
_ABSENT_FOR = 5.0  # seconds; to look for an engine that is not there takes longer than judging one that is


@dataclass(frozen=True, slots=True)
class Price:
    """What a run would cost on one backend.

    Attributes:
        run_seconds: Estimated time without importing the engine, corrected by past runs.
        import_seconds: What importing the engine would still cost; 0 once it was used in this process.
        translation_seconds: Part of ``run_seconds``: making the engine's circuit; ``None`` where it is not known.
        estimate, rates, correction: What the time was made of.
        kind: Of the run, among past ones.
    """

    run_seconds: float
    import_seconds: float
    translation_seconds: float | None
    estimate: Estimate
    rates: Rates
    correction: Correction
    kind: Kind

    @property
    def seconds(self) -> float:
        """Estimated time, the import included."""
        return self.run_seconds + self.import_seconds


@dataclass(frozen=True, slots=True)
class Offer:
    """A backend that can run a request."""

    contribution: Contribution
    candidate: Candidate
    backend: Backend
    adapted: Adapted
    price: Price


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds that a run takes on a backend at least, and what importing its engine would add.

    The first is infinite for one that could not run the last request that was like this one.
    """

    contribution: Contribution
    run_seconds: float
    import_seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A backend that cannot run a request, and the error that a user who named it gets."""

    contribution: Contribution
    candidate: Candidate
    error: UnavailableError


class Judge:
    """Judges backends, and remembers which probes were good and which engines are imported in this process."""

    def __init__(self, kernel: Kernel, calibration: Calibration, observations: Observations) -> None:
        self._kernel = kernel
        self._calibration = calibration
        self._observations = observations
        self._probes: dict[str, Probe] = {}
        self._absent: dict[str, tuple[Probe, float]] = {}
        self._used: set[str] = set()
        self._memory: tuple[float, int | None] = (-math.inf, None)
        self._corrections: dict[str, dict[str, float]] = {}
        self._alike: dict[tuple[object, ...], dict[str, tuple[float, int]]] = {}

    def mark_used(self, backend: str) -> None:
        """Remembers that the backend's engine is imported."""
        self._used.add(backend)

    def probe(self, backend: Backend) -> Probe:
        """The backend's probe; one that was available stays so for this process."""
        probe = self._probes.get(backend.name)
        if probe is None:
            try:
                probe = backend.probe()
            except Exception as error:  # noqa: BLE001 - a broken backend is one that cannot, whatever it raises
                probe = Probe("error", f"its probe raised {type(error).__name__}: {error}")
            if probe.state == "available":
                self._probes[backend.name] = probe
            else:
                self._absent[backend.name] = (probe, time.monotonic() + _ABSENT_FOR)
        return probe

    def floors(self, asked: Adaptations) -> Iterator[Floor]:
        """What each backend takes at least for the request, as far as that is known without asking any.

        That is what a run costs by itself and by the gate, corrected as the method was last that past runs made least
        of; and most of what the last request was estimated at that is like this one.
        """
        alike = self._alike.get(asked.likeness, {})
        gates = max(features_of(asked.request.circuit).num_gates, 1)
        for contribution in self._kernel.contributions("backends"):
            name = contribution.name
            last, of_gates = alike.get(name, (0.0, 1))
            seconds = _ALIKE * last * min(1.0, gates / of_gates)
            if name not in self._probes:  # what it is estimated by may depend on the engine's version
                yield Floor(contribution, seconds, 0.0)
                continue
            capabilities = contribution.data.get("capabilities") or {}
            rates = self._calibration.rates_of(name, self._probes[name].versions, capabilities, anew=False)
            least = rates.per_unit.get("run", 0.0)
            if not asked.optimize:  # which leaves gates out
                least += rates.per_unit.get("gate", rates.translation_seconds or 0.0) * gates
            if name in self._corrections:
                least *= min(self._corrections[name].values())
            seconds = max(seconds, least)
            yield Floor(contribution, seconds, 0.0 if name in self._used else rates.import_seconds)

    def _remember(self, asked: Adaptations, name: str, seconds: float) -> None:
        """What a request takes on a backend, infinite where it cannot run it, for others that are like it."""
        if len(self._alike) > _REMEMBERED:
            self._alike.clear()
        gates = max(features_of(asked.request.circuit).num_gates, 1)
        self._alike.setdefault(asked.likeness, {})[name] = (seconds, gates)

    def barred(self, contribution: Contribution) -> Refusal | None:
        """The refusal of a backend whose plugin may not run circuits, which is then not shown any either."""
        decision = self._kernel.permissions.grants.check(contribution.plugin, Permission("execute_circuits"))
        if decision.outcome not in ("denied", "undeclared"):
            return None
        told = f"its plugin {contribution.plugin} may not run circuits"
        return _refused(contribution, UnavailableError(f"{contribution.name} cannot run this: {told}"), told)

    def judge(self, contribution: Contribution, asked: Adaptations, *, fit: bool = False) -> Offer | Refusal:
        """Whether one backend can run the request, and what it would cost; never raises for what the backend does.

        One that cannot give the gradient itself is judged by what computing it from expectation values would take.

        Args:
            contribution: The backend's.
            asked: What is to be run.
            fit: Whether to say how well the estimates of past runs fit, which takes longer.
        """
        try:
            judgement = self._judge(contribution, asked, fit)
            if isinstance(judgement, Refusal) and "gradient" in asked.request.wants:
                judgement = self._judge(contribution, asked, fit, shifted=True)
            return judgement
        except Exception as error:  # noqa: BLE001 - its manifest or an answer of its makes no sense
            told = f"judging it raised {type(error).__name__}: {error}"
            return _refused(contribution, UnavailableError(f"{contribution.name} is broken: {told}"), told)

    def _judge(
        self, contribution: Contribution, asked: Adaptations, fit: bool, *, shifted: bool = False
    ) -> Offer | Refusal:
        name = contribution.name
        capabilities = contribution.data.get("capabilities") or {}
        if not fit and name in self._absent and time.monotonic() < self._absent[name][1]:
            return _absent(contribution, self._absent[name][0])
        try:
            request = without_gradient(asked.request) if shifted else asked.request
            lacking = _lacking(capabilities, request, features_of(asked.request.circuit))
            if lacking is not None:
                raise UnsupportedError(lacking)
            adapted = asked.for_backend(capabilities)
        except UnsupportedError as error:
            self._remember(asked, name, math.inf)
            return _cannot(contribution, str(error))
        features = features_of(adapted.request.circuit)
        try:
            backend: Backend = self._kernel.get("backends", name)
        except UnavailableError as broken:
            return _refused(contribution, broken, str(broken))
        probe = self.probe(backend)
        if probe.state != "available":
            return _absent(contribution, probe)
        if shifted:
            backend = ParameterShift(backend)
        try:
            estimate = backend.estimate(adapted.request, features)
        except ProximaError as error:
            if isinstance(error, UnsupportedError | UsageError):
                self._remember(asked, name, math.inf)
            return _cannot(contribution, str(error))
        except Exception as error:  # noqa: BLE001 - as for the probe
            told = f"its estimate raised {type(error).__name__}: {error}"
            return _refused(contribution, UnavailableError(f"{name} is broken: {told}"), told)
        if not estimate.feasible:
            self._remember(asked, name, math.inf)
            return _cannot(contribution, estimate.reason)
        if told := self._memory_lacking(estimate, features):
            return _refused(contribution, ResourceError(f"{name} cannot run this: {told}"), told)
        price = self._price(name, probe, capabilities, estimate, features, fit)
        self._remember(asked, name, price.run_seconds)
        reason = estimate.reason or estimate.method
        if price.import_seconds:
            importing = f"importing its engine takes {format_seconds(price.import_seconds)} of this"
            reason = f"{reason}; {importing}".lstrip("; ")
        candidate = Candidate(
            name,
            True,
            reason,
            estimated_seconds=price.seconds if math.isfinite(price.seconds) else None,
            estimated_bytes=estimate.memory_bytes,
            method=estimate.method,
        )
        return Offer(contribution, candidate, backend, adapted, price)

    def _price(
        self,
        name: str,
        probe: Probe,
        capabilities: Mapping[str, Any],
        estimate: Estimate,
        features: Features,
        fit: bool,
    ) -> Price:
        rates = self._calibration.rates_of(name, probe.versions, capabilities)
        kind = Kind.of(name, estimate.method, probe.versions, cold=name not in self._used)
        predicted = estimate.seconds(rates.per_unit)
        correction = self._observations.correction(kind, rates.per_unit, predicted, fit=fit)
        if not kind.cold:
            self._corrections.setdefault(name, {})[kind.method] = correction.factor
        seconds = predicted * correction.factor
        translation = rates.translation_seconds
        return Price(
            seconds,
            rates.import_seconds if kind.cold else 0.0,
            None if translation is None else min(translation * features.num_operations, seconds),
            estimate,
            rates,
            correction,
            kind,
        )

    def _memory_lacking(self, estimate: Estimate, features: Features) -> str:
        """How much memory the run lacks, in words; empty where there is enough or it is not known."""
        if estimate.memory_bytes <= _MEMORY_ASKED_FROM:
            return ""
        now = time.monotonic()
        if now > self._memory[0] + _MEMORY_HOLDS:
            self._memory = (now, available_memory())
        available = self._memory[1]
        if available is None or estimate.memory_bytes <= available:
            return ""
        return (
            f"it needs {format_bytes(estimate.memory_bytes)} of memory for {features.num_qubits} qubits"
            f"{f' ({estimate.method})' if estimate.method else ''}, and {format_bytes(available)} is available"
        )


def _absent(contribution: Contribution, probe: Probe) -> Refusal:
    reason = probe.reason or probe.state.replace("_", " ")
    error = BackendUnavailableError(
        f"{contribution.name} is not available: {reason}", hint=probe.hint or None, plugin=contribution.plugin
    )
    return _refused(contribution, error, reason)


def _cannot(contribution: Contribution, told: str) -> Refusal:
    error = UnsupportedError(f"{contribution.name} cannot run this: {told}", plugin=contribution.plugin)
    return _refused(contribution, error, told)


def _refused(contribution: Contribution, error: UnavailableError, reason: str) -> Refusal:
    return Refusal(contribution, Candidate(contribution.name, False, reason), error)


def _lacking(capabilities: Mapping[str, Any], request: RunRequest, features: Features) -> str | None:
    """What the manifest says the backend lacks for the request, in words; its plugin need not be imported for that."""
    for want in request.wants:
        if want not in capabilities.get("wants", (want,)):
            return f"it does not give {want.replace('_', ' ')}"
    if request.precision == "double" and "double" not in capabilities.get("precisions", ("double",)):
        return "it computes in single precision only, and the run is in double; ask for single precision to use it"
    if features.noise_sites and not capabilities.get("noise", True):
        return "it does not simulate noise"
    if features.is_dynamic and not capabilities.get("dynamic", True):
        return "it does not simulate conditions, resets or measurements in the middle of a circuit"
    most = capabilities.get("max_qubits")
    if most is not None and features.num_qubits > most:
        return f"it takes at most {most} qubits, and the circuit has {features.num_qubits}"
    method = request.options.get("method", "automatic")
    if method != "automatic" and "methods" in capabilities and method not in capabilities["methods"]:
        return f"it has no method called {method!r}; it has {', '.join(capabilities['methods'])}"
    return None
