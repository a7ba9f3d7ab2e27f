"""The backend: plans and runs requests on cuStateVec."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.parameter_shift import METHOD
from proxima.contracts.result import ErrorBound, Gradient, RunResult
from proxima.errors import ProximaError, ResourceError
from proxima_backend_cuquantum import costs, engine, gpus, gradient, mps
from proxima_backend_cuquantum.gates import FUSED_QUBITS, Gate, fused_rows, gate_of
from proxima_trajectories import Answers, End, Row, channel_of, ends, rows_of

if TYPE_CHECKING:
    from proxima_backend_cuquantum.device import DeviceState

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
    """cuStateVec: statevectors on GPUs of NVIDIA's, noise by trajectories; and cuTensorNet's matrix product states."""

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
        return Probe("available", f"{devices}; {UNTRIED}", versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; it must fit into the free memory of the GPUs, where there are some."""
        try:
            choice = costs.choose(request, _free())
            _refuse_too_large(request, choice)
        except ProximaError as error:
            return Estimate(False, error.message)
        if choice.bond_bits is not None and (name := engine.missing_library(engine.TENSORNET)):
            return Estimate(False, f"{choice.method} needs cuTensorNet, and {name} is not found")
        needed = costs.host_bytes(request, choice)
        return Estimate(True, "", choice.method, needed, costs.work(request, features, choice))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit; see `Backend.plan`."""
        choice = costs.choose(request, _free())
        began = time.perf_counter()
        loaded = engine.load()
        if choice.bond_bits is not None:
            engine.load_tensornet()
        imported = time.perf_counter()
        _refuse_too_large(request, choice)
        circuit = request.circuit.without_final_measurements()
        bound = circuit.bind(request.parameters) if "gradient" in request.wants else circuit
        if choice.bond_bits is not None:
            rows = [Row(gate) for gate in mps.gates_of(bound)]
        else:
            rows = rows_of(
                bound,
                gate_of,
                lambda instruction: channel_of(instruction, lambda matrix, qubits: Gate(matrix, tuple(qubits))),
            )
        translated = time.perf_counter()
        if choice.bond_bits is None and circuit.num_qubits >= costs.FUSED_FROM:
            rows = fused_rows(rows)
        timings = {
            "import": imported - began,
            "translate": translated - imported,
            "compile": time.perf_counter() - translated,
        }
        return Plan(
            backend=self.name,
            request=request,
            method=choice.method,
            native=Native(choice, loaded, circuit, bound, rows),
            timings=timings,
            batch=costs.batch_of(request, choice, _free()),
        )

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan; see `Backend.run`."""
        native: Native = plan.native
        request, choice = plan.request, native.choice
        if choice.bond_bits is not None:
            return self._run_product(plan, choice.bond_bits, context)
        rng = np.random.default_rng(request.seed)
        shots = costs.shots_of(request, choice)
        rounding = _rounding(request)
        began = time.perf_counter()
        context.check()
        answers = Answers(request, rng, context, shots=shots if choice.sampled else 0)
        for end in ends(
            native.rows,
            _state(native, request),
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
        return self._result(plan, fields, {"execute": spent, **answers.seconds})

    def run_batch(self, plans: Sequence[Plan], context: RunContext) -> list[RunResult]:
        """The statevectors side by side, every gate one launch for all of them; see `Backend.run_batch`."""
        from proxima_backend_cuquantum.device import DeviceBatch

        first: Native = plans[0].native
        request = plans[0].request
        if len(plans) == 1 or costs.batch_of(request, first.choice) == 1:
            return [self.run(plan, context) for plan in plans]
        began = time.perf_counter()
        context.check()
        double = request.precision == "double"
        batch = DeviceBatch(first.engine, request.circuit.num_qubits, len(plans), double=double)
        for gate in gradient.side_by_side([[row.operation for row in plan.native.rows] for plan in plans]):
            context.check()
            batch.apply(gate, context.check)
        batch.wait()
        spent = (time.perf_counter() - began) / len(plans)
        results = []
        for number, plan in enumerate(plans):
            answers = Answers(plan.request, np.random.default_rng(plan.request.seed), context)
            bits, shots = [0] * plan.request.circuit.num_clbits, costs.shots_of(plan.request, first.choice)
            answers.add(End(batch.state(number), len(first.rows), bits, 1.0, shots))
            fields = answers.fields()
            results.append(self._result(plan, fields, {"execute": spent, **answers.seconds}))
        return results

    def _run_product(self, plan: Plan, bond_bits: float, context: RunContext) -> RunResult:
        native: Native = plan.native
        request = plan.request
        began = time.perf_counter()
        context.check()
        double = request.precision == "double"
        with closing(mps.ProductState(native.engine, request.circuit.num_qubits, double=double)) as state:
            state.apply([row.operation for row in native.rows], bond_bits, context.check)
            executed = time.perf_counter()
            fields = mps.fields_of(request, state, context)
        spent = {"execute": executed - began, "convert": time.perf_counter() - executed}
        return self._result(plan, fields, spent)

    def _result(self, plan: Plan, fields: Mapping[str, Any], seconds: Mapping[str, float]) -> RunResult:
        request, choice = plan.request, plan.native.choice
        shots = costs.shots_of(request, choice)
        bound = ErrorBound("exact", _rounding(request) * (len(plan.native.rows) + 1) ** 0.5)
        return RunResult(
            backend=self.name,
            method=choice.method,
            precision=request.precision,
            shots=shots or request.shots,
            seed=request.seed,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if shots else bound,
            timings={**plan.timings, **seconds},
            versions=engine.versions(),
            notes=(f"{UNTRIED[0].upper()}{UNTRIED[1:]}.",),
            **fields,
        )


def _state(native: Native, request: RunRequest) -> DeviceState:
    """|0...0>, on one device or over several."""
    from proxima_backend_cuquantum.device import DeviceState
    from proxima_backend_cuquantum.spread import SpreadState

    n, double = request.circuit.num_qubits, request.precision == "double"
    if native.choice.devices > 1:
        return SpreadState(native.engine, n, native.choice.devices, double=double)
    return DeviceState(native.engine, n, double=double)


def _rounding(request: RunRequest) -> float:
    return float(np.finfo(np.float64 if request.precision == "double" else np.float32).eps)


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


def _free() -> list[int]:
    return [gpu.free for gpu in _gpus().gpus]


@cache
def _gpus() -> gpus.Found:
    """What `gpus.find` finds, asked once a process: the tool takes a while to answer."""
    return gpus.find()


def _refuse_too_large(request: RunRequest, choice: costs.Choice) -> None:
    needed = costs.device_bytes(request, choice)
    for gpu in _gpus().gpus[: choice.devices]:
        if needed > gpu.free:
            raise ResourceError(
                f"{request.circuit.num_qubits} qubits need {needed / 2**30:.3g} GiB of the GPU's memory, and "
                f"{gpu.free / 2**30:.3g} GiB of {gpu.name} are free",
                hint="use fewer qubits, single precision, or another backend",
            )
