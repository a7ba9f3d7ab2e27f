"""`SpreadState`: a statevector over several GPUs of this machine, moved by cuStateVec's Ex functions.

The library keeps wires, which are our qubits, apart from index bits: a gate on a wire whose bit tells the devices apart
makes it swap index bits between them, and from then on the amplitudes lie in another order. It is told only wires, and
`in_wire_order` puts what it gives back right. As in `device`, nothing here has been run on a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.errors import ResourceError, RunError, UnsupportedError
from proxima_backend_cuquantum.device import C128, IN_ORDER, ROW, DeviceState
from proxima_backend_cuquantum.engine import Engine, load_ex
from proxima_backend_cuquantum.gates import Gate
from proxima_trajectories.state import Check

_DENSE = 1  # MatrixType
_SWITCH = 1  # DeviceNetworkType: each device reaches each other
_WIRE_ORDERING = 3  # StateVectorProperty


def in_wire_order(amplitudes: npt.NDArray[Any], ordering: Sequence[int]) -> npt.NDArray[Any]:
    """Amplitudes with wire w as index bit w, from those where index bit i is wire ``ordering[i]``."""
    n = len(ordering)
    bits = [list(ordering).index(wire) for wire in range(n)]  # of each wire
    axes = [n - 1 - bits[wire] for wire in reversed(range(n))]  # axis 0 is the highest index bit
    return np.ascontiguousarray(amplitudes.reshape((2,) * n).transpose(axes)).reshape(-1)


class SpreadState(DeviceState):
    """|0...0> over the first devices, in equal shares.

    Args:
        engine: The modules.
        num_qubits: n.
        devices: How many; a power of two.
        double: complex128 rather than complex64.

    Raises:
        ResourceError: There are not so many, they do not reach each other, or their memory does not take it.
    """

    def __init__(self, engine: Engine, num_qubits: int, devices: int, *, double: bool) -> None:
        self._ex = load_ex()
        self._devices = devices
        self._handle = 0
        super().__init__(engine, num_qubits, double=double, vector=())
        local = num_qubits - (devices.bit_length() - 1)
        try:
            made = self._ex.configure_state_vector_multi_device(
                self._type, num_qubits, local, list(range(devices)), devices, _SWITCH, 0
            )
            try:
                self._handle = self._ex.state_vector_create_single_process(made, 0, 0, 0)
            finally:
                self._ex.dictionary_destroy(made)
        except engine.custatevec.cuStateVecError as error:
            raise ResourceError(
                f"cuStateVec cannot spread {num_qubits} qubits over {devices} GPUs: {error}",
                hint="they must be of one kind and reach each other directly; use fewer qubits or single precision",
            ) from error

    def __del__(self) -> None:
        if self._handle:
            self._ex.state_vector_destroy(self._handle)

    @property
    def _bytes(self) -> int:
        return int(np.dtype(self.dtype).itemsize * 2**self.num_qubits // self._devices)

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._ex, name)(self._handle, *arguments)
        except self._engine.custatevec.cuStateVecError as error:
            raise RunError(f"cuStateVec's {name} failed: {error}") from error

    def clear(self) -> None:
        """See `DeviceState.clear`."""
        self._call("state_vector_set_zero_state")

    def _apply(self, gate: Gate) -> None:
        controls = list(gate.controls) if gate.controls else 0
        matrix, targets = gate.matrix.ctypes.data, list(gate.targets)
        self._call("apply_matrix", matrix, C128, _DENSE, ROW, 0, targets, len(targets), controls, 0, len(gate.controls))

    def wait(self) -> None:
        """See `DeviceState.wait`."""
        self._call("state_vector_synchronize")
        self._launched = 0.0

    def _abs2sum(self, wires: Sequence[int]) -> npt.NDArray[np.float64]:
        found = np.zeros(2 ** len(wires))
        self._call("abs2sum_array", found.ctypes.data, list(wires), len(wires), 0, 0, 0)
        self.wait()
        return found

    def _weights(self, qubit: int) -> tuple[float, float]:
        zero, one = self._abs2sum([qubit])
        return float(zero), float(one)

    def collapse(self, qubit: int, outcome: int) -> None:
        """See `State.collapse`."""
        self._apply(Gate(np.diag([1.0 - outcome, outcome]).astype(np.complex128), (qubit,)))
        self.normalise()

    def copy(self) -> DeviceState:
        """It is not offered.

        Raises:
            UnsupportedError: Always; what would need it is not spread when it is planned.
        """
        raise UnsupportedError("a state over several GPUs is not copied", hint="use fewer qubits")

    def _paulis(self, operators: list[list[int]], bits: list[list[int]]) -> npt.NDArray[np.float64]:
        values = np.zeros(len(operators))
        if operators:
            sizes = [len(each) for each in bits]
            self._call("compute_expectation_on_pauli_basis", values.ctypes.data, operators, len(operators), bits, sizes)
            self.wait()
        return values

    def probabilities(self) -> npt.NDArray[np.float64]:
        """See `State.probabilities`."""
        found = self._abs2sum(range(self.num_qubits))
        found /= found.sum()
        return found

    def sample(self, shots: int, rng: np.random.Generator, check: Check) -> npt.NDArray[np.int64]:
        """See `State.sample`."""
        found, at_once, wires = np.zeros(shots, dtype=np.int64), 1 << 20, list(range(self.num_qubits))
        for start in range(0, shots, at_once):
            check()
            part = found[start : start + at_once]
            drawn = rng.random(len(part))
            self._call("sample", part.ctypes.data, wires, len(wires), drawn.ctypes.data, len(part), IN_ORDER, 0)
            self.wait()
        return found

    def amplitudes(self) -> npt.NDArray[Any]:
        """See `State.amplitudes`."""
        found: npt.NDArray[Any] = np.zeros(2**self.num_qubits, dtype=self.dtype)
        ordering = np.zeros(self.num_qubits, dtype=np.int32)
        self._call("state_vector_get_state", found.ctypes.data, self._type, 0, len(found), self._devices)
        self._call("state_vector_get_property", _WIRE_ORDERING, ordering.ctypes.data, ordering.nbytes)
        self.wait()
        return in_wire_order(found, ordering.tolist())
