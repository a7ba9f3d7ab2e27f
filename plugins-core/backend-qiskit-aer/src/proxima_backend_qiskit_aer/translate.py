"""Circuit rows to Aer's operations.

Aer, like Proxima, takes qubit 0 as the least significant bit and the first listed qubit of a matrix likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.matrices import kraus, pauli_weights, unitary
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima.errors import UnsupportedError

Matrix = npt.NDArray[np.complex128]

# Gates that Aer's state classes apply by name (StateOpSet of each, version 0.18).
_COMMON = frozenset(
    (Op.X, Op.Y, Op.Z, Op.H, Op.S, Op.SDG, Op.SX, Op.SXDG, Op.CX, Op.CY, Op.CZ, Op.SWAP, Op.ECR),
)
_ROTATIONS = frozenset(
    (Op.T, Op.TDG, Op.RX, Op.RY, Op.RZ, Op.P, Op.R, Op.U, Op.CP, Op.RXX, Op.RYY, Op.RZZ, Op.RZX, Op.CCX)
)
NATIVE: dict[str, frozenset[Op]] = {
    "stabilizer": _COMMON,
    "density_matrix": _COMMON | _ROTATIONS,
    "matrix_product_state": _COMMON | _ROTATIONS | {Op.CSX, Op.CSWAP},
    "statevector": _COMMON | _ROTATIONS | {Op.CSX, Op.CSWAP, Op.CRX, Op.CRY, Op.CRZ, Op.CU, Op.CCZ},
}
# A Pauli error is drawn into these scratch bits of memory behind the circuit's own: x and z for each of two qubits.
SCRATCH_BITS = 4
_PAULI_BITS = {"I": 0, "X": 1, "Z": 2, "Y": 3}
_CHUNK_BITS = 16  # Aer builds a condition's value with 32-bit shifts


def _names(method: str) -> list[str | None]:
    names: list[str | None] = [None] * 256
    for op in NATIVE[method]:
        names[op] = op.name.lower()
    return names


@lru_cache(maxsize=1024)
def gate_matrix(op: int, params: tuple[float, ...]) -> Matrix:
    """The reference matrix of a gate, cached."""
    return np.ascontiguousarray(unitary(Op(op), params))


@lru_cache(maxsize=256)
def kraus_matrices(op: int, params: tuple[float, ...]) -> tuple[Matrix, ...]:
    """The reference Kraus operators of a channel, cached, without those of zero weight."""
    return tuple(np.ascontiguousarray(k) for k in kraus(Op(op), params) if np.any(k))


def superoperator(matrices: Sequence[Matrix]) -> Matrix:
    """The matrix of a channel on column-stacked density matrices: the sum of conj(K) (x) K."""
    total = np.sum([np.kron(k.conj(), k) for k in matrices], axis=0)
    return np.ascontiguousarray(total, dtype=np.complex128)


@lru_cache(maxsize=256)
def channel_superoperator(op: int, params: tuple[float, ...]) -> Matrix:
    """The superoperator of a channel with a fixed definition, cached."""
    return superoperator(kraus_matrices(op, params))


@lru_cache(maxsize=256)
def _error_table(op: int, params: tuple[float, ...]) -> list[list[float]]:
    """Rows of equal probabilities of the scratch bits' values, whatever value they had."""
    weights = pauli_weights(Op(op), params)
    assert weights is not None
    width = 2 * len(next(iter(weights)))
    row = [0.0] * (1 << width)
    for letters, weight in weights.items():
        value = sum(_PAULI_BITS[letter] << (2 * i) for i, letter in enumerate(reversed(letters)))
        row[value] = max(weight, 0.0)
    return [row] * (1 << width)


class Translator:
    """Writes operations into one `AerCircuit`.

    Args:
        aer: The extension module.
        method: Aer's simulation method; it decides which gates go by name and what a channel becomes.
        num_qubits: Of the circuit.
        num_clbits: Of the circuit; scratch bits come behind them.
    """

    def __init__(self, aer: Any, method: str, num_qubits: int, num_clbits: int) -> None:
        self.aer = aer
        self.method = method
        self.num_clbits = num_clbits
        self.circuit = aer.AerCircuit()
        self.circuit.num_qubits = num_qubits
        self.uses_scratch = False
        self._names = _names(method)
        self._labels = 0

    @property
    def num_memory(self) -> int:
        """Bits of classical memory the circuit needs."""
        return self.num_clbits + (SCRATCH_BITS if self.uses_scratch else 0)

    def add(self, circuit: Circuit) -> None:
        """Appends every operation of a circuit, in order.

        Raises:
            UnsupportedError: The method cannot apply one of them.
        """
        names, gate = self._names, self.circuit.gate
        c = circuit.columns
        conditional = bool((c.conditions >= 0).any())
        silent, measure = (Op.ID, Op.BARRIER), Op.MEASURE
        clbits = c.clbits.tolist()
        for row, (op, qubits, params) in enumerate(circuit.rows()):
            if conditional and c.conditions[row] >= 0:
                self._conditionally(circuit.conditions[c.conditions[row]], op, qubits, params, circuit, row)
            elif (name := names[op]) is not None:
                gate(name, qubits, params, (), -1, None, "")
            elif op in silent:
                continue
            elif op == measure:
                self.circuit.measure(qubits, [clbits[row]], ())
            else:
                self._other(op, qubits, params, circuit, row)

    def measure(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Measures several qubits, each into its bit."""
        if pairs:
            self.circuit.measure([q for q, _ in pairs], [b for _, b in pairs], ())

    def force_shots(self) -> None:
        """Closes the circuit so that Aer simulates every shot: it takes a jump for a reason not to sample."""
        if self.uses_scratch:
            clear = [1.0] + [0.0] * ((1 << SCRATCH_BITS) - 1)
            self.circuit.roerror(self._scratch(SCRATCH_BITS), [clear] * (1 << SCRATCH_BITS))
        label = self._label()
        self.circuit.jump((), (label,), -1, self.aer.AerBoolValue(True))
        self.circuit.mark((), (label,))

    def kraus(self, matrices: Sequence[Matrix], qubits: Sequence[int]) -> None:
        """Appends a channel by its Kraus operators."""
        if self.method == "density_matrix":
            self.circuit.superop(qubits, superoperator(matrices), -1, None)
        elif self.method == "stabilizer":
            raise _unsupported("kraus")
        else:
            self.circuit.kraus(qubits, [np.array(matrix) for matrix in matrices], -1, None)

    def gate(self, op: int, qubits: Sequence[int], params: Sequence[float]) -> None:
        """Appends a gate, by name where Aer has it and by its reference matrix otherwise."""
        name = self._names[op]
        if name is not None:
            self.circuit.gate(name, qubits, params, (), -1, None, "")
        elif op == Op.ID:
            return
        elif self.method != "stabilizer":
            self.unitary(gate_matrix(op, tuple(params)), qubits)
        elif op == Op.ISWAP:
            a, b = qubits
            for part, where in (("s", [a]), ("s", [b]), ("cz", [a, b]), ("swap", [a, b])):
                self.circuit.gate(part, where, (), (), -1, None, "")
        else:
            raise _unsupported(Op(op).name.lower())

    def unitary(self, matrix: Matrix, qubits: Sequence[int]) -> None:
        """Appends a unitary matrix."""
        if self.method == "stabilizer":
            raise _unsupported("unitary")
        # A copy, for Aer reads an array that cannot be written to as its transpose.
        self.circuit.unitary(qubits, np.array(matrix), -1, None, "")

    def _other(self, op: int, qubits: list[int], params: list[float], circuit: Circuit, row: int) -> None:
        if op == Op.MEASURE:
            self.circuit.measure(qubits, [int(circuit.columns.clbits[row])], ())
        elif op == Op.RESET:
            self.circuit.reset(qubits, -1)
        elif op == Op.UNITARY:
            self.unitary(circuit.payloads[circuit.columns.payloads[row]][0], qubits)
        elif op == Op.KRAUS:
            self.kraus(circuit.payloads[circuit.columns.payloads[row]], qubits)
        elif op in GATES:
            self.gate(op, qubits, params)
        elif op in CHANNELS:
            self.channel(op, qubits, tuple(params))

    def channel(self, op: int, qubits: list[int], params: tuple[float, ...]) -> None:
        """Appends a channel with a fixed definition."""
        if self.method == "density_matrix":
            self.circuit.superop(qubits, channel_superoperator(op, params), -1, None)
        elif pauli_weights(Op(op), params) is None:
            if self.method == "stabilizer":
                raise _unsupported(Op(op).name.lower())
            self.circuit.kraus(qubits, list(kraus_matrices(op, params)), -1, None)
        else:
            self._pauli_error(op, qubits, params)

    def _pauli_error(self, op: int, qubits: list[int], params: tuple[float, ...]) -> None:
        """Draws an error into the scratch bits, as a readout error of them, and applies it by conditional gates.

        Aer's own noise models cost the import of Qiskit, and a Kraus channel a pass over the state per operator.
        """
        self.uses_scratch = True
        bits = self._scratch(2 * len(qubits))
        self.circuit.roerror(bits, _error_table(op, params))
        for i, qubit in enumerate(qubits):
            for name, bit in (("x", bits[2 * i]), ("z", bits[2 * i + 1])):
                is_set = self.aer.AerVar(self.aer.AerBool(), [bit])
                self.circuit.gate(name, (qubit,), (), (), -1, is_set, "")

    def _conditionally(
        self, condition: Condition, op: int, qubits: list[int], params: list[float], circuit: Circuit, row: int
    ) -> None:
        """Jumps over the operation where the condition fails; Aer's fusion overlooks conditions given to a gate."""
        if op == Op.BARRIER:
            return
        label = self._label()
        self.circuit.jump((), (label,), -1, self._fails(condition))
        self._other(op, qubits, params, circuit, row)
        self.circuit.mark((), (label,))

    def _fails(self, condition: Condition) -> Any:
        aer, binary = self.aer, self.aer.AerBinaryOp
        if condition.value >> len(condition.clbits):
            return aer.AerBoolValue(not condition.negated)
        compare, join = (binary.Equal, binary.LogicAnd) if condition.negated else (binary.NotEqual, binary.LogicOr)
        whole = None
        for start in range(0, len(condition.clbits), _CHUNK_BITS):
            bits = list(condition.clbits[start : start + _CHUNK_BITS])
            wanted = condition.value >> start & ((1 << len(bits)) - 1)
            part = aer.AerBinaryExpr(
                compare, aer.AerVar(aer.AerUint(len(bits)), bits), aer.AerUintValue(len(bits), wanted)
            )
            whole = part if whole is None else aer.AerBinaryExpr(join, whole, part)
        return aer.AerBoolValue(condition.negated) if whole is None else whole

    def _scratch(self, count: int) -> list[int]:
        return list(range(self.num_clbits, self.num_clbits + count))

    def _label(self) -> str:
        self._labels += 1
        return f"m{self._labels}"


def _unsupported(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"qiskit-aer: the stabilizer method cannot apply {name}",
        hint="leave the method to be chosen, or ask for --method statevector",
    )
