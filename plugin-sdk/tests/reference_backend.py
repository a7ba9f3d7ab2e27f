"""A right little backend on top of the reference simulator, and one wrong variant for each fault the kit must find."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from types import SimpleNamespace
from typing import Any

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.matrices import PAULIS
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.contracts.result import ErrorBound, Expectation, Gradient, RunResult, counts_from_samples
from proxima.errors import BackendUnavailableError, UnsupportedError, UsageError
from proxima_sdk import reference
from proxima_sdk.circuits import clbits_reversed, from_instructions, qubits_reversed, rewritten

# The engine of this backend, as far as the kit is concerned: a module that can be hidden and that plan() imports.
ENGINE = "colorsys"

CAPABILITIES: Mapping[str, Any] = {
    "methods": ["ensemble"],
    "wants": ["counts", "samples", "probabilities", "statevector", "density_matrix", "expectation", "gradient"],
    "precisions": ["single", "double"],
    "noise": True,
    "dynamic": True,
    "operations": "all",
    "max_qubits": 12,
    "rates": {"run": 1e-4, "gate": 5e-5},
}


class ReferenceBackend(Backend):
    """Exact for up to 12 qubits, 6 where the state is mixed."""

    name = "reference"

    def probe(self) -> Probe:
        if importlib.util.find_spec(ENGINE) is None:
            return Probe("not_installed", f"{ENGINE} is not installed", f"install {ENGINE}")
        return Probe("available", versions={"numpy": importlib.metadata.version("numpy")})

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        mixed = features.noise_sites > 0 or features.is_dynamic
        limit = reference.MAX_MIXED_QUBITS if mixed else reference.MAX_PURE_QUBITS
        if features.num_qubits > limit:
            return Estimate(False, f"{features.num_qubits} qubits are more than {limit}")
        elements = 4**features.num_qubits if mixed else 2**features.num_qubits
        work = {"run": 1.0, "gate": float(features.num_operations)}
        return Estimate(True, method="ensemble", memory_bytes=64 * elements, work=work)

    def plan(self, request: RunRequest) -> Plan:
        try:
            importlib.import_module(ENGINE)
        except ImportError as error:
            raise BackendUnavailableError(f"{ENGINE} cannot be imported", hint=f"install {ENGINE}") from error
        method = request.options.get("method", "ensemble")
        if method != "ensemble":
            raise UnsupportedError(f"there is no method {method!r}", hint="use 'ensemble'")
        circuit = request.circuit
        if "gradient" in request.wants:
            circuit = circuit.bind(request.parameters)
        if circuit.parameters:
            raise UsageError(f"open parameters: {', '.join(circuit.parameters)}", hint="bind them")
        sampled = {"counts", "samples"} & set(request.wants)
        if sampled and not (circuit.columns.ops == Op.MEASURE).any():
            raise UsageError("the circuit measures nothing, so it has no counts", hint="add measurements")
        if "statevector" in request.wants and not reference.is_pure(circuit):
            raise UnsupportedError("a noisy or dynamic circuit has no statevector", hint="ask for density_matrix")
        return Plan(backend=self.name, request=request, method="ensemble", native=circuit, timings={"translate": 0.0})

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        request, start = plan.request, time.perf_counter()
        state = self.final_state(plan.native, context)
        executed = time.perf_counter()
        samples = self.samples(plan.native, state, request) if request.shots and _sampled(request) else None
        done = time.perf_counter()
        dtype = np.complex64 if request.precision == "single" else np.complex128
        wants, pure = request.wants, state.statevector
        return RunResult(
            backend=self.name,
            method=plan.method,
            precision=request.precision,
            shots=request.shots,
            seed=request.seed,
            counts=counts_from_samples(samples) if samples is not None and "counts" in wants else None,
            samples=samples if "samples" in wants else None,
            statevector=pure.astype(dtype) if "statevector" in wants else None,
            density_matrix=state.density_matrix().astype(dtype) if "density_matrix" in wants else None,
            probabilities=state.probabilities() if "probabilities" in wants else None,
            expectations=tuple(
                Expectation(str(o), *reference.expectation(plan.native, o))
                for o in (request.observables if "expectation" in wants else ())
            ),
            gradients=tuple(map(self.gradient(request), request.observables)) if "gradient" in wants else (),
            error_bound=_bound(request),
            timings={**plan.timings, "execute": executed - start, "sample": done - executed},
            versions=dict(self.probe().versions),
        )

    def gradient(self, request: RunRequest) -> Callable[[PauliSum], Gradient]:
        circuit, values = request.circuit, request.parameters
        return lambda o: Gradient(
            str(o), circuit.parameters, reference.gradient(circuit, values, o), "finite_difference"
        )

    def final_state(self, circuit: Circuit, context: RunContext) -> SimpleNamespace:
        """The state before the final measurements, and the exact distribution of the classical bits."""
        if reference.is_pure(circuit):
            psi = reference.initial_state(circuit.num_qubits)
            for instruction in circuit.without_final_measurements():
                context.check()
                if instruction.op is not Op.BARRIER:
                    psi = reference.apply(reference.gate_matrix(instruction), instruction.qubits, psi)
            return SimpleNamespace(
                statevector=psi,
                density_matrix=lambda: np.outer(psi, psi.conj()),
                probabilities=lambda: np.abs(psi) ** 2,
            )
        ensemble = reference.initial_ensemble(circuit)
        for instruction in circuit.without_final_measurements():
            context.check()
            ensemble = reference.advance(ensemble, instruction)
        rho = sum(ensemble.values(), np.zeros_like(next(iter(ensemble.values()))))
        return SimpleNamespace(
            statevector=None,
            density_matrix=lambda: rho,
            probabilities=lambda: np.diagonal(rho).real.copy(),
            ensemble=ensemble,
        )

    def generator(self, request: RunRequest) -> np.random.Generator:
        return np.random.default_rng(request.seed)

    def samples(self, circuit: Circuit, state: SimpleNamespace, request: RunRequest) -> np.ndarray:
        """Drawn from the exact distribution: uint8, shape (shots, num_clbits)."""
        rng, shots = self.generator(request), request.shots
        out = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
        if state.statevector is not None:
            indices = _draw(rng, np.abs(state.statevector) ** 2, shots)
        else:
            branches = list(state.ensemble.items())
            chosen = _draw(rng, np.array([np.trace(rho).real for _, rho in branches]), shots)
            indices = np.zeros(shots, dtype=np.int64)
            for number, (bits, rho) in enumerate(branches):
                here = np.flatnonzero(chosen == number)
                out[here] = bits
                indices[here] = _draw(rng, np.diagonal(rho).real, len(here))
        for qubit, clbit in circuit.final_measurements:
            out[:, clbit] = indices >> qubit & 1
        return out


def _bound(request: RunRequest) -> ErrorBound:
    if _sampled(request) and request.shots:
        return ErrorBound("sampling", 0.5 / np.sqrt(request.shots))
    return ErrorBound("exact", 1e-6 if request.precision == "single" else 1e-14)


def _sampled(request: RunRequest) -> bool:
    return bool({"counts", "samples"} & set(request.wants))


def _draw(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    weights = np.maximum(weights, 0.0)
    return rng.choice(len(weights), size=size, p=weights / weights.sum())


class FlippedEndianness(ReferenceBackend):
    """Takes qubit 0 for the most significant bit, and prints bit strings lowest classical bit first."""

    def plan(self, request: RunRequest) -> Plan:
        return replace(super().plan(request), native=clbits_reversed(qubits_reversed(request.circuit)))


class ReversedRotationSign(ReferenceBackend):
    """exp(+i theta X / 2) for rx."""

    def plan(self, request: RunRequest) -> Plan:
        def negate(i):
            return i._replace(params=tuple(-p for p in i.params)) if i.op is Op.RX else i

        plan = super().plan(request)
        return replace(plan, native=rewritten(request.circuit, negate))


class DroppedIdleQubit(ReferenceBackend):
    """Leaves qubits out of the state that nothing touches, as engines do that collect qubits from operations."""

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        touched = sorted({q for i in plan.native for q in i.qubits})
        if not touched or len(touched) == plan.native.num_qubits:
            return super().run(plan, context)
        place = {q: k for k, q in enumerate(touched)}
        builder = Circuit.builder(len(touched), plan.native.num_clbits)
        for op, qubits, params, clbit, condition, matrices in plan.native:
            builder.append(op, [place[q] for q in qubits], params, clbit=clbit, condition=condition, matrices=matrices)
        return super().run(replace(plan, native=builder.build()), context)


class IgnoredSeed(ReferenceBackend):
    """Draws from fresh entropy."""

    def generator(self, request: RunRequest) -> np.random.Generator:
        return np.random.default_rng()


class ConstantSeed(ReferenceBackend):
    """Draws the same samples whatever the seed."""

    def generator(self, request: RunRequest) -> np.random.Generator:
        return np.random.default_rng(0)


class OtherDepolarizing(ReferenceBackend):
    """depolarizing(p) as the weight of the maximally mixed state."""

    def plan(self, request: RunRequest) -> Plan:
        def scale(i):
            return i._replace(params=(0.75 * i.params[0],)) if i.op is Op.DEPOLARIZING else i

        return replace(super().plan(request), native=rewritten(request.circuit, scale))


class DroppedClassicalBits(ReferenceBackend):
    """Gives a letter only for classical bits that a measurement writes."""

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        result = super().run(plan, context)
        if result.counts is None:
            return result
        written = {i.clbit for i in plan.native if i.clbit >= 0}
        width = plan.native.num_clbits
        counts: dict[str, int] = {}
        for key, number in result.counts.items():
            short = "".join(letter for k, letter in enumerate(key) if width - 1 - k in written)
            counts[short] = counts.get(short, 0) + number
        return replace(result, counts=counts)


class SingleForDouble(ReferenceBackend):
    """Computes in single precision whatever is asked, and converts."""

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        result = super().run(replace(plan, request=replace(plan.request, precision="single")), context)
        if plan.request.precision == "single":
            return result

        def widened(array):
            return None if array is None else array.astype(np.complex128)

        return replace(
            result,
            precision="double",
            statevector=widened(result.statevector),
            density_matrix=widened(result.density_matrix),
        )


class IgnoredCancel(ReferenceBackend):
    """Never looks at its context."""

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        return super().run(plan, RunContext())


class ShotsOffByOne(ReferenceBackend):
    """Draws one shot too few."""

    def samples(self, circuit: Circuit, state: SimpleNamespace, request: RunRequest) -> np.ndarray:
        return super().samples(circuit, state, request)[1:]


class ExchangedControlOfCrx(ReferenceBackend):
    """Takes crx's first qubit for the target."""

    def plan(self, request: RunRequest) -> Plan:
        def swap(i):
            return i._replace(qubits=i.qubits[::-1]) if i.op is Op.CRX else i

        return replace(super().plan(request), native=rewritten(request.circuit, swap))


class IgnoredCondition(ReferenceBackend):
    """Applies conditioned gates always."""

    def plan(self, request: RunRequest) -> Plan:
        return replace(super().plan(request), native=rewritten(request.circuit, lambda i: i._replace(condition=None)))


class UnconditionalNoise(ReferenceBackend):
    """Applies conditioned channels always."""

    def plan(self, request: RunRequest) -> Plan:
        def free(i):
            return i._replace(condition=None) if i.op in CHANNELS else i

        made = super().plan(request)
        return replace(made, native=rewritten(made.native, free))


class Greedy(ReferenceBackend):
    """Says that 40 qubits fit."""

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        return Estimate(True, method="ensemble", memory_bytes=2**20, work={"run": 1.0})


class StaleBind(ReferenceBackend):
    """Keeps the first plan's angles when it binds new ones."""

    def bind(self, plan: Plan, request: RunRequest) -> Plan:
        return replace(plan, request=request)


class BatchOfTheFirst(ReferenceBackend):
    """Runs every plan of a batch with the first one's angles."""

    def plan(self, request: RunRequest) -> Plan:
        return replace(super().plan(request), batch=8)

    def run_batch(self, plans: Sequence[Plan], context: RunContext) -> list[RunResult]:
        return [self.run(replace(plan, native=plans[0].native), context) for plan in plans]


class BatchWithOneGenerator(BatchOfTheFirst):
    """Draws every result of a batch from the first one's seed."""

    def run_batch(self, plans: Sequence[Plan], context: RunContext) -> list[RunResult]:
        seed = plans[0].request.seed
        results = [self.run(replace(plan, request=replace(plan.request, seed=seed)), context) for plan in plans]
        return [replace(result, seed=plan.request.seed) for result, plan in zip(results, plans, strict=True)]


class OneHistory(ReferenceBackend):
    """Gives probabilities and expectation values of the first history in place of their average; leaves noise out."""

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        result = super().run(plan, context)
        if reference.is_pure(plan.native):
            return result
        circuit = plan.native.without_final_measurements()
        quiet = from_instructions(circuit.num_qubits, circuit.num_clbits, [i for i in circuit if i.op not in CHANNELS])
        rho = next(iter(reference.ensemble_of(quiet).values()))
        rho = rho / np.trace(rho)
        return replace(
            result,
            probabilities=None if result.probabilities is None else np.diagonal(rho).real.copy(),
            expectations=tuple(
                Expectation(str(o), sum(c * np.trace(rho @ _pauli(letters)).real for c, letters in o.terms))
                for o in (plan.request.observables if result.expectations else ())
            ),
        )


def _pauli(letters: str) -> np.ndarray:
    return reduce(np.kron, [PAULIS[letter] for letter in letters])


class OtherMethod(ReferenceBackend):
    """Takes any method's name for its one."""

    def plan(self, request: RunRequest) -> Plan:
        return super().plan(replace(request, options={}))


class UncaughtImport(ReferenceBackend):
    """Lets the engine's ImportError through."""

    def plan(self, request: RunRequest) -> Plan:
        importlib.import_module(ENGINE)
        return super().plan(request)


class EagerProbe(ReferenceBackend):
    """Imports the engine to see whether it is there."""

    def probe(self) -> Probe:
        try:
            importlib.import_module(ENGINE)
        except ImportError as error:
            return Probe("not_installed", str(error), f"install {ENGINE}")
        return super().probe()


class ForgottenCoefficient(ReferenceBackend):
    """Differentiates by the angles, as if every coefficient were 1."""

    def gradient(self, request: RunRequest) -> Callable[[PauliSum], Gradient]:
        c = request.circuit.columns
        weights = np.zeros(len(request.circuit.parameters))
        weights[c.param_refs[c.param_refs >= 0]] = c.params[c.param_refs >= 0]
        right = super().gradient(request)
        return lambda o: replace(right(o), values=right(o).values / weights)


class SortedParameters(ReferenceBackend):
    """Orders the derivatives by their parameters' names."""

    def gradient(self, request: RunRequest) -> Callable[[PauliSum], Gradient]:
        order = np.argsort(request.circuit.parameters)
        right = super().gradient(request)
        return lambda o: replace(right(o), values=right(o).values[order])


LIMITED: Mapping[str, Any] = {
    "methods": ["ensemble"],
    "wants": ["counts"],
    "precisions": ["single"],
    "operations": ["x", "h", "t", "s", "cx", "rx", "ry", "rz"],
    "max_qubits": 12,
}


class LimitedBackend(ReferenceBackend):
    """Counts in single precision over eight gates, and says so: what the kit must test through three bases."""

    name = "limited"
    capabilities = LIMITED

    def _refusal(self, request: RunRequest) -> str:
        offered = self.capabilities
        if request.precision not in offered["precisions"]:
            return f"{request.precision} precision is not offered"
        if request.circuit.num_qubits > offered["max_qubits"]:
            return f"{request.circuit.num_qubits} qubits are too many"
        for want in request.wants:
            if want not in offered["wants"]:
                return f"the want {want} is not offered"
        for instruction in request.circuit:
            name = OPERATIONS[instruction.op].name
            if instruction.op is not Op.MEASURE and name not in offered["operations"]:
                return f"the operation {name} is not offered"
        dynamic = request.circuit.is_dynamic and not offered.get("dynamic")
        return "conditions and mid-circuit measurements are not offered" if dynamic else ""

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        refusal = self._refusal(request)
        return Estimate(False, refusal) if refusal else super().estimate(request, features)

    def plan(self, request: RunRequest) -> Plan:
        if refusal := self._refusal(request):
            raise UnsupportedError(refusal, hint="use the reference backend")
        return super().plan(request)


class LimitedReversedRotationSign(LimitedBackend):
    """The limited backend with exp(+i theta X / 2) for rx."""

    def plan(self, request: RunRequest) -> Plan:
        return replace(super().plan(request), native=ReversedRotationSign().plan(request).native)


NATIVE: Mapping[str, Any] = {**CAPABILITIES, "operations": ["rx", "ry", "rz", "rxx", "kraus", "reset"], "max_qubits": 4}


class NativeBackend(LimitedBackend):
    """Four qubits, and rotations for gates, as a trapped-ion machine has them; all else is refused."""

    name = "native"
    capabilities = NATIVE


class NativeReversedRotationSign(NativeBackend):
    """The native backend with exp(+i theta X / 2) for rx."""

    def plan(self, request: RunRequest) -> Plan:
        return replace(super().plan(request), native=ReversedRotationSign().plan(request).native)


class CarelessBackend(LimitedBackend):
    """Leaves out what it does not know, where the limited backend refuses it."""

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        return ReferenceBackend.estimate(self, request, features)

    def plan(self, request: RunRequest) -> Plan:
        plan = ReferenceBackend.plan(self, request)
        known = {"measure", *LIMITED["operations"]}
        circuit = plan.native
        kept = [i for i in circuit if OPERATIONS[i.op].name in known]
        return replace(plan, native=from_instructions(circuit.num_qubits, circuit.num_clbits, kept))


TWO_QUBITS: Mapping[str, Any] = {**LIMITED, "max_qubits": 2}
GATES_OF_ITS_OWN: Mapping[str, Any] = {
    **CAPABILITIES,
    "operations": ["rx", "ry", "rz", "rxx", "reset", *sorted(OPERATIONS[op].name for op in CHANNELS)],
}


class TwoQubits(LimitedBackend):
    """The limited backend on two qubits."""

    capabilities = TWO_QUBITS


TWO_METHODS: Mapping[str, Any] = {**CAPABILITIES, "methods": ["automatic", "ensemble", "trajectories"]}

DEVICE: Mapping[str, Any] = {
    **CAPABILITIES,
    "wants": ["counts", "samples", "expectation"],
    "operations": ["rx", "ry", "rz", "rxx"],
    "noise": False,
    "dynamic": False,
    "seeded": False,
    "noisy_device": True,
    "max_qubits": 5,
}


class Device(LimitedBackend):
    """Five qubits of a machine: no seeds, and one bit in twenty read wrong."""

    name = "device"
    capabilities = DEVICE

    def generator(self, request: RunRequest) -> np.random.Generator:
        return np.random.default_rng()

    def samples(self, circuit: Circuit, state: SimpleNamespace, request: RunRequest) -> np.ndarray:
        samples = super().samples(circuit, state, request)
        measured = [clbit for _, clbit in circuit.final_measurements]
        samples[:, measured] ^= self.generator(request).random((len(samples), len(measured))) < 0.05
        return samples


class DeviceFlippedEndianness(Device):
    """The device, its bit strings lowest classical bit first."""

    def samples(self, circuit: Circuit, state: SimpleNamespace, request: RunRequest) -> np.ndarray:
        return super().samples(circuit, state, request)[:, ::-1]


class Unreachable(ReferenceBackend):
    """A service without a network: its engine is here, what it would run on is not."""

    def probe(self) -> Probe:
        probe = super().probe()
        if probe.state != "available":
            return probe
        return Probe("no_device", "the service cannot be reached", "connect to the network")

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        raise BackendUnavailableError("the service cannot be reached", hint="connect to the network")
