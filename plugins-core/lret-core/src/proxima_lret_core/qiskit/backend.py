"""`LowRankBackend`: the low-rank simulator as a Qiskit backend."""

from __future__ import annotations

import datetime
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, IfElseOp, Measure, Reset
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import Kraus
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData
from qiskit.transpiler import Target

from proxima.contracts.backend import RunContext
from proxima.contracts.operations import BY_NAME, GATES
from proxima.errors import UsageError
from proxima_lret_core.qiskit.engine import Engine, SamplingEngine
from proxima_lret_core.qiskit.jobs import BackendJob
from proxima_lret_core.qiskit.simulation import DEFAULT_TOLERANCE, Simulation
from proxima_lret_core.simulation import run

_MAX_SHOTS = 10**8


class LowRankBackend(BackendV2):  # type: ignore[misc]  # Qiskit carries no types
    """Circuits with and without noise by low-rank simulation, with a certified bound in each result's metadata.

    Args:
        engine: What runs circuits.
        sampling: What runs them where it may know how many shots are wanted; by default ``engine``.
        name: What the backend is called in results.
        options: Defaults of the options of `run`.
    """

    def __init__(
        self,
        engine: Engine = run,
        *,
        sampling: SamplingEngine | None = None,
        name: str = "proxima_low_rank",
        **options: Any,
    ) -> None:
        super().__init__(name=name, description="Low-rank simulation with a certified bound", backend_version="1")
        self._engine = engine
        self._sampling = sampling
        self._target = _target()
        self.set_options(**options)

    @property
    def target(self) -> Target:
        """Every gate of the vocabulary between any qubits, of any number."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """As many as wanted."""
        return

    @classmethod
    def _default_options(cls) -> Options:
        options = Options(
            shots=1024,
            memory=False,
            seed_simulator=None,
            noise_model=None,
            tolerance=DEFAULT_TOLERANCE,
            engine_options=None,
            threads=1,
        )
        options.set_validator("shots", (1, _MAX_SHOTS))
        options.set_validator("tolerance", (0.0, 1.0))
        return options

    def run(self, run_input: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> BackendJob:
        """Runs circuits.

        Args:
            run_input: One circuit or several, without unbound parameters.
            options: ``shots``; ``memory``: whether each shot's outcome is kept; ``seed_simulator``: the same one gives
                the same counts; ``noise_model``: Qiskit Aer's or Proxima's, or its shorthand or file; ``tolerance``:
                the trace distance to the exact state that is accepted; ``engine_options``: further keyword arguments of
                the engine; ``threads``.

        Raises:
            UsageError: An option is unknown or out of range, or the noise model cannot be read.
        """
        merged = dict(self.options)
        if unknown := sorted(set(options) - set(merged)):
            raise UsageError(f"{self.name} has no option {unknown[0]!r}", hint=f"its options: {', '.join(merged)}")
        merged |= options
        for option, low, high in (("shots", 1, _MAX_SHOTS), ("threads", 1, 4096), ("seed_simulator", 0, 2**63 - 1)):
            value = merged[option]
            if option == "seed_simulator" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise UsageError(f"{option}: expected a whole number from {low} to {high}, got {value!r}")
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        simulation = Simulation.of(
            self._engine, self._sampling, merged["noise_model"], merged["tolerance"], merged["engine_options"]
        )
        job_id = str(uuid.uuid4())

        def work(context: RunContext) -> Result:
            rng = np.random.default_rng(merged["seed_simulator"])
            return Result(
                backend_name=self.name,
                backend_version=self.backend_version,
                job_id=job_id,
                success=True,
                results=[
                    _experiment(simulation, c, int(merged["shots"]), merged["memory"], rng, context) for c in circuits
                ],
                date=datetime.datetime.now(datetime.UTC),
                status="COMPLETED",
            )

        return BackendJob(self, job_id, work, merged["threads"])


def _experiment(
    simulation: Simulation,
    circuit: QuantumCircuit,
    shots: int,
    memory: bool,
    rng: np.random.Generator,
    context: RunContext,
) -> ExperimentResult:
    samples, state = simulation.samples(circuit, shots, rng, context)
    outcomes = _hexadecimal(samples)
    data: Mapping[str, Any] = {"counts": dict(Counter(outcomes))} | ({"memory": outcomes} if memory else {})
    return ExperimentResult(
        shots=shots,
        success=True,
        data=ExperimentResultData(**data),
        status="DONE",
        header={
            "name": circuit.name,
            "n_qubits": circuit.num_qubits,
            "qreg_sizes": [[register.name, register.size] for register in circuit.qregs],
            "creg_sizes": [[register.name, register.size] for register in circuit.cregs],
            "memory_slots": circuit.num_clbits,
            "global_phase": float(circuit.global_phase),
            "metadata": circuit.metadata or {},
        },
        metadata={
            "method": getattr(state, "method", "low_rank"),
            "trace_distance_bound": state.bound,
            "tolerance": simulation.tolerance,
        },
    )


def _hexadecimal(samples: npt.NDArray[np.uint8]) -> list[str]:
    octets = np.packbits(samples, axis=1, bitorder="little")
    return [hex(int.from_bytes(row.tobytes(), "little")) for row in octets]


def _target() -> Target:
    target = Target(description="Low-rank simulator", num_qubits=None)  # so that circuits are not widened
    standard = get_standard_gate_name_mapping()
    for name, spec in BY_NAME.items():
        if spec.op in GATES and name in standard:
            target.add_instruction(standard[name])
    for instruction in (Measure(), Reset()):
        target.add_instruction(instruction)
    for kind, name in ((Delay, "delay"), (UnitaryGate, "unitary"), (IfElseOp, "if_else"), (Kraus, "kraus")):
        target.add_instruction(kind, name=name)
    return target
