"""The backend: Cirq behind Proxima's contract."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.features import Features
from proxima.contracts.result import ErrorBound, RunResult
from proxima.errors import BackendUnavailableError, ResourceError, UnsupportedError, UsageError
from proxima_backend_cirq.work import METHODS, choose, profile, samples_moments

TESTED = ("1.5", "1.8")  # cirq-core: from, up to but not including


class CirqBackend(Backend):
    """Cirq's statevector, density matrix and stabiliser (CH form) simulation.

    The option ``method`` takes ``automatic`` (the default), ``statevector``, ``density_matrix`` or ``clifford``. Random
    outcomes (noise, reset, mid-circuit measurements) are followed once per distinct outcome, not once per shot.
    """

    name: str = "cirq"
    METHODS: ClassVar[tuple[str, ...]] = ("automatic", *METHODS)

    def probe(self) -> Probe:
        """Whether cirq-core is installed; does not import it."""
        try:
            found = version("cirq-core")
        except PackageNotFoundError:
            return Probe("not_installed", "cirq-core is not installed", "pip install proxima-backend-cirq")
        versions = {"cirq-core": found}
        if importlib.util.find_spec("cirq") is None:
            hint = "pip install --force-reinstall cirq-core"
            return Probe("error", f"cirq-core {found} is installed, but there is no module cirq", hint, versions)
        if not _numbers(TESTED[0]) <= _numbers(found) < _numbers(TESTED[1]):
            reason = f"cirq-core {found} is outside the tested range, {TESTED[0]} up to but not including {TESTED[1]}"
            return Probe("available", reason, "", versions)
        return Probe("available", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """Cost of the named method, or of the cheapest one that can answer."""
        _check_method(request)
        return choose(request, profile(request.circuit))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit into operations of Cirq."""
        _check_request(request)
        offer = choose(request, profile(request.circuit))
        if not offer.feasible:
            raise UnsupportedError(f"cirq: {offer.reason}", hint=_hint(offer))
        began = time.perf_counter()
        _import_cirq()
        imported = time.perf_counter()
        from proxima_backend_cirq.program import translate

        program = translate(request.circuit, offer.method)
        timings = {"import": imported - began, "translate": time.perf_counter() - imported, "compile": 0.0}
        return Plan(backend=self.name, request=request, method=offer.method, native=program, timings=timings)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan on one thread."""
        try:
            return _run(plan, context)
        except MemoryError as error:
            if isinstance(error, ResourceError):
                raise
            raise ResourceError(
                f"cirq: not enough memory for {plan.request.circuit.num_qubits} qubits by the method {plan.method}",
                hint="use fewer qubits, single precision, or a backend with another method",
            ) from error


def _run(plan: Plan, context: RunContext) -> RunResult:
    import cirq

    from proxima_backend_cirq.answers import Answers
    from proxima_backend_cirq.branching import follow, shots_split, weight_split
    from proxima_backend_cirq.program import Program

    program: Program = plan.native
    request, wants = plan.request, set(plan.request.wants)
    rng = np.random.default_rng(request.seed)
    trajectories = program.branches and samples_moments(request, plan.method, program.noisy, program.points)
    answers = Answers(request, program, rng, context.check, sampled_moments=trajectories)
    tick = _Ticker(context, len(program.steps), request.shots or 1)
    began = time.perf_counter()

    exact = bool(wants & {"statevector", "density_matrix", "probabilities"}) or (
        "expectation" in wants and not trajectories
    )
    sampled = bool(wants & {"counts", "samples"}) or trajectories
    shots = request.shots or 0
    if not program.branches:
        state = _initial(plan, tick.check)
        for step in program.steps:
            tick.step()
            state.apply(step)
        if sampled and shots:
            answers.sampled(state, [], shots)
        if exact:
            answers.exact(state, [], 1.0)
    else:
        if exact:
            bits = [0] * program.num_clbits
            follow(program.steps, _initial(plan, tick.check), bits, 1.0, weight_split, answers.exact, tick.check)
        if sampled and shots:
            bits = [0] * program.num_clbits
            leaf = tick.counting(answers.sampled)
            follow(program.steps, _initial(plan, tick.check), bits, shots, shots_split(rng), leaf, tick.check)
            answers.shuffle()
    spent = time.perf_counter() - began

    began = time.perf_counter()
    counts = answers.counts() if "counts" in wants else None
    expectations = answers.expectations()
    convert = answers.convert_seconds + time.perf_counter() - began
    single = request.precision == "single" and plan.method != "clifford"
    rounding = float(np.finfo(np.float32 if single else np.float64).eps) * (len(program.steps) + 1) ** 0.5
    return RunResult(
        backend=plan.backend,
        method=plan.method,
        precision="single" if single else "double",
        shots=request.shots,
        seed=request.seed,
        counts=counts,
        samples=answers.samples if "samples" in wants else None,
        statevector=answers.statevector,
        density_matrix=answers.density_matrix,
        probabilities=answers.probabilities,
        expectations=expectations,
        error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if sampled and shots else ErrorBound("exact", rounding),
        timings={
            **plan.timings,
            "execute": spent - answers.sample_seconds - answers.convert_seconds,
            "sample": answers.sample_seconds,
            "convert": convert,
        },
        versions={"cirq-core": cirq.__version__},
    )


class _Ticker:
    """Looks at the deadline at every step, and tells the progress a few times a second."""

    def __init__(self, context: RunContext, steps: int, shots: int) -> None:
        self._context = context
        self._steps = max(steps, 1)
        self._shots = shots
        self._done = 0.0
        self._next = time.monotonic() + 0.25
        self.check = context.check

    def step(self) -> None:
        """One step of a run without branches."""
        self.check()
        self._done += 1
        self._tell(self._done / self._steps)

    def counting(self, leaf: Callable[[Any, list[int], float], None]) -> Callable[[Any, list[int], float], None]:
        """A leaf that counts the shots it stands for."""

        def counted(state: Any, bits: list[int], shots: float) -> None:
            leaf(state, bits, shots)
            self._done += shots
            self._tell(self._done / self._shots)

        return counted

    def _tell(self, fraction: float) -> None:
        now = time.monotonic()
        if now > self._next:
            self._next = now + 0.25
            self._context.progress(min(fraction, 1.0), "simulating with Cirq")


def _initial(plan: Plan, check: Callable[[], None]) -> Any:
    from proxima_backend_cirq.stabilizer import Stabilizer
    from proxima_backend_cirq.states import DensityMatrix, Statevector

    if plan.method == "clifford":
        return Stabilizer(plan.native.num_qubits)
    dtype = np.complex64 if plan.request.precision == "single" else np.complex128
    kind = Statevector if plan.method == "statevector" else DensityMatrix
    return kind(plan.native.qubits, dtype, check)


def _import_cirq() -> None:
    try:
        import cirq  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name == "cirq":
            raise BackendUnavailableError(
                "cirq: cirq-core is not installed", hint="pip install proxima-backend-cirq"
            ) from error
        raise BackendUnavailableError(
            f"cirq: importing cirq failed: {error}", hint=f"pip install {error.name}"
        ) from error
    except Exception as error:
        raise BackendUnavailableError(
            f"cirq: importing cirq failed: {type(error).__name__}: {error}",
            hint="pip install --force-reinstall cirq-core",
        ) from error


def _check_method(request: RunRequest) -> None:
    unknown = sorted(set(request.options) - {"method"})
    if unknown:
        raise UsageError(f"cirq has no option {', '.join(unknown)}", hint="its one option is method")
    method = request.options.get("method", "automatic")
    if method not in CirqBackend.METHODS:
        raise UsageError(f"cirq has no method {method!r}", hint=f"use one of {', '.join(CirqBackend.METHODS)}")


def _check_request(request: RunRequest) -> None:
    _check_method(request)
    circuit, wants = request.circuit, set(request.wants)
    if circuit.parameters:
        raise UsageError(
            f"the circuit has open parameters: {', '.join(circuit.parameters)}", hint="bind them before it is run"
        )
    if wants & {"counts", "samples"}:
        if request.shots is None or request.shots < 1:
            raise UsageError("counts and samples need a number of shots", hint="ask for at least one")
        if not (circuit.columns.clbits >= 0).any():
            raise UsageError("the circuit measures nothing, so it has no counts", hint="add measurements")
    for observable in request.observables if "expectation" in wants else ():
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} is on {observable.num_qubits} qubits, "
                f"the circuit on {circuit.num_qubits}",
                hint="write one letter per qubit, the highest qubit first",
            )


def _hint(offer: Estimate) -> str:
    if "density_matrix" in offer.reason:
        return "ask for density_matrix, or leave the method to the backend"
    return "leave the method to the backend"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
