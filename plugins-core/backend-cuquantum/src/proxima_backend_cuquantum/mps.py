"""Matrix product states by cuTensorNet, for circuits with little entanglement: exact, nothing is cut off.

Qubit i is the state's mode i. As in `device`, what calls the library has not been run on a device; how a gate becomes a
tensor and an answer an array does not call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.decomposition import decompose
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.contracts.result import Expectation, counts_from_samples
from proxima.errors import ResourceError, RunError, UnsupportedError
from proxima_backend_cuquantum.engine import Engine, load_tensornet
from proxima_backend_cuquantum.gates import Gate, Matrix, dense, fused, gate_of
from proxima_trajectories.state import Check

KNOWN = frozenset(op for op in GATES if OPERATIONS[op].num_qubits in (1, 2)) | {Op.UNITARY, Op.MEASURE, Op.BARRIER}
_WORK = 1e11  # multiplications between two looks at whether to go on
_SHOTS = 1 << 12  # likewise


def gates_of(circuit: Circuit) -> list[Gate]:
    """The gates of a circuit without measurements, each on one or two qubits, as few as may be.

    Raises:
        UnsupportedError: A matrix is on more qubits.
    """
    gates = [gate_of(step) for step in decompose(circuit, KNOWN) if step.op not in (Op.BARRIER, Op.ID)]
    if any(len(gate.targets) + len(gate.controls) > 2 for gate in gates):
        raise UnsupportedError(
            "matrix_product_state takes matrices on one or two qubits", hint="write larger ones as gates"
        )
    return [dense(gate) for gate in fused(gates, 2)]


def tensor_of(gate: Gate) -> tuple[tuple[int, ...], Matrix]:
    """The modes of a gate and its tensor, the outputs' axes before the inputs', each in the order of the modes."""
    return gate.targets[::-1], gate.matrix.reshape((2,) * (2 * len(gate.targets)))


def words_of(observable: PauliSum) -> dict[str, float]:
    """The coefficient of each string, whose first letter is mode 0's."""
    found: dict[str, float] = {}
    for coefficient, letters in observable.terms:
        found[letters[::-1]] = found.get(letters[::-1], 0.0) + coefficient
    return found


def samples_of(counts: Mapping[str, int], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Samples in any order, shape (shots, modes), from how often each bit string came, mode 0 first."""
    rows = np.array([[int(digit) for digit in bits] for bits in counts], dtype=np.uint8)
    return rng.permutation(np.repeat(rows, [int(number) for number in counts.values()], axis=0))


def vector_of(tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The statevector from a tensor whose axis i is mode i."""
    return np.ascontiguousarray(tensor.transpose()).reshape(-1)


class ProductState:
    """A matrix product state on the current device; to be closed.

    Args:
        engine: The modules.
        num_qubits: At least 2.
        double: complex128 rather than complex64.
    """

    def __init__(self, engine: Engine, num_qubits: int, *, double: bool) -> None:
        self._engine, self._n = engine, num_qubits
        self._dtype = "complex128" if double else "complex64"
        self._library = load_tensornet()
        states = self._library.states
        with self._told():
            self._state = states.NetworkState((2,) * num_qubits, dtype=self._dtype, config=states.MPSConfig())
        self._apply(Gate(np.eye(2, dtype=np.complex128), (0,)))  # the library asks for one gate at least

    def close(self) -> None:
        """Gives its memory back."""
        self._state.free()

    def _apply(self, gate: Gate) -> None:
        modes, tensor = tensor_of(gate)
        with self._told():
            operand = self._engine.cupy.asarray(tensor.astype(self._dtype))
            self._state.apply_tensor_operator(modes, operand, unitary=True)

    def apply(self, gates: Sequence[Gate], bond_bits: float, check: Check) -> None:
        """Applies gates; between two pieces of work, by a bound on log2 of the bond dimension, it checks."""
        at_once = max(1, int(_WORK / 2.0 ** (3 * bond_bits + 6)))
        for start in range(0, len(gates), at_once):
            check()
            for gate in gates[start : start + at_once]:
                self._apply(gate)
            with self._told():
                self._state.compute_output_state(release_operators=True)

    def sample(self, shots: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """What measuring every qubit gives, shape (shots, n)."""
        with self._told():
            counts = self._state.compute_sampling(shots, seed=int(rng.integers(1, 2**31)))
        return samples_of(counts, rng)

    def expectation(self, observable: PauliSum) -> float:
        """The expectation value."""
        with self._told():
            value, norm = self._state.compute_expectation(words_of(observable), return_norm=True)
        return float((value / norm).real)

    def amplitudes(self) -> npt.NDArray[Any]:
        """The statevector, shape (2^n,)."""
        with self._told():
            return vector_of(self._engine.cupy.asnumpy(self._state.compute_state_vector()))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the library raises, as one of our errors."""
        try:
            yield
        except (MemoryError, self._engine.cupy.cuda.memory.OutOfMemoryError) as error:
            raise ResourceError(
                f"the GPU has no room for the matrix product state: {error}", hint="use fewer qubits"
            ) from error
        except (self._library.bindings.cuTensorNetError, RuntimeError, ValueError) as error:
            raise RunError(f"cuTensorNet failed: {type(error).__name__}: {error}") from error


def fields_of(request: RunRequest, state: ProductState, context: RunContext) -> dict[str, Any]:
    """What is wanted of a state, as the fields of a result."""
    fields: dict[str, Any] = {}
    wants = set(request.wants)
    if wants & {"statevector", "probabilities"}:
        vector = state.amplitudes()
        if "statevector" in wants:
            fields["statevector"] = vector
        if "probabilities" in wants:
            fields["probabilities"] = np.abs(vector.astype(np.complex128)) ** 2
    if "expectation" in wants:
        values = []
        for observable in request.observables:
            context.check()
            values.append(Expectation(str(observable), state.expectation(observable)))
        fields["expectations"] = tuple(values)
    if wants & {"counts", "samples"}:
        rng = np.random.default_rng(request.seed)
        samples = np.zeros((request.shots or 0, request.circuit.num_clbits), dtype=np.uint8)
        for start in range(0, len(samples), _SHOTS):
            context.check()
            part = samples[start : start + _SHOTS]
            drawn = state.sample(len(part), rng)
            for qubit, clbit in request.circuit.final_measurements:
                part[:, clbit] = drawn[:, qubit]
        if "counts" in wants:
            fields["counts"] = counts_from_samples(samples)
        if "samples" in wants:
            fields["samples"] = samples
    return fields
