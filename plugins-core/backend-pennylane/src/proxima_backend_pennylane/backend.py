"""The backend: plans and runs requests on PennyLane's simulators."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from proxima.contracts.backend import Backend, Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.features import Features
from proxima.contracts.matrices import kraus, unitary
from proxima.contracts.operations import CHANNELS, Op
from proxima.contracts.result import ErrorBound, Gradient, RunResult
from proxima.errors import ProximaError
from proxima_backend_pennylane import costs, engine, gradient
from proxima_backend_pennylane.gates import Step, Turn, differentiable, matrix_step, steps_of
from proxima_backend_pennylane.states import MixedState, PureState, mixed_operation
from proxima_trajectories import Answers, Row, State, channel_of, ends, rows_of

_TESTED = {"pennylane-lightning": "0.45.", "pennylane": "0.45."}


@dataclass(frozen=True, slots=True)
class Native:
    """A request made ready.

    Attributes:
        circuit: Bound.
        package: Lightning's extension, or PennyLane for a density matrix.
        steps, turns: Where a gradient is wanted.
    """

    circuit: Circuit
    choice: costs.Choice
    package: Any
    rows: list[Row]
    steps: list[Step]
    turns: list[Turn]


class PennyLaneBackend(Backend):
    """lightning.qubit for circuits without noise, default.mixed for those with it."""

    name = "pennylane"

    def probe(self) -> Probe:
        """Whether Lightning is installed; imports nothing of it."""
        if not engine.found():
            return Probe("not_installed", "pennylane-lightning is not installed", engine.HINT)
        versions = engine.versions()
        other = [f"{name} {told}" for name, told in versions.items() if not told.startswith(_TESTED[name])]
        reason = f"{' and '.join(other)} is not among the tested versions 0.45" if other else ""
        return Probe("available", reason, versions=versions)

    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost."""
        try:
            choice = costs.choose(request)
        except ProximaError as error:
            return Estimate(False, error.message)
        reason = f"{choice.method}: by {'default.mixed' if choice.mixed else 'lightning.qubit'}"
        if choice.partings and not choice.sampled:
            reason += ", parted at measurements and resets"
        needed = costs.memory(request, choice)
        return Estimate(True, reason, choice.method, needed, costs.work(request, features, choice))

    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit; see `Backend.plan`."""
        choice = costs.choose(request)
        began = time.perf_counter()
        package = engine.load_pennylane() if choice.mixed else engine.load()
        imported = time.perf_counter()
        body = request.circuit.without_final_measurements()
        bound = body.bind(request.parameters) if "gradient" in request.wants else body
        n = bound.num_qubits
        steps, turns = differentiable(body, bound) if "gradient" in request.wants else ([], [])
        if "gradient" in request.wants:
            rows = [Row([step]) for step in steps]
        elif choice.mixed:
            rows = rows_of(bound, partial(_operators, package, n))
        else:
            rows = rows_of(
                bound,
                lambda instruction: steps_of(instruction, n),
                lambda instruction: channel_of(instruction, lambda matrix, qubits: [matrix_step(matrix, qubits, n)]),
            )
        native = Native(bound, choice, package, rows, steps, turns)
        timings = {"import": imported - began, "translate": time.perf_counter() - imported}
        return Plan(backend=self.name, request=request, method=choice.method, native=native, timings=timings)

    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan; see `Backend.run`."""
        native: Native = plan.native
        request, choice, n = plan.request, native.choice, native.circuit.num_qubits
        double = choice.mixed or request.precision == "double"
        rng = np.random.default_rng(request.seed)
        shots = costs.shots_of(request, choice)
        began = time.perf_counter()
        context.check()
        start: State = MixedState(native.package, n) if choice.mixed else PureState(native.package, n, double=double)
        answers = Answers(request, rng, context, shots=shots if choice.sampled else 0)
        gradients: tuple[Gradient, ...] = ()
        rounding = float(np.finfo(np.float64 if double else np.float32).eps)
        found = ends(
            native.rows,
            start,
            native.circuit.num_clbits,
            at_once=max(1, int(gradient.PIECE / (4.0**n if choice.mixed else 2.0**n))),
            shots=shots,
            least=None if choice.sampled or (shots and not choice.exact) else rounding,
            rng=rng,
            context=context,
        )
        for end in found:
            answers.add(end)
            if "gradient" in request.wants and isinstance(end.state, PureState):
                gradients = _gradients(native, request, end.state, context)
        fields = answers.fields()
        spent = time.perf_counter() - began - sum(answers.seconds.values())
        bound = ErrorBound("exact", rounding * (len(native.rows) + 1) ** 0.5)
        return RunResult(
            backend=self.name,
            method=choice.method,
            precision="double" if double else "single",
            shots=shots or request.shots,
            seed=request.seed,
            gradients=gradients,
            error_bound=ErrorBound("sampling", 0.5 / shots**0.5) if shots else bound,
            timings={**plan.timings, "execute": spent, **answers.seconds},
            versions=engine.versions(),
            **fields,
        )


def _gradients(native: Native, request: RunRequest, state: PureState, context: RunContext) -> tuple[Gradient, ...]:
    names = request.circuit.parameters
    values = gradient.adjoint(
        native.package, state, native.steps, native.turns, request.observables, len(names), context
    )
    return tuple(
        Gradient(str(observable), names, row, gradient.METHOD)
        for observable, row in zip(request.observables, values, strict=True)
    )


def _operators(pennylane: Any, num_qubits: int, instruction: Instruction) -> Any:
    """What `MixedState.apply` takes for a gate or a channel."""
    op, qubits = instruction.op, instruction.qubits
    numbers = [float(p) for p in instruction.params]  # type: ignore[arg-type]  # bound
    if op in (Op.UNITARY, Op.KRAUS):
        matrices = instruction.matrices
    else:
        matrices = tuple(kraus(op, numbers)) if op in CHANNELS else (unitary(op, numbers),)
    return mixed_operation(pennylane, matrices, qubits, num_qubits)
