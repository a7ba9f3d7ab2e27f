"""The backend: what it can do, what a run costs, and the run itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxima.contracts.backend import Estimate, Plan, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features, features_of
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.contracts.result import ErrorBound, Expectation, RunResult, counts_from_samples
from proxima.errors import BackendUnavailableError, UnsupportedError, UsageError
from proxima_sdk import Backend

if TYPE_CHECKING:
    from my_plugin.simulator import Array

METHOD = "statevector"
MAX_QUBITS = 24
BATCH_AMPLITUDES = 2**14  # of the states that are run at once; with more, numpy's calls cost no more than its work
BYTES_PER_AMPLITUDE = 3 * 16  # the state, and two copies while a gate is applied


class Statevector(Backend):
    """Holds the whole state: 2^n complex numbers, exact to rounding."""

    name = "my-plugin"
    engine = {"numpy": "numpy"}

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """Every gate touches every amplitude."""
        if reason := refusal(request, features):
            return Estimate(False, reason)
        amplitudes = 2**features.num_qubits
        gates = features.num_gates + 1
        work = {"gate": gates, "amplitude": gates * amplitudes, "shot": request.shots or 0}
        return Estimate(True, method=METHOD, memory_bytes=BYTES_PER_AMPLITUDE * amplitudes, work=work)

    def plan(self, request: RunRequest) -> Plan:
        """The gates as matrices, in order."""
        start = time.perf_counter()
        try:
            from my_plugin import simulator
        except ImportError as error:
            raise BackendUnavailableError(f"numpy cannot be imported: {error}", hint="pip install numpy") from error
        circuit = request.circuit
        if reason := refusal(request, features_of(circuit)):
            raise UnsupportedError(f"{self.name}: {reason}")
        _check_usage(request, circuit)
        gates = simulator.gates_of(circuit)
        return Plan(
            backend=self.name,
            request=request,
            method=METHOD,
            native=gates,
            timings={"translate": time.perf_counter() - start},
            batch=max(1, BATCH_AMPLITUDES >> circuit.num_qubits),
        )

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """A batch of one."""
        return self.run_batch([plan], context)[0]

    def run_batch(self, plans: Sequence[Plan], context: RunContext) -> list[RunResult]:
        """Applies the gates to all states at once, then reads off what is wanted of each."""
        from my_plugin import simulator

        start = time.perf_counter()
        states = simulator.evolve(plans[0].request.circuit.num_qubits, [plan.native for plan in plans], context)
        seconds = (time.perf_counter() - start) / len(plans)
        return [self._read(plan, state, seconds, context) for plan, state in zip(plans, states, strict=True)]

    def _read(self, plan: Plan, state: Array, seconds: float, context: RunContext) -> RunResult:
        """What is wanted of a state, which took so many seconds."""
        from my_plugin import simulator

        request, circuit = plan.request, plan.request.circuit
        executed = time.perf_counter()
        wants, shots = request.wants, request.shots or 0
        sampled = bool({"counts", "samples"} & set(wants))
        samples = simulator.sample(state, circuit, shots, request.seed, context) if sampled else None
        observables = request.observables if "expectation" in wants else ()
        done = time.perf_counter()
        return RunResult(
            backend=self.name,
            method=METHOD,
            precision="double",
            shots=request.shots,
            seed=request.seed,
            counts=counts_from_samples(samples) if samples is not None and "counts" in wants else None,
            samples=samples if "samples" in wants else None,
            statevector=state if "statevector" in wants else None,
            probabilities=simulator.probabilities(state) if "probabilities" in wants else None,
            expectations=tuple(Expectation(str(o), simulator.expectation(state, o)) for o in observables),
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if sampled else ErrorBound("exact", 1e-14),
            timings={**plan.timings, "execute": seconds, "sample": done - executed},
            versions=dict(self.probe().versions),
        )


def refusal(request: RunRequest, features: Features) -> str:
    """Why the request cannot be run here; empty where it can."""
    if features.num_qubits > MAX_QUBITS:
        return f"{features.num_qubits} qubits are more than {MAX_QUBITS}"
    for op in features.ops:
        if op in CHANNELS or op is Op.RESET:
            return f"{OPERATIONS[op].name} leaves no pure state, which is all that is simulated"
    if features.is_dynamic:
        return "conditions and measurements before the end are not simulated"
    for want in ("density_matrix", "gradient"):
        if want in request.wants:
            return f"{want} is not offered"
    method = request.options.get("method", METHOD)
    return "" if method == METHOD else f"there is no method {method!r}, only {METHOD!r}"


def _check_usage(request: RunRequest, circuit: Circuit) -> None:
    """Raises `UsageError` where the request contradicts itself."""
    if circuit.parameters:
        raise UsageError(f"open parameters: {', '.join(circuit.parameters)}", hint="give each a value")
    if {"counts", "samples"} & set(request.wants) and not circuit.final_measurements:
        raise UsageError("the circuit measures nothing, so it has no counts", hint="add measurements")
    for observable in request.observables:
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"{observable} has {observable.num_qubits} letters a term, the circuit {circuit.num_qubits} qubits"
            )
