"""What `LowRankSimulator.simulate` gives: Cirq's trial result over a low-rank state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cirq
import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import reverse_qubits
from proxima.errors import UsageError
from proxima_lret_core.cirq.engine import State


@dataclass(frozen=True, eq=False)
class LowRankFinalState:
    """A state in Cirq's qubit order: the first qubit is the most significant index bit.

    Attributes:
        state: The engine's, before the final measurements.
        qubits: Cirq's qubits, in order.
        outcomes: What the final measurements gave, by the number of the qubit; the state is the one after them.
        error_bound: On the trace distance to the exact state. Where measurements had outcomes, to the exact state
            given these outcomes, so that it grows as they are less likely; 1 says nothing.
        dtype: complex64 or complex128.
    """

    state: State
    qubits: tuple[cirq.Qid, ...]
    outcomes: Mapping[int, int]
    error_bound: float
    dtype: type[np.complexfloating]

    @property
    def qubit_map(self) -> dict[cirq.Qid, int]:
        """The place of each qubit."""
        return {qubit: i for i, qubit in enumerate(self.qubits)}

    @cached_property
    def _projected(self) -> npt.NDArray[np.complex128]:
        """The density matrix with the first qubit as the least significant bit."""
        rho = self.state.density_matrix()
        if self.outcomes:
            index = np.arange(len(rho))
            fits = np.all([(index >> qubit & 1) == bit for qubit, bit in self.outcomes.items()], axis=0)
            rho = rho * fits[:, None] * fits
            rho /= np.trace(rho).real
        return rho

    def density_matrix(self) -> npt.NDArray[np.complexfloating]:
        """The whole state, of ``dtype``, shape (2^n, 2^n).

        Raises:
            ResourceError: More than 13 qubits.
        """
        return reverse_qubits(self._projected).astype(self.dtype)

    def reduced(self, qubits: Sequence[cirq.Qid]) -> npt.NDArray[np.complexfloating]:
        """The state of some qubits in the order given, shape (2^k, 2^k).

        Raises:
            UsageError: A qubit is not one of the state's, or is listed twice.
            ResourceError: More than 13 qubits are needed; where measurements had outcomes, all are.
        """
        places = self.qubit_map
        if unknown := [q for q in qubits if q not in places]:
            raise UsageError(f"{unknown[0]!r} is not a qubit of the state")
        wanted = [places[q] for q in qubits]
        if not self.outcomes:
            return reverse_qubits(self.state.reduced_density_matrix(wanted)).astype(self.dtype)
        if len(set(wanted)) != len(wanted):
            raise UsageError("a qubit is listed twice")
        n = len(self.qubits)
        tensor = self.density_matrix().reshape((2,) * (2 * n))
        traced = cirq.partial_trace(tensor, wanted)
        return np.asarray(traced.reshape(2 ** len(wanted), 2 ** len(wanted)))


class LowRankTrialResult(cirq.SimulationTrialResult[LowRankFinalState]):
    """The measurements and the final state of a trial, with the bound on its error.

    The density matrix is formed when it is asked for, so that a result of many qubits can be had without it.
    """

    @property
    def final_state(self) -> LowRankFinalState:
        """The state as the engine holds it."""
        return self._final_simulator_state

    @property
    def error_bound(self) -> float:
        """A bound on the trace distance of the final state to the exact one; see `LowRankFinalState`."""
        return self._final_simulator_state.error_bound

    @cached_property
    def final_density_matrix(self) -> npt.NDArray[np.complexfloating]:
        """The density matrix in Cirq's qubit order, complex64 or complex128, shape (2^n, 2^n).

        Raises:
            ResourceError: More than 13 qubits.
        """
        return self._final_simulator_state.density_matrix()

    def density_matrix_of(self, qubits: Sequence[cirq.Qid]) -> npt.NDArray[np.complexfloating]:
        """The state of some qubits, as `LowRankFinalState.reduced` gives it."""
        return self._final_simulator_state.reduced(qubits)

    def _value_equality_values_(self) -> Any:
        measurements = {key: value.tolist() for key, value in sorted(self.measurements.items())}
        return self.params, measurements, self.qubit_map, self.final_density_matrix.tolist()

    def __str__(self) -> str:
        bound = f"trace distance to the exact state at most {self.error_bound:.2g}"
        return f"measurements: {super().__str__()}\n{len(self.qubit_map)} qubits, {bound}"

    def __repr__(self) -> str:
        return f"<LowRankTrialResult: {len(self.qubit_map)} qubits, error bound {self.error_bound:.2g}>"
