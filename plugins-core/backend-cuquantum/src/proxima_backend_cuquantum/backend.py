"""The backend: plans and runs requests on cuStateVec."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.parameter_shift import METHOD
from proxima.contracts.result import ErrorBound, Gradient, RunResult
from proxima.errors import ProximaError, ResourceError
from proxima_backend_cuquantum import costs, engine, gpus, gradient
from proxima_backend_cuquantum.gates import FUSED_QUBITS, Gate, fused_rows, gate_of
from proxima_trajectories import Answers, Row, channel_of, ends, rows_of

UNTRIED = "no release of this backend has been run on a GPU yet: hold its results against another backend's"
"""Said wherever the backend is offered, until somebody has."""


@dataclass(frozen=True, slots=True)
class Native:
    """A request made ready.

    Attributes:
        circuit, bound: Without and with values for its parameters, which it has where a gradient is wanted.
    """

    choice: costs.Choice
    engine: engine.Engine
    circuit: Circuit
    bound: Circuit
    rows: list[Row]


class CuQuantumBackend(Backend):
    """cuStateVec: statevectors on one GPU of NVIDIA's, noise by trajectories."""

    name = "cuquantum"

    def probe(self) -> Probe:
        """Whether the packages, their libraries and a GPU are here; imports nothing of them."""
        versions = engine.versions()
        if name := engine.missing_package():
            return Probe("not_installed", f"{name} is not installed", engine.HINT, versions)
        if name := engine.missing_library():
            return Probe("libraries_missing", f"{name} is not found", engine.HINT, versions)
        found = _gpus()
        if not found.gpus:
            hint = "cuStateVec needs an NVIDIA GPU and a driver for CUDA 13"
            return Probe("no_device", found.reason, hint, versions)
        devices = ", ".join(f"{gpu.name} with {gpu.total / 2**30:.3g} GiB" for gpu in found.gpus)
        return Probe("available", f"{devices}; one GPU is used; {UNTRIED}", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; it must fit into the free memory of the first GPU, where there is one."""
        try:
            choice = costs.choose(request)
            _refuse_too_large(request, choice)
        except ProximaError as error:
            return Estimate(False, error.message)
        needed = costs.host_bytes(request, choice)
        return Estimate(True, "", choice.method, needed, costs.work(request, features, choice))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit; see `Backend.plan`."""
        choice = costs.choose(request)
        began = time.perf_counter()
        loaded = engine.load()
        imported = time.perf_counter()
        _refuse_too_large(request, choice)
        circuit = request.circuit.without_final_measurements()
        bound = circuit.bind(request.parameters) if "gradient" in request.wants else circuit
        rows = rows_of(
            bound,
            gate_of,
            lambda instruction: channel_of(instruction, lambda matrix, qubits: Gate(matrix, tuple(qubits))),
        )
        translated = time.perf_counter()
        if circuit.num_qubits >= costs.FUSED_FROM:
            rows = fused_rows(rows)
        timings = {
            "import": imported - began,
            "translate": translated - imported,
            "compile": time.perf_counter() - translated,
        }
        native = Native(choice, loaded, circuit, bound, rows)
        return Plan(backend=self.name, request=request, method=choice.method, native=native, timings=timings)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan; see `Backend.run`."""
        from proxima_backend_cuquantum.device import DeviceState

        native: Native = plan.native
        request, choice = plan.request, native.choice
        double = request.precision == "double"
        rng = np.random.default_rng(request.seed)
        shots = costs.shots_of(request, choice)
        rounding = float(np.finfo(np.float64 if double else np.float32).eps)
        began = time.perf_counter()
        context.check()
        state = DeviceState(native.engine, request.circuit.num_qubits, double=double)
        answers = Answers(request, rng, context, shots=shots if choice.sampled else 0)
        for end in ends(
            native.rows,
            state,
            request.circuit.num_clbits,
            at_once=1,  # looking costs less than a launch; the state waits for the device by itself
            shots=shots,
            least=None if choice.sampled or (shots and not choice.exact) else rounding,
            rng=rng,
            context=context,
        ):
            answers.add(end)
        fields = answers.fields()
        if "gradient" in request.wants:
            fields["gradients"] = _gradients(native, request, context)
        spent = time.perf_counter() - began - sum(answers.seconds.values())
        bound = ErrorBound("exact", rounding * (len(native.rows) + 1) ** 0.5)
        return RunResult(
            backend=self.name,
            method=choice.method,
            precision="double" if double else "single",
            shots=shots or request.shots,
            seed=request.seed,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if shots else bound,
            timings={**plan.timings, "execute": spent, **answers.seconds},
            versions=engine.versions(),
            notes=(f"{UNTRIED[0].upper()}{UNTRIED[1:]}.",),
            **fields,
        )


def _gradients(native: Native, request: RunRequest, context: RunContext) -> tuple[Gradient, ...]:
    from proxima_backend_cuquantum.device import DeviceBatch

    n, double = request.circuit.num_qubits, request.precision == "double"
    values = gradient.gradients(
        native.circuit,
        native.bound,
        request.observables,
        at_once=costs.batch_size(request),
        most=FUSED_QUBITS if n >= costs.FUSED_FROM else 0,
        make=lambda count: DeviceBatch(native.engine, n, count, double=double),
        check=context.check,
        tell=lambda done: context.progress(done, "shifting the angles"),
    )
    names = request.circuit.parameters
    return tuple(Gradient(str(o), names, row, METHOD) for o, row in zip(request.observables, values, strict=True))


@cache
def _gpus() -> gpus.Found:
    """What `gpus.find` finds, asked once a process: the tool takes a while to answer."""
    return gpus.find()


def _refuse_too_large(request: RunRequest, choice: costs.Choice) -> None:
    needed = costs.device_bytes(request, choice)
    for gpu in _gpus().gpus[:1]:
        if needed > gpu.free:
            raise ResourceError(
                f"{request.circuit.num_qubits} qubits need {needed / 2**30:.3g} GiB of the GPU's memory, and "
                f"{gpu.free / 2**30:.3g} GiB of {gpu.name} are free",
                hint="use fewer qubits, single precision, or another backend",
            )
