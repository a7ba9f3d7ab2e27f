"""Cirq's simulation states, pure and mixed, behind one interface.

Cirq's own simulators apply one operation after the other with `cirq.act_on` to such a state. Doing so here leaves the
run free to look at its deadline between any two of them, and to branch where an outcome is random.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from proxima_backend_cirq.gates import matrix_gate
from proxima_backend_cirq.sampling import bits_of, sample_indices
from proxima_backend_cirq.superoperator import Superoperator, apply_blocks, superoperator

if TYPE_CHECKING:
    import cirq

Tensor = npt.NDArray[Any]

# An operation on a larger tensor is applied piece by piece, so that cancelling never waits long.
_PIECE = 2**22
_CHANNEL_PIECE = 2**18  # small enough for a cache


class DenseState(ABC):
    """A state of qubits in Cirq's arrays, split into components that have not been entangled yet.

    Args:
        qubits: Qubit i of the circuit is ``qubits[i]``.
        dtype: complex64 or complex128.
        check: Called between the pieces of a long operation.
    """

    def __init__(self, qubits: Sequence[cirq.Qid], dtype: type[np.complexfloating], check: Callable[[], None]) -> None:
        import cirq

        self._qubits = qubits
        self._dtype = dtype
        self._check = check
        # The product state keeps this very dictionary; joining components by hand means writing to it.
        self._part_of: dict[cirq.Qid | None, Any] = {q: self._zero([q]) for q in qubits}
        self._state = cirq.SimulationProductState[Any](self._part_of, qubits, split_untangled_states=True)

    def copy(self) -> Self:
        """A copy that shares workspace with the original: the two must not be used at the same time."""
        import cirq

        other = object.__new__(type(self))
        other._qubits, other._dtype, other._check = self._qubits, self._dtype, self._check
        copies = {part: part.copy(deep_copy_buffers=False) for part in self._parts()}
        other._part_of = {q: copies[part] for q, part in self._part_of.items()}
        other._state = cirq.SimulationProductState(other._part_of, self._qubits, split_untangled_states=True)
        return other

    def apply(self, operation: Any) -> None:
        """Applies an operation of Cirq."""
        import cirq

        parts = {self._part_of[q] for q in operation.qubits}
        if math.prod(part.target_tensor.size for part in parts) > _PIECE:
            self._apply_in_pieces(operation, self._joined(operation.qubits))
        else:
            cirq.act_on(operation, self._state)

    def sample(self, qubits: Sequence[int], shots: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Samples the listed qubits: uint8, shape (shots, len(qubits))."""
        out = np.zeros((shots, len(qubits)), dtype=np.uint8)
        for part in self._parts():
            columns = [i for i, q in enumerate(qubits) if self._qubits[q] in part.qubit_map]
            if columns:
                indices = sample_indices(self._diagonal(part), shots, rng)
                top = len(part.qubits) - 1
                places = np.array([top - part.qubit_map[self._qubits[qubits[i]]] for i in columns])
                out[:, columns] = bits_of(indices, places)
        return out

    def probability_of_one(self, qubit: int) -> float:
        """The probability that a measurement of the qubit gives 1."""
        part = self._part_of[self._qubits[qubit]]
        weights = _real_weights(self._diagonal(part)).reshape(2 ** part.qubit_map[self._qubits[qubit]], 2, -1)
        zero, one = weights.sum(axis=(0, 2), dtype=np.float64)
        return min(max(float(one / (zero + one)), 0.0), 1.0)

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of the basis states: float64, shape (2^n,), qubit 0 the least significant bit."""
        factors = [_real_weights(self._diagonal(p)).reshape((2,) * len(p.qubits)) for p in self._parts()]
        flat = self._in_order(factors).reshape(-1).astype(np.float64)
        flat /= flat.sum()
        return flat

    @abstractmethod
    def project(self, qubit: int, bit: int) -> None:
        """Puts the qubit where a measurement that gave ``bit`` leaves it, and normalises."""

    @abstractmethod
    def _zero(self, qubits: list[cirq.Qid]) -> Any: ...

    @abstractmethod
    def _diagonal(self, part: Any) -> Tensor:
        """What a component is sampled from: its amplitudes, or its probabilities."""

    @abstractmethod
    def _apply_in_pieces(self, operation: cirq.Operation, part: Any) -> None: ...

    def _joined(self, qubits: Sequence[cirq.Qid]) -> Any:
        """The component of the given qubits, made one if they were in several."""
        part = self._part_of[qubits[0]]
        for q in qubits[1:]:
            if q not in part.qubit_map:
                self._check()
                part.kronecker_product(self._part_of[q], inplace=True)
        for q in part.qubits:
            self._part_of[q] = part
        return part

    def _parts(self) -> list[Any]:
        return list(dict.fromkeys(self._part_of.values()))

    def _in_order(self, factors: list[Tensor]) -> Tensor:
        """The product of one tensor per component, one axis per qubit, the highest qubit first."""
        order = [q for part in self._parts() for q in part.qubits]
        place = {q: axis for axis, q in enumerate(order)}
        whole = reduce(np.multiply.outer, factors) if factors else np.ones((), dtype=self._dtype)
        return whole.transpose([place[q] for q in reversed(self._qubits)])

    def _pieces(self, part: Any, operation: cirq.Operation) -> list[tuple[slice, ...]]:
        """Indices that cut a component's tensor along leading axes which the operation leaves alone."""
        taken = set(part.get_axes(operation.qubits))
        free = [axis for axis in range(len(part.qubits)) if axis not in taken]
        indices = []
        for bits in itertools.product((0, 1), repeat=min(_cuts(part.target_tensor.size, _PIECE), len(free))):
            # A slice of length one keeps the axes where they are.
            index = [slice(None)] * part.target_tensor.ndim
            for axis, bit in zip(free, bits, strict=False):
                index[axis] = slice(bit, bit + 1)
            indices.append(tuple(index))
        return indices


class Statevector(DenseState):
    """A pure state."""

    def statevector(self) -> Tensor:
        """Shape (2^n,), qubit 0 the least significant bit."""
        return self.tensor().reshape(-1)

    def tensor(self) -> Tensor:
        """Shape (2,) * n, the highest qubit first."""
        return self._in_order([part.target_tensor for part in self._parts()])

    def density_matrix(self) -> Tensor:
        """Shape (2^n, 2^n): |psi><psi|."""
        psi = self.statevector()
        return np.outer(psi, psi.conj())

    def kraus_probabilities(self, qubits: Sequence[int], operators: Sequence[Tensor]) -> list[float]:
        """The probability of each Kraus operator of a channel on the listed qubits."""
        part = self._joined([self._qubits[q] for q in qubits])
        # Reversed: the first listed qubit becomes the last axis, the least significant one.
        axes = part.get_axes([self._qubits[q] for q in reversed(qubits)])
        rows = np.moveaxis(part.target_tensor, axes, range(len(axes))).reshape(2 ** len(axes), -1)
        density = np.einsum("ik,jk->ij", rows, rows.conj())
        weights = [max(float(np.einsum("ij,jk,ik->", k, density, k.conj()).real), 0.0) for k in operators]
        total = sum(weights)
        return [w / total for w in weights]

    def apply_kraus(self, qubits: Sequence[int], operator: Tensor) -> None:
        """Applies one Kraus operator and normalises."""
        names = [self._qubits[q] for q in qubits]
        part = self._joined(names)
        self.apply(matrix_gate(operator).on(*names))
        tensor = part.target_tensor
        tensor /= np.linalg.norm(tensor)

    def project(self, qubit: int, bit: int) -> None:
        """Projects and normalises."""
        q = self._qubits[qubit]
        part = self._part_of[q]
        tensor = part.target_tensor
        tensor[(slice(None),) * part.qubit_map[q] + (1 - bit,)] = 0
        tensor /= np.linalg.norm(tensor)

    def _zero(self, qubits: list[cirq.Qid]) -> Any:
        import cirq

        return cirq.StateVectorSimulationState(qubits=qubits, dtype=self._dtype)

    def _diagonal(self, part: Any) -> Tensor:
        return np.asarray(part.target_tensor.reshape(-1))

    def _apply_in_pieces(self, operation: cirq.Operation, part: Any) -> None:
        import cirq

        target, buffer, axes = part.target_tensor, part.available_buffer, part.get_axes(operation.qubits)
        for index in self._pieces(part, operation):
            self._check()
            piece, space = target[index], buffer[index]
            result = cirq.apply_unitary(operation, cirq.ApplyUnitaryArgs(piece, space, axes))
            if result is not piece:
                piece[...] = result


class DensityMatrix(DenseState):
    """A mixed state."""

    def apply(self, operation: Any) -> None:
        """Applies an operation of Cirq or a `Superoperator`."""
        if not isinstance(operation, Superoperator):
            super().apply(operation)
            return
        qubits = [self._qubits[q] for q in operation.qubits]
        part = self._joined(qubits)
        rows = part.get_axes(qubits)
        tensor, k = part.target_tensor, len(rows)
        blocks = np.moveaxis(tensor, [*rows, *(a + len(part.qubits) for a in rows)], range(2 * k))
        cuts = min(_cuts(tensor.size, _CHANNEL_PIECE), tensor.ndim - 2 * k)
        for bits in itertools.product((0, 1), repeat=cuts):
            self._check()
            apply_blocks(operation, blocks[(slice(None),) * (2 * k) + bits])

    def density_matrix(self) -> Tensor:
        """Shape (2^n, 2^n), qubit 0 the least significant bit."""
        return self.tensor().reshape((2 ** len(self._qubits),) * 2)

    def tensor(self) -> Tensor:
        """Shape (2,) * 2n: the row's bits, the highest qubit first, then the column's."""
        whole = np.ones((), dtype=self._dtype)
        axes: dict[tuple[str, cirq.Qid], int] = {}
        for part in self._parts():
            whole = np.multiply.outer(whole, part.target_tensor)
            for side in ("row", "column"):
                axes |= {(side, q): len(axes) + i for i, q in enumerate(part.qubits)}
        return whole.transpose([axes[side, q] for side in ("row", "column") for q in reversed(self._qubits)])

    def dephase(self, qubit: int) -> None:
        """A measurement whose outcome nobody reads."""
        self.apply(superoperator((np.diag([1.0 + 0j, 0]), np.diag([0, 1.0 + 0j])), (qubit,)))

    def project(self, qubit: int, bit: int) -> None:
        """Projects and normalises."""
        q = self._qubits[qubit]
        part = self._part_of[q]
        tensor, axis = part.target_tensor, part.qubit_map[q]
        for a in (axis, axis + len(part.qubits)):
            tensor[(slice(None),) * a + (1 - bit,)] = 0
        tensor /= self._diagonal(part).sum()

    def _zero(self, qubits: list[cirq.Qid]) -> Any:
        import cirq

        return cirq.DensityMatrixSimulationState(qubits=qubits, dtype=self._dtype)

    def _diagonal(self, part: Any) -> Tensor:
        side = 2 ** len(part.qubits)
        return np.asarray(np.einsum("ii->i", part.target_tensor.reshape(side, side)).real)

    def _apply_in_pieces(self, operation: cirq.Operation, part: Any) -> None:
        import cirq

        n, axes = len(part.qubits), part.get_axes(operation.qubits)
        target, buffers = part.target_tensor, part.available_buffer
        for index in self._pieces(part, operation):
            self._check()
            piece = target[index]
            out, spare, other = (b[index] for b in buffers)
            args = cirq.ApplyChannelArgs(piece, out, spare, other, left_axes=axes, right_axes=[a + n for a in axes])
            result = cirq.apply_channel(operation, args)
            if result is not piece:
                piece[...] = result


def _cuts(size: int, piece: int) -> int:
    """How often a tensor must be halved to be no larger than a piece."""
    return max(0, math.ceil(math.log2(size / piece)))


def _real_weights(values: Tensor) -> Tensor:
    if np.iscomplexobj(values):
        return np.asarray(values.real**2 + values.imag**2)
    return np.maximum(values, 0)
