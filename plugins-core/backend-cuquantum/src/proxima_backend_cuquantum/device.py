"""`DeviceState`: a statevector in a GPU's memory, moved by cuStateVec.

Nothing in this module has been run on a device: it is written after the library's headers and NVIDIA's own samples, and
`tests/gpu/run.sh` is what would show it right or wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima.errors import ResourceError, RunError, UnsupportedError
from proxima_backend_cuquantum.engine import Engine
from proxima_backend_cuquantum.gates import Gate
from proxima_backend_cuquantum.gradient import Batch, BatchedGate
from proxima_backend_cuquantum.pauli import CODES, density_of, terms_of, words
from proxima_trajectories import State
from proxima_trajectories.state import Check

# cudaDataType and the libraries' enumerations, by value: `cuquantum` itself imports more than is needed for them.
C64, C128 = 4, 5
ROW = 1
_DEFAULT_COMPUTE = 0
_ZERO = 0  # StateVectorType: |0...0>
_BROADCAST, _INDEXED = 0, 1  # MatrixMapType
IN_ORDER = 0  # SamplerOutput: as the random numbers are

# Work that has been launched cannot be called back, so after about so many bytes it is waited for: 0.2 s at 1 TB/s.
_BYTES_AHEAD = 2e11

_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)

_local = threading.local()


def _handle(engine: Engine) -> int:
    """This thread's cuStateVec handle; it takes temporary memory from the device's own pool."""
    if not hasattr(_local, "handle"):
        runtime = engine.cupy.cuda.runtime

        def allocate(size: int, stream: int) -> int:
            return int(runtime.mallocAsync(size, stream))

        def release(pointer: int, size: int, stream: int) -> None:
            runtime.freeAsync(pointer, stream)

        _local.handle = engine.custatevec.create()
        _local.handler = (allocate, release, "proxima")  # kept: the library holds on to the functions
        engine.custatevec.set_device_mem_handler(_local.handle, _local.handler)
    return int(_local.handle)


def _called(engine: Engine, name: str, *arguments: Any) -> Any:
    """A function of cuStateVec's, its failure as one of ours."""
    try:
        return getattr(engine.custatevec, name)(_handle(engine), *arguments)
    except engine.custatevec.cuStateVecError as error:
        raise RunError(f"cuStateVec's {name} failed: {error}") from error


def _room(engine: Engine, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array in the device's memory, not initialised."""
    try:
        return engine.cupy.empty(shape, dtype=dtype)
    except engine.cupy.cuda.memory.OutOfMemoryError as error:
        raise ResourceError(
            f"the GPU has no room for {' x '.join(map(str, shape))} amplitudes: {error}",
            hint="use fewer qubits, single precision, or another backend",
        ) from error


class DeviceState(State):
    """|0...0> on the current device.

    Args:
        engine: The modules.
        num_qubits: n.
        double: complex128 rather than complex64.
        vector: An array of shape (2^n,) there that holds a state, which this one is then; by default a new one.

    Raises:
        ResourceError: The device's memory does not take it.
    """

    def __init__(self, engine: Engine, num_qubits: int, *, double: bool, vector: Any = None) -> None:
        self._engine, self._double, self.num_qubits = engine, double, num_qubits
        self.dtype: Any = np.complex128 if double else np.complex64
        self._type = C128 if double else C64
        self._launched = 0.0
        self.vector = vector
        if vector is None:
            self.vector = _room(engine, (2**num_qubits,), self.dtype)
            self.clear()

    def clear(self) -> None:
        """Makes it |0...0>."""
        self._call("initialize_state_vector", _ZERO)

    @property
    def _bytes(self) -> int:
        return int(self.vector.nbytes)

    def _call(self, name: str, *arguments: Any) -> Any:
        """A function of cuStateVec's on this state."""
        return _called(self._engine, name, self.vector.data.ptr, self._type, self.num_qubits, *arguments)

    def apply(self, operation: Gate | Iterable[Gate], check: Check) -> None:
        """Applies gates."""
        for gate in (operation,) if isinstance(operation, Gate) else operation:
            self._apply(gate)
            self._launched += 2.0 * self._bytes
            if self._launched > _BYTES_AHEAD:
                self.wait()
                check()

    def _apply(self, gate: Gate) -> None:
        # A matrix of complex128 is taken with a state of complex64, too.
        self._call(
            "apply_matrix",
            gate.matrix.ctypes.data,
            C128,
            ROW,
            0,  # not the adjoint
            list(gate.targets),
            len(gate.targets),
            list(gate.controls) if gate.controls else 0,
            0,  # every control must be 1
            len(gate.controls),
            _DEFAULT_COMPUTE,
            0,  # the handle's memory handler gives what workspace it needs
            0,
        )

    def wait(self) -> None:
        """Waits for what has been launched."""
        self._engine.cupy.cuda.get_current_stream().synchronize()
        self._launched = 0.0

    def _weights(self, qubit: int) -> tuple[float, float]:
        """The squared norms of the parts where a qubit is 0 and where it is 1."""
        zero, one = self._call("abs2sum_on_z_basis", True, True, [qubit], 1)
        return float(zero), float(one)

    def normalise(self) -> None:
        """See `State.normalise`."""
        scale = sum(self._weights(0)) ** -0.5
        self._apply(Gate(scale * np.eye(2, dtype=np.complex128), (0,)))

    def one(self, qubit: int) -> float:
        """See `State.one`."""
        zero, one = self._weights(qubit)
        return one / (zero + one)

    def collapse(self, qubit: int, outcome: int) -> None:
        """See `State.collapse`."""
        self._call("collapse_on_z_basis", outcome, [qubit], 1, 1.0)
        self.normalise()

    def flip(self, qubit: int) -> None:
        """See `State.flip`."""
        self._apply(Gate(_X, (qubit,)))

    def copy(self) -> DeviceState:
        """See `State.copy`."""
        other = DeviceState(self._engine, self.num_qubits, double=self._double)
        other.vector.data.copy_from_device_async(
            self.vector.data, self.vector.nbytes, self._engine.cupy.cuda.get_current_stream()
        )
        return other

    def reduced(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """See `State.reduced`: from the expectation values of every Pauli string on the qubits."""
        letters = [list(reversed(word)) for word in words(len(qubits))]
        values = self._paulis([[CODES[letter] for letter in word] for word in letters], [list(qubits)] * len(letters))
        return density_of(values.tolist(), len(qubits))

    def _paulis(self, operators: list[list[int]], bits: list[list[int]]) -> npt.NDArray[np.float64]:
        values = np.zeros(len(operators))
        if operators:
            sizes = [len(each) for each in bits]
            self._call(
                "compute_expectations_on_pauli_basis", values.ctypes.data, operators, len(operators), bits, sizes
            )
        return values

    def probabilities(self) -> npt.NDArray[np.float64]:
        """See `State.probabilities`."""
        found = np.zeros(2**self.num_qubits)
        self._call("abs2sum_array", found.ctypes.data, list(range(self.num_qubits)), self.num_qubits, 0, 0, 0)
        found /= found.sum()
        return found

    def sample(self, shots: int, rng: np.random.Generator, check: Check) -> npt.NDArray[np.int64]:
        """See `State.sample`."""
        found, at_once = np.zeros(shots, dtype=np.int64), min(shots, 1 << 20)
        custatevec, handle = self._engine.custatevec, _handle(self._engine)
        sampler, _ = self._call("sampler_create", at_once)
        try:
            custatevec.sampler_preprocess(handle, sampler, 0, 0)
            for start in range(0, shots, at_once):
                check()
                part = found[start : start + at_once]
                drawn = rng.random(len(part))
                custatevec.sampler_sample(
                    handle,
                    sampler,
                    part.ctypes.data,
                    list(range(self.num_qubits)),
                    self.num_qubits,
                    drawn.ctypes.data,
                    len(part),
                    IN_ORDER,
                )
            self.wait()
        except custatevec.cuStateVecError as error:
            raise RunError(f"cuStateVec's sampler failed: {error}") from error
        finally:
            custatevec.sampler_destroy(sampler)
        return found

    def amplitudes(self) -> npt.NDArray[Any]:
        """See `State.amplitudes`."""
        found: npt.NDArray[Any] = self._engine.cupy.asnumpy(self.vector)
        return found

    def density(self) -> npt.NDArray[Any]:
        """It is not offered.

        Raises:
            UnsupportedError: Always; a request that wants it is refused when it is planned.
        """
        raise UnsupportedError("density_matrix is not offered", hint="ask for statevector, or use another backend")

    def moments(self, observable: PauliSum, check: Check) -> tuple[float, float | None]:
        """See `State.moments`; the square is left out, which has the square of the number of strings."""
        constant, coefficients, operators, bits = terms_of(observable)
        check()
        values = self._paulis(operators, bits)
        return constant + float(np.dot(coefficients, values)), None


class DeviceBatch(Batch):
    """Statevectors of as many qubits in one piece of the device's memory.

    Args:
        engine: The modules.
        num_qubits: n.
        count: How many.
        double: complex128 rather than complex64.

    Raises:
        ResourceError: The device's memory does not take them.
    """

    def __init__(self, engine: Engine, num_qubits: int, count: int, *, double: bool) -> None:
        self._engine, self._num_qubits, self._count, self._double = engine, num_qubits, count, double
        self._launched = 0.0
        self.vectors = _room(engine, (count, 2**num_qubits), np.complex128 if double else np.complex64)
        for number in range(count):
            self.state(number).clear()

    def state(self, number: int) -> DeviceState:
        """One of them, where it lies."""
        return DeviceState(self._engine, self._num_qubits, double=self._double, vector=self.vectors[number])

    def apply(self, gate: BatchedGate, check: Check) -> None:
        """See `Batch.apply`."""
        _called(
            self._engine,
            "apply_matrix_batched",
            self.vectors.data.ptr,
            C128 if self._double else C64,
            self._num_qubits,
            self._count,
            2**self._num_qubits,  # from one statevector to the next
            _INDEXED if gate.indices else _BROADCAST,
            list(gate.indices) if gate.indices else 0,
            gate.matrices.ctypes.data,
            C128,
            ROW,
            0,  # not the adjoint
            len(gate.matrices),
            list(gate.targets),
            len(gate.targets),
            list(gate.controls) if gate.controls else 0,
            0,  # every control must be 1
            len(gate.controls),
            _DEFAULT_COMPUTE,
            0,  # the handle's memory handler gives what workspace it needs
            0,
        )
        self._launched += 2.0 * self.vectors.nbytes
        if self._launched > _BYTES_AHEAD:
            self.wait()
            check()

    def wait(self) -> None:
        """Waits for what has been launched."""
        self._engine.cupy.cuda.get_current_stream().synchronize()
        self._launched = 0.0

    def expectations(self, observable: PauliSum, check: Check) -> npt.NDArray[np.float64]:
        """See `Batch.expectations`."""
        return np.array([self.state(number).moments(observable, check)[0] for number in range(self._count)])
