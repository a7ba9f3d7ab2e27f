"""`Simulation`: a Qiskit circuit to a low-rank state and samples, with noise of Aer or of Proxima."""

from __future__ import annotations

from collections.abc import Mapping
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
from proxima_lret_core.qiskit.convert import from_qiskit
from proxima_lret_core.qiskit.engine import Engine, Samples, SamplingEngine, State
from proxima_lret_core.simulation import run

DEFAULT_TOLERANCE = 5e-3


@dataclass(frozen=True, slots=True)
class Simulation:
    """How circuits are run.

    Attributes:
        engine: What runs them.
        sampling: What runs those that are only sampled; ``None``: the engine.
        noise: Applied to each circuit.
        tolerance: The trace distance to the exact state that is accepted.
        options: Further keyword arguments of the engine, e.g. ``{"precision": "double"}``.
    """

    engine: Engine = run
    sampling: SamplingEngine | None = None
    noise: NoiseModel | None = None
    tolerance: float = DEFAULT_TOLERANCE
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        engine: Engine,
        sampling: SamplingEngine | None,
        noise_model: object,
        tolerance: float,
        options: Mapping[str, Any] | None,
    ) -> Simulation:
        """From what a user gives; a noise model may be Proxima's or Aer's, or what `NoiseModel.parse` reads."""
        noise = None if noise_model is None else NoiseModel.of(noise_model)
        return cls(engine, sampling, noise, tolerance, dict(options or {}))

    def state(self, circuit: QuantumCircuit, context: RunContext) -> Simulated:
        """Runs a circuit up to its final measurements.

        Raises:
            UsageError, UnsupportedError: As `from_qiskit` and the engine.
        """
        made, num_qubits = self._prepared(circuit)
        state = self.engine(made, tolerance=self.tolerance, context=context, **self.options)
        return Simulated(state, made.num_qubits - num_qubits)

    def samples(
        self, circuit: QuantumCircuit, shots: int, rng: np.random.Generator, context: RunContext
    ) -> tuple[npt.NDArray[np.uint8], Samples]:
        """Recorded outcomes, uint8, shape (shots, num_clbits), column j is classical bit j; and what they are from.

        Raises:
            UsageError, UnsupportedError: As for `state`.
        """
        made, num_qubits = self._prepared(circuit)
        state: Samples
        if self.sampling is None:
            state = self.engine(made, tolerance=self.tolerance, context=context, **self.options)
        else:
            state = self.sampling(made, shots=shots, tolerance=self.tolerance, context=context, **self.options)
        drawn = state.samples(shots, int(rng.integers(2**63)))
        of_qubit = {} if self.noise is None else self.noise.readout_of(num_qubits)
        errors = {c: of_qubit[q] for q, c in made.final_measurements if q in of_qubit}
        return (record_samples(drawn, errors, rng) if errors else drawn), state

    def _prepared(self, circuit: QuantumCircuit) -> tuple[Circuit, int]:
        """The circuit with its noise, and the number of qubits without one that readout errors in the middle need."""
        made = from_qiskit(circuit)
        num_qubits = made.num_qubits
        if self.noise is not None:
            made = with_readout_in_the_middle(self.noise.apply(made), self.noise.readout_of(num_qubits))
        return made, num_qubits


@dataclass(frozen=True, slots=True)
class Simulated:
    """A state of a circuit's qubits, and so many above them that were added."""

    state: State
    added: int

    @property
    def bound(self) -> float:
        """The trace distance to the exact state is at most this."""
        return self.state.bound

    def expectation(self, letters: str) -> float:
        """Of a Pauli string, its leftmost letter on the highest qubit of the user's circuit."""
        return self.state.expectation(PauliSum(((1.0, "I" * self.added + letters),))).value
