"""The two kinds of state that a circuit is followed on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima.errors import UnsupportedError
from proxima_backend_pennylane.gates import MATRIX, Step
from proxima_backend_pennylane.pauli import act
from proxima_trajectories import State
from proxima_trajectories.state import Check, drawn


class PureState(State):
    """|0...0> in Lightning.

    Args:
        lightning: Its extension.
        num_qubits: n.
        double: complex128 rather than complex64.
    """

    def __init__(self, lightning: ModuleType, num_qubits: int, *, double: bool) -> None:
        self._lightning, self._double, self.num_qubits = lightning, double, num_qubits
        self.vector = (lightning.StateVectorC128 if double else lightning.StateVectorC64)(num_qubits)
        self.dtype: Any = np.complex128 if double else np.complex64

    def apply(self, operation: Iterable[Step], check: Check) -> None:
        """Applies the steps of one operation."""
        vector, dtype = self.vector, self.dtype
        for name, wires, params, controls, inverse, matrix, _ in operation:
            if name == MATRIX:
                vector.applyMatrix(matrix.astype(dtype), wires, inverse)
            elif controls:
                getattr(vector, name)(controls, [True] * len(controls), wires, inverse, params)
            else:
                getattr(vector, name)(wires, inverse, params)

    def normalise(self) -> None:
        """See `State.normalise`."""
        self.vector.normalize()

    def one(self, qubit: int) -> float:
        """See `State.one`."""
        chances = self._measurements().probs([self.num_qubits - 1 - qubit])
        return min(max(float(chances[1] / (chances[0] + chances[1])), 0.0), 1.0)

    def collapse(self, qubit: int, outcome: int) -> None:
        """See `State.collapse`."""
        self.vector.collapse(self.num_qubits - 1 - qubit, bool(outcome))

    def flip(self, qubit: int) -> None:
        """See `State.flip`."""
        self.vector.PauliX([self.num_qubits - 1 - qubit], False, [])

    def copy(self) -> PureState:
        """See `State.copy`."""
        other = PureState(self._lightning, self.num_qubits, double=self._double)
        other.vector.updateData(self.amplitudes())
        return other

    def reduced(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """See `State.reduced`."""
        n = self.num_qubits
        axes = [n - 1 - qubit for qubit in reversed(qubits)]
        rows = np.moveaxis(self.amplitudes().reshape((2,) * n), axes, range(len(axes))).reshape(2 ** len(axes), -1)
        rho: npt.NDArray[np.complex128] = (rows @ rows.conj().T).astype(np.complex128)
        return rho

    def sample(self, shots: int, rng: np.random.Generator, check: Check) -> npt.NDArray[np.int64]:
        """See `State.sample`."""
        return drawn(self.probabilities(), shots, rng, check)

    def amplitudes(self) -> npt.NDArray[Any]:
        """See `State.amplitudes`; complex64 or complex128."""
        out = np.zeros(2**self.num_qubits, dtype=self.dtype)
        self.vector.getState(out)
        return out

    def probabilities(self) -> npt.NDArray[np.float64]:
        """See `State.probabilities`."""
        found: npt.NDArray[np.float64] = np.array(self._measurements().probs(), dtype=np.float64)
        found /= found.sum()
        return found

    def density(self) -> npt.NDArray[Any]:
        """See `State.density`."""
        amplitudes = self.amplitudes()
        return np.outer(amplitudes, amplitudes.conj())

    def moments(self, observable: PauliSum, check: Check) -> tuple[float, float]:
        """See `State.moments`."""
        amplitudes = self.amplitudes()
        moved = act(observable, amplitudes, check)
        return float(np.vdot(amplitudes, moved).real), float(np.vdot(moved, moved).real)

    def _measurements(self) -> Any:
        kind = self._lightning.MeasurementsC128 if self._double else self._lightning.MeasurementsC64
        return kind(self.vector)


class MixedState(State):
    """|0...0><0...0| as ``default.mixed`` holds it, and moved by the function that this device applies.

    ``pennylane.devices.qubit_mixed`` may change without notice: the versions that are tested are pinned.

    Args:
        pennylane: The package.
        num_qubits: n.
    """

    def __init__(self, pennylane: Any, num_qubits: int) -> None:
        self._pennylane, self.num_qubits = pennylane, num_qubits
        self._apply = pennylane.devices.qubit_mixed.apply_operation
        self.tensor = np.zeros((2,) * (2 * num_qubits), dtype=np.complex128)
        self.tensor[(0,) * (2 * num_qubits)] = 1.0

    def apply(self, operation: Sequence[Any], check: Check) -> None:
        """Applies operators: one unitary or channel, or several whose results are summed."""
        if not operation:
            return
        total: Any = 0
        for part in operation:
            check()
            total = total + self._apply(part, self.tensor)
        self.tensor = np.asarray(total, dtype=np.complex128).reshape((2,) * (2 * self.num_qubits))

    def normalise(self) -> None:
        """See `State.normalise`."""
        self.tensor /= np.trace(self.density()).real

    def one(self, qubit: int) -> float:
        """See `State.one`."""
        chances = self.probabilities().reshape(-1, 2, 2**qubit)[:, 1]
        return min(max(float(chances.sum()), 0.0), 1.0)

    def collapse(self, qubit: int, outcome: int) -> None:
        """See `State.collapse`."""
        wire = self.num_qubits - 1 - qubit
        for axis in (wire, wire + self.num_qubits):
            np.moveaxis(self.tensor, axis, 0)[1 - outcome] = 0
        self.normalise()

    def flip(self, qubit: int) -> None:
        """See `State.flip`."""
        wire = self.num_qubits - 1 - qubit
        self.tensor = np.flip(self.tensor, (wire, wire + self.num_qubits)).copy()

    def copy(self) -> MixedState:
        """See `State.copy`."""
        other = MixedState(self._pennylane, self.num_qubits)
        other.tensor = self.tensor.copy()
        return other

    def probabilities(self) -> npt.NDArray[np.float64]:
        """See `State.probabilities`."""
        diagonal: npt.NDArray[np.float64] = np.maximum(np.diagonal(self.density()).real, 0.0)
        diagonal /= diagonal.sum()
        return diagonal

    def reduced(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """See `State.reduced`."""
        n, k = self.num_qubits, len(qubits)
        rows = [n - 1 - qubit for qubit in reversed(qubits)]
        moved = np.moveaxis(self.tensor, [*rows, *(n + row for row in rows)], [*range(k), *range(n, n + k)])
        tensor = moved.reshape(2**k, 2 ** (n - k), 2**k, 2 ** (n - k))
        rho: npt.NDArray[np.complex128] = np.einsum("aibi->ab", tensor)
        return rho

    def sample(self, shots: int, rng: np.random.Generator, check: Check) -> npt.NDArray[np.int64]:
        """See `State.sample`."""
        return drawn(self.probabilities(), shots, rng, check)

    def amplitudes(self) -> npt.NDArray[Any]:
        """There are none.

        Raises:
            UnsupportedError: Always; a request that would need them is refused when it is planned.
        """
        raise UnsupportedError("a density matrix has no statevector", hint="ask for density_matrix")

    def density(self) -> npt.NDArray[Any]:
        """See `State.density`."""
        return self.tensor.reshape((2**self.num_qubits,) * 2)

    def moments(self, observable: PauliSum, check: Check) -> tuple[float, float]:
        """See `State.moments`."""
        once = act(observable, self.density(), check)
        twice = act(observable, once, check)
        return float(np.trace(once).real), float(np.trace(twice).real)


def mixed_operation(pennylane: Any, matrices: Sequence[npt.NDArray[Any]], qubits: Sequence[int], n: int) -> Any:
    """The operators for `MixedState.apply`: of matrices whose first listed qubit is the least significant bit.

    PennyLane contracts all of a channel's operators in one call, which takes seconds where there are many; so those of
    a larger channel are applied one by one.
    """
    wires = [n - 1 - qubit for qubit in reversed(qubits)]
    if len(matrices) == 1 or len(qubits) > 1:
        return [pennylane.QubitUnitary(matrix, wires, unitary_check=False) for matrix in matrices]
    return [pennylane.QubitChannel(list(matrices), wires)]
