"""Choosing a backend: each installed one says whether it can, in what time and memory, and the quickest runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxima.cli.output import format_bytes, format_seconds
from proxima.contracts.backend import Backend, Probe, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.operations import OPERATIONS
from proxima.contracts.result import Candidate, Selection
from proxima.errors import BackendUnavailableError, ProximaError, ResourceError, UnavailableError, UnsupportedError
from proxima.permissions import Permission
from proxima.plugins.manifest import Contribution
from proxima_execution.calibration import Calibration
from proxima_execution.host import available_memory

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_MEMORY_ASKED_FROM = 1 << 26  # bytes; reading how much is available costs more than so little memory is worth


@dataclass(frozen=True, slots=True)
class Judgement:
    """One backend held against one request.

    Attributes:
        backend: ``None`` where its plugin cannot be activated.
        run_seconds: Estimated time without importing the engine.
        import_seconds: What importing the engine would still cost; 0 once it was used in this process.
        refusal: The error that a user who named this backend gets; ``None`` where it can.
    """

    contribution: Contribution
    backend: Backend | None
    candidate: Candidate
    run_seconds: float = math.inf
    import_seconds: float = 0.0
    refusal: UnavailableError | None = None


class Selector:
    """Judges backends and remembers what this process has learnt: probes, and which engines are imported.

    Importing an engine can take longer than a thousand small runs, so a fresh process prefers a slower engine with a
    cheap import. In a process that goes on that would be wrong for ever: so the time lost by avoiding an import is
    credited against it, and once the loss equals the cost the engine is imported. This is the ski-rental rule; it never
    costs more than twice what knowing the future would (Karlin, Manasse, Rudolph, Sleator 1988).
    """

    def __init__(self, kernel: Kernel, calibration: Calibration) -> None:
        self._kernel = kernel
        self._calibration = calibration
        self._probes: dict[str, Probe] = {}
        self._used: set[str] = set()
        self._credit: dict[str, float] = {}

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
                return Probe("error", f"its probe raised {type(error).__name__}: {error}")
            if probe.state == "available":
                self._probes[backend.name] = probe
        return probe

    def choose(self, name: str, request: RunRequest, features: Features) -> tuple[Judgement, Selection]:
        """The backend that runs the request: the named one if it can, or for ``auto`` the quickest.

        Raises:
            NotFoundError: No backend is called that; the hint has the nearest names.
            UnsupportedError, ResourceError, BackendUnavailableError, PluginError: The named one cannot.
            UnavailableError: None can; the message says why for each.
        """
        if name != "auto":
            return self._named(name, request, features)
        judgements = [
            self._barred(c) or self.judge(c, request, features) for c in self._kernel.contributions("backends")
        ]
        able = sorted((j for j in judgements if j.candidate.feasible), key=self._cost)
        if not able:
            raise _none_can(judgements)
        chosen = able[0]
        for other in able[1:]:
            if other.import_seconds and other.run_seconds < chosen.run_seconds:
                saved = chosen.run_seconds - other.run_seconds
                self._credit[other.candidate.backend] = self._credit.get(other.candidate.backend, 0.0) + saved
        candidates = tuple(j.candidate for j in able) + tuple(
            j.candidate for j in judgements if not j.candidate.feasible
        )
        return chosen, Selection(chosen.candidate.backend, _reason(chosen, able[1:], len(judgements)), candidates)

    def _barred(self, contribution: Contribution) -> Judgement | None:
        """The judgement on a backend whose plugin may not run circuits, which is then not shown any either."""
        decision = self._kernel.permissions.grants.check(contribution.plugin, Permission("execute_circuits"))
        if decision.outcome not in ("denied", "undeclared"):
            return None
        told = f"its plugin {contribution.plugin} may not run circuits"
        return _refused(contribution, None, UnavailableError(f"{contribution.name} cannot run this: {told}"), told)

    def _cost(self, judgement: Judgement) -> tuple[float, str]:
        name = judgement.candidate.backend
        charge = max(judgement.import_seconds - self._credit.get(name, 0.0), 0.0)
        return judgement.run_seconds + charge, name

    def _named(self, name: str, request: RunRequest, features: Features) -> tuple[Judgement, Selection]:
        contributions = self._kernel.contributions("backends")
        mine = next((c for c in contributions if c.name == name), None)
        if mine is None:
            self._kernel.get("backends", name)  # raises, with the nearest names or what is wrong with its plugin
            raise UnavailableError(f"the backend {name!r} is not among the installed ones")
        judgement = self.judge(mine, request, features)
        if judgement.refusal is not None:
            others = [self.judge(c, request, features) for c in contributions if c is not mine]
            can = sorted(j.candidate.backend for j in others if j.candidate.feasible)
            refusal = judgement.refusal
            advice = f"{' or '.join(can)} can run it" if can else "no other installed backend can run it either"
            refusal.hint = f"{refusal.hint}; {advice}" if refusal.hint else advice
            raise refusal
        return judgement, Selection(name, "asked for by name", (judgement.candidate,))

    def judge(self, contribution: Contribution, request: RunRequest, features: Features) -> Judgement:
        """Whether one backend can run the request, and what it would cost; never raises for what the backend does."""
        try:
            return self._judge(contribution, request, features)
        except Exception as error:  # noqa: BLE001 - its manifest or an answer of its makes no sense
            told = f"judging it raised {type(error).__name__}: {error}"
            broken = UnavailableError(f"{contribution.name} is broken: {told}")
            return _refused(contribution, None, broken, told)

    def _judge(self, contribution: Contribution, request: RunRequest, features: Features) -> Judgement:
        name = contribution.name
        capabilities = contribution.data.get("capabilities") or {}
        lacking = _lacking(capabilities, request, features)
        if lacking is not None:
            return _refused(contribution, None, UnsupportedError(f"{name} cannot run this: {lacking}"), lacking)
        try:
            backend: Backend = self._kernel.get("backends", name)
        except UnavailableError as broken:
            return _refused(contribution, None, broken, str(broken))
        probe = self.probe(backend)
        if probe.state != "available":
            reason = probe.reason or probe.state.replace("_", " ")
            absent = BackendUnavailableError(
                f"{name} is not available: {reason}", hint=probe.hint or None, plugin=contribution.plugin
            )
            return _refused(contribution, backend, absent, reason)
        try:
            estimate = backend.estimate(request, features)
        except ProximaError as error:
            lacking = str(error)
            return _refused(contribution, backend, UnsupportedError(f"{name} cannot run this: {lacking}"), lacking)
        except Exception as error:  # noqa: BLE001 - as for the probe
            told = f"its estimate raised {type(error).__name__}: {error}"
            return _refused(contribution, backend, UnavailableError(f"{name} is broken: {told}"), told)
        if not estimate.feasible:
            refusal = UnsupportedError(f"{name} cannot run this: {estimate.reason}", plugin=contribution.plugin)
            return _refused(contribution, backend, refusal, estimate.reason)
        if estimate.memory_bytes > _MEMORY_ASKED_FROM:
            available = available_memory()
            if available is not None and estimate.memory_bytes > available:
                told = (
                    f"it needs {format_bytes(estimate.memory_bytes)} of memory for {features.num_qubits} qubits"
                    f"{f' ({estimate.method})' if estimate.method else ''}, and {format_bytes(available)} is available"
                )
                return _refused(contribution, backend, ResourceError(f"{name} cannot run this: {told}"), told)
        rates, import_seconds = self._calibration.rates_of(name, probe.versions, capabilities)
        seconds = estimate.seconds(rates)
        pending = 0.0 if name in self._used else import_seconds
        reason = estimate.reason or estimate.method
        if pending:
            reason = f"{reason}; importing its engine takes {format_seconds(pending)} of this".lstrip("; ")
        return Judgement(
            contribution,
            backend,
            Candidate(
                name,
                True,
                reason,
                estimated_seconds=seconds + pending if math.isfinite(seconds) else None,
                estimated_bytes=estimate.memory_bytes,
                method=estimate.method,
            ),
            run_seconds=seconds,
            import_seconds=pending,
        )


def _refused(contribution: Contribution, backend: Backend | None, error: UnavailableError, reason: str) -> Judgement:
    return Judgement(contribution, backend, Candidate(contribution.name, False, reason), refusal=error)


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
    operations = capabilities.get("operations", "all")
    if operations != "all":
        known = {*operations, *capabilities.get("restricted_operations", ())}
        missing = sorted(name for op in features.ops if (name := OPERATIONS[op].name) not in known)
        if missing:
            return f"it does not know the operation{'s'[: len(missing) > 1]} {', '.join(missing)}"
    method = request.options.get("method", "automatic")
    if method != "automatic" and "methods" in capabilities and method not in capabilities["methods"]:
        return f"it has no method called {method!r}; it has {', '.join(capabilities['methods'])}"
    return None


def _reason(chosen: Judgement, others: Sequence[Judgement], asked: int) -> str:
    """Why this one, in one line."""
    name, took = chosen.candidate.backend, format_seconds(chosen.run_seconds + chosen.import_seconds)
    text = f"{name}: {took} estimated"
    if not others:
        return f"{text}, the only backend installed" if asked == 1 else f"{text}, the only backend that can run it"
    second = others[0]
    ours = chosen.run_seconds + chosen.import_seconds
    theirs = second.run_seconds + second.import_seconds
    factor = theirs / ours if ours > 0 and math.isfinite(theirs) else math.inf
    if factor < 1.0:
        text += f", and importing {name} now pays off"
    elif factor < 1.1:
        text += f", about as fast as {second.candidate.backend}"
    elif math.isfinite(factor):
        text += f", {factor:.1f}x faster than {second.candidate.backend}".replace(".0x", "x")
    else:
        text += f"; for {second.candidate.backend} there is no estimate"
    quicker = [o for o in others if o.run_seconds < chosen.run_seconds and o.import_seconds]
    if quicker:
        best = min(quicker, key=lambda o: o.run_seconds)
        text += (
            f" ({best.candidate.backend} would take {format_seconds(best.run_seconds)}, "
            f"but importing it {format_seconds(best.import_seconds)})"
        )
    return text


def _none_can(judgements: Iterable[Judgement]) -> UnavailableError:
    judged = list(judgements)
    if not judged:
        return UnavailableError("no backend is installed", hint="install one, e.g. `pip install proxima-quantum`")
    lines = [f"  {j.candidate.backend}: {j.candidate.reason}" for j in judged]
    refusals = [j.refusal for j in judged]
    kind = ResourceError if all(isinstance(r, ResourceError) for r in refusals) else UnavailableError
    hints = sorted({r.hint for r in refusals if r is not None and r.hint})
    return kind("no installed backend can run this circuit:\n" + "\n".join(lines), hint="; ".join(hints) or None)
