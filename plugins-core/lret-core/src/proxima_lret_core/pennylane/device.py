"""`LowRankMixed`: the PennyLane device ``proxima.lret.mixed``, whose engine and name another class may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pennylane as qml
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.measurements import ExpectationMP
from pennylane.operation import Channel, Operator, StatePrepBase
from pennylane.tape import QuantumScript
from pennylane.transforms.core import CompilePipeline
from pennylane.wires import Wires

import proxima_lret_core as lret
from proxima.contracts.backend import Precision, RunContext
from proxima.errors import UnsupportedError, UsageError
from proxima_lret_core.pennylane import answers
from proxima_lret_core.pennylane.preprocess import pipeline
from proxima_lret_core.pennylane.tapes import circuit_of, pauli_sum, sum_of

TOLERANCE: Mapping[str, float] = {"double": 1e-6, "single": 5e-3}
_METHODS = ("adjoint", "best", "device")


@simulator_tracking
@single_tape_support
class LowRankMixed(Device):  # type: ignore[misc]
    """Circuits with noise as a few columns L of rho = L L^dagger, with a certified bound on the error.

    Args:
        wires: As for any PennyLane device: a number, labels, or ``None`` for those of each circuit.
        shots: As for any PennyLane device.
        seed: Of the shots, as for `numpy.random.default_rng`; ``"global"`` draws one from NumPy's global generator.
        tolerance: The trace distance of the simulated state to the exact one that is accepted, 0 < tolerance <= 1; by
            default 1e-6, and 5e-3 in single precision. The larger, the faster where there is noise.
        precision: ``"double"`` or ``"single"``.
        threads: The most threads a run takes.
        memory: Bytes that a run may take; by default three quarters of what the machine has free.

    Attributes:
        device_name: The name that `qml.device` knows it by.
        engine: What runs circuits, with the signature of `proxima_lret_core.run`; gradients are always by low rank.

    Raises:
        UsageError: An argument is out of range.
    """

    device_name: ClassVar[str] = "proxima.lret.mixed"
    engine: ClassVar[Callable[..., answers.State]] = staticmethod(lret.run)
    config_filepath = str(Path(__file__).with_name("capabilities.toml"))

    def __init__(
        self,
        wires: Any = None,
        shots: Any = None,
        seed: Any = "global",
        *,
        tolerance: float | None = None,
        precision: Precision = "double",
        threads: int = 1,
        memory: int | None = None,
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        if self.wires is not None and len(self.wires) > lret.MAX_QUBITS:
            raise UsageError(f"{self.name} takes at most {lret.MAX_QUBITS} wires, not {len(self.wires)}")
        if precision not in TOLERANCE:
            raise UsageError(f"there is no precision {precision!r}", hint="single or double")
        self.tolerance = _tolerance(TOLERANCE[precision] if tolerance is None else tolerance)
        self.precision: Precision = precision
        self._memory = None if memory is None else _count(memory, "bytes of memory")
        self._context = RunContext(threads=_count(threads, "threads"))
        if isinstance(seed, str) and seed == "global":
            seed = np.random.randint(2**31)  # as PennyLane's own devices do
        self._rng = np.random.default_rng(seed)
        self._last_bound: float | None = None

    @property
    def name(self) -> str:
        """As ``device_name``."""
        return self.device_name

    @property
    def last_bound(self) -> float | None:
        """The certified bound on the trace distance to the exact state, the largest of the last batch of circuits."""
        return self._last_bound

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> ExecutionConfig:
        """Chooses the adjoint method where a derivative is left to the device."""
        config = config or ExecutionConfig()
        chosen = config.gradient_method in _METHODS and self.supports_derivatives(config, circuit)
        config = super().setup_execution_config(replace(config, gradient_method=None) if chosen else config, circuit)
        if chosen:
            on_execution = config.grad_on_execution is not False
            return replace(config, gradient_method="adjoint", use_device_gradient=True, grad_on_execution=on_execution)
        return config

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Decomposes what the device does not execute, and checks the rest."""
        return pipeline(self.capabilities, self.wires, self.name, execution_config or ExecutionConfig())

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Whether the adjoint method does: exact expectation values of Pauli sums, by angles of gates."""
        if execution_config is not None and execution_config.gradient_method not in _METHODS:
            return False
        if circuit is None:
            return True
        if circuit.shots or not all(isinstance(m, ExpectationMP) and m.obs is not None for m in circuit.measurements):
            return False
        if execution_config is not None and execution_config.gradient_method == "adjoint":
            return True  # what it cannot do is told by name
        trained = [circuit.par_info[number] for number in circuit.trainable_params]
        gates = all(
            each["op_idx"] < len(circuit.operations) and not isinstance(each["op"], Channel | StatePrepBase)
            for each in trained
        )
        return gates and all(m.obs.pauli_rep is not None for m in circuit.measurements)

    def execute(self, circuits: Sequence[QuantumScript], execution_config: ExecutionConfig | None = None) -> Any:
        """The results of preprocessed circuits.

        Raises:
            UnsupportedError: Something cannot be executed; the message names it.
            ResourceError: The memory does not suffice; the hint says for which tolerance it would.
        """
        bounds: list[float] = []
        results = tuple(self._execute(tape, bounds) for tape in circuits)
        self._keep(bounds)
        return results

    def _execute(self, tape: QuantumScript, bounds: list[float]) -> Any:
        def run(turns: Sequence[Operator]) -> answers.State:
            state = self.engine(
                circuit_of([*tape.operations, *turns], self._wires_of(tape)),
                tolerance=self.tolerance,
                precision=self.precision,
                memory=self._memory,
                context=self._context,
            )
            bounds.append(state.bound)
            return state

        return answers.sampled(tape, run, self._rng) if tape.shots else answers.analytic(tape, run)

    def compute_derivatives(
        self, circuits: Sequence[QuantumScript], execution_config: ExecutionConfig | None = None
    ) -> Any:
        """The derivatives of the circuits' expectation values by their trainable parameters."""
        return self.execute_and_compute_derivatives(circuits, execution_config)[1]

    def execute_and_compute_derivatives(
        self, circuits: Sequence[QuantumScript], execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, Any]:
        """Both, at the cost of the second.

        Raises:
            UnsupportedError: An operation has no derivative, or an observable is no Pauli sum; the message names it.
        """
        made = [self._gradient(tape) for tape in circuits]
        self._keep([bound for *_, bound in made])
        return tuple(values for values, _, _ in made), tuple(slopes for _, slopes, _ in made)

    def _gradient(self, tape: QuantumScript) -> tuple[Any, Any, float]:
        wires, names, values = self._wires_of(tape), dict[tuple[int, int], str](), dict[str, float]()
        columns: list[int | None] = []  # of each trainable parameter; those of an observable have none
        for number in tape.trainable_params:
            where = tape.par_info[number]
            if where["op_idx"] < len(tape.operations):
                columns.append(len(values))
                name = names[where["op_idx"], where["p_idx"]] = f"p{number}"
                values[name] = float(where["op"].data[where["p_idx"]])
            else:
                columns.append(None)
        observables = []
        for measurement in tape.measurements:
            paulis = pauli_sum(measurement.obs, wires)
            if paulis is None:
                matrix = qml.pauli_decompose(measurement.obs.matrix(), wire_order=measurement.obs.wires, pauli=True)
                paulis = sum_of(matrix, wires)
            observables.append(paulis)
        result = lret.gradient(
            circuit_of(tape.operations, wires, names),
            values,
            observables,
            tolerance=self.tolerance,
            precision=self.precision,
            memory=self._memory,
            context=self._context,
        )
        order = [result.parameters.index(name) for name in values]
        rows = [
            tuple(np.array(0.0 if column is None else row[order[column]]) for column in columns)
            for row in result.slopes
        ]
        slopes = [row[0] if len(row) == 1 else row for row in rows]
        numbers = [np.float64(value) for value in result.values]
        single = len(numbers) == 1
        return numbers[0] if single else tuple(numbers), slopes[0] if single else tuple(slopes), result.bound

    def _keep(self, bounds: Sequence[float]) -> None:
        self._last_bound = max(bounds, default=None)
        if self.tracker.active and bounds:
            self.tracker.update(bounds=max(bounds))

    def _wires_of(self, tape: QuantumScript) -> Wires:
        if len(tape.wires) > lret.MAX_QUBITS:
            raise UnsupportedError(
                f"{self.name} takes at most {lret.MAX_QUBITS} wires, the circuit has {len(tape.wires)}"
            )
        return tape.wires


def _tolerance(asked: object) -> float:
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked <= 1:
        raise UsageError(
            f"a tolerance of {asked!r} makes no sense", hint="a trace distance above 0 and up to 1, such as 1e-3"
        )
    return float(asked)


def _count(asked: object, what: str) -> int:
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise UsageError(f"{asked!r} {what} make no sense", hint="a whole number from 1")
    return asked
