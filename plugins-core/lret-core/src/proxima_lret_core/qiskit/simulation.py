"""`Simulation`: a Qiskit circuit to a low-rank state and samples, with noise of Aer or of Proxima."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.readout import record_samples, with_readout_in_the_middle
from proxima.contracts.result import Expectation
from proxima_lret_core.qiskit.convert import from_qiskit
from proxima_lret_core.simulate import run
from proxima_lret_core.state import LowRankState

Engine = Callable[..., LowRankState]
"""As `proxima_lret_core.run`."""

DEFAULT_TOLERANCE = 5e-3


@dataclass(frozen=True, slots=True)
class Simulation:
    """How circuits are run.

    Attributes:
        engine: As `proxima_lret_core.run`.
        noise: Applied to each circuit.
        tolerance: The trace distance to the exact state that is accepted.
        options: Further keyword arguments of the engine, e.g. ``{"precision": "double"}``.
    """

    engine: Engine = run
    noise: NoiseModel | None = None
    tolerance: float = DEFAULT_TOLERANCE
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, engine: Engine | None, noise_model: object, tolerance: float, options: Mapping[str, Any] | None
    ) -> Simulation:
        """From what a user gives; a noise model may be Proxima's or Aer's, or what `NoiseModel.parse` reads."""
        noise = None if noise_model is None else NoiseModel.of(noise_model)
        return cls(engine or run, noise, tolerance, dict(options or {}))

    def simulate(self, circuit: QuantumCircuit, context: RunContext | None = None) -> Simulated:
        """Runs a circuit up to its final measurements.

        Raises:
            UsageError, UnsupportedError: As `from_qiskit` and the engine.
        """
        made = from_qiskit(circuit)
        num_qubits = made.num_qubits
        if self.noise is not None:
            made = self.noise.apply(made)
            made = with_readout_in_the_middle(made, self.noise.readout_of(num_qubits))
        state = self.engine(made, tolerance=self.tolerance, context=context or RunContext(), **self.options)
        return Simulated(state, made, num_qubits, self.noise)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A state, and the circuit it is of, which has one qubit more where readout errors in the middle needed one."""

    state: LowRankState
    circuit: Circuit
    num_qubits: int
    noise: NoiseModel | None

    @property
    def bound(self) -> float:
        """The trace distance to the exact state is at most this."""
        return self.state.bound

    def samples(self, shots: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Recorded outcomes, uint8, shape (shots, num_clbits), column j is classical bit j."""
        drawn = self.state.samples(shots, int(rng.integers(2**63)))
        of_qubit = {} if self.noise is None else self.noise.readout_of(self.num_qubits)
        errors = {c: of_qubit[q] for q, c in self.circuit.final_measurements if q in of_qubit}
        return record_samples(drawn, errors, rng) if errors else drawn

    def expectation(self, letters: str) -> float:
        """Of a Pauli string, its leftmost letter on the highest qubit of the user's circuit."""
        added = "I" * (self.circuit.num_qubits - self.num_qubits)
        found: Expectation = self.state.expectation(PauliSum(((1.0, added + letters),)))
        return found.value
