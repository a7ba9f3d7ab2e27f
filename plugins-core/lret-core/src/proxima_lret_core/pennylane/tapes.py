"""PennyLane's tapes as Proxima's circuits.

PennyLane lists the most significant wire first, in states and in a matrix's index; here qubit 0 is the least
significant. So wire i of n becomes qubit n - 1 - i, and a matrix lists its qubits in reverse: no matrix is reordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import Channel, Operator, StatePrepBase
from pennylane.ops import QubitDensityMatrix, StatePrep
from pennylane.wires import Wires

from proxima.contracts.builder import CircuitBuilder
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UnsupportedError

# The operations that have a counterpart with the same parameters in the same order.
NATIVE = {
    "Identity": Op.ID,
    "PauliX": Op.X,
    "PauliY": Op.Y,
    "PauliZ": Op.Z,
    "Hadamard": Op.H,
    "S": Op.S,
    "Adjoint(S)": Op.SDG,
    "T": Op.T,
    "Adjoint(T)": Op.TDG,
    "SX": Op.SX,
    "Adjoint(SX)": Op.SXDG,
    "RX": Op.RX,
    "RY": Op.RY,
    "RZ": Op.RZ,
    "PhaseShift": Op.P,
    "U1": Op.P,
    "U3": Op.U,
    "CNOT": Op.CX,
    "CY": Op.CY,
    "CZ": Op.CZ,
    "CH": Op.CH,
    "SWAP": Op.SWAP,
    "ISWAP": Op.ISWAP,
    "CRX": Op.CRX,
    "CRY": Op.CRY,
    "CRZ": Op.CRZ,
    "ControlledPhaseShift": Op.CP,
    "IsingXX": Op.RXX,
    "IsingYY": Op.RYY,
    "IsingZZ": Op.RZZ,
    "Toffoli": Op.CCX,
    "CCZ": Op.CCZ,
    "CSWAP": Op.CSWAP,
    "AmplitudeDamping": Op.AMPLITUDE_DAMPING,
    "PhaseDamping": Op.PHASE_DAMPING,
    "DepolarizingChannel": Op.DEPOLARIZING,
    "BitFlip": Op.BIT_FLIP,
    "PhaseFlip": Op.PHASE_FLIP,
}
DIFFERENTIABLE = frozenset(name for name, op in NATIVE.items() if op not in CHANNELS)
WITHOUT_EFFECT = frozenset({"GlobalPhase", "Barrier", "WireCut", "Snapshot"})
MAX_PREPARED_WIRES = 8  # by a matrix; PennyLane decomposes wider state preparations
MAX_CHANNEL_WIRES = 4


def circuit_of(
    operations: Sequence[Operator], wires: Wires, names: Mapping[tuple[int, int], str] | None = None
) -> Circuit:
    """A circuit of these operations on one qubit for each wire, at whose end every qubit is measured.

    Args:
        operations: In the order in which they happen.
        wires: All of them, the most significant first.
        names: By the positions of an operation and of a parameter in it: what it is to be left open as.

    Raises:
        UnsupportedError: There is no counterpart; the message names the operation.
        CircuitError: A number is not finite, or a matrix is not unitary.
    """
    names = names or {}
    size = max(len(wires), 1)
    builder = Circuit.builder(size, size)
    qubit_of = {wire: len(wires) - 1 - position for position, wire in enumerate(wires)}
    for position, operation in enumerate(operations):
        qubits = [qubit_of[wire] for wire in operation.wires]
        opened = {k: names[position, k] for k in range(operation.num_params) if (position, k) in names}
        _append(builder, operation, qubits, opened)
    for qubit in range(size):
        builder.measure(qubit, qubit)
    return builder.build()


def _append(builder: CircuitBuilder, operation: Operator, qubits: list[int], opened: Mapping[int, str]) -> None:
    name = operation.name
    if opened and name not in DIFFERENTIABLE:
        raise UnsupportedError(
            f"{name} has no derivative in the adjoint method on proxima.lret.mixed",
            hint='use diff_method="parameter-shift", or take the parameter as fixed',
        )
    if name in NATIVE:
        angles = [Parameter(opened[k]) if k in opened else float(angle) for k, angle in enumerate(operation.data)]
        builder.append(NATIVE[name], qubits, angles)
    elif name in WITHOUT_EFFECT:
        pass
    elif isinstance(operation, StatePrep):
        psi = operation.state_vector(wire_order=operation.wires).reshape(-1)
        builder.append(Op.UNITARY, qubits[::-1], matrices=(_unitary_to(np.asarray(psi, dtype=np.complex128)),))
    elif isinstance(operation, QubitDensityMatrix):
        rho = np.asarray(operation.data[0], dtype=np.complex128)
        builder.append(Op.KRAUS, qubits[::-1], matrices=tuple(_operators_to(rho)))
    elif isinstance(operation, Channel):
        kraus = [np.asarray(k, dtype=np.complex128) for k in operation.kraus_matrices()]
        builder.append(Op.KRAUS, qubits[::-1], matrices=tuple(kraus))
    elif operation.has_matrix:
        builder.append(Op.UNITARY, qubits[::-1], matrices=(np.asarray(operation.matrix(), dtype=np.complex128),))
    else:
        raise UnsupportedError(f"proxima.lret.mixed cannot execute {name}", hint="decompose it first")


def _unitary_to(psi: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """A unitary that takes |0> to psi, but for a phase: a Householder reflection."""
    phase = psi[0] / abs(psi[0]) if psi[0] else 1.0
    normal = psi / phase
    normal[0] += 1.0
    normal /= np.linalg.norm(normal)
    return np.asarray(np.eye(len(psi)) - 2.0 * np.outer(normal, normal.conj()))


def _operators_to(rho: npt.NDArray[np.complex128]) -> list[npt.NDArray[np.complex128]]:
    """Kraus operators sqrt(p_i) |i><j| that put the qubits into rho, whatever they were in."""
    values, vectors = np.linalg.eigh(rho)
    size, kept = len(values), [k for k in range(len(values)) if values[k] > 1e-15]
    columns = np.sqrt(values[kept]) * vectors[:, kept]
    return [np.outer(columns[:, i], np.eye(size)[j]) for i in range(len(kept)) for j in range(size)]


def pauli_sum(observable: Operator, wires: Wires) -> PauliSum | None:
    """An observable as a Pauli sum on one qubit for each wire; ``None`` where PennyLane has none for it."""
    sentence = observable.pauli_rep
    if sentence is None:
        return None
    return sum_of(sentence, wires)


def sum_of(sentence: Any, wires: Wires) -> PauliSum:
    """A PennyLane `PauliSentence` as a Pauli sum; the leftmost letter acts on the first wire.

    Raises:
        UnsupportedError: A coefficient is not real.
    """
    terms = []
    for word, coefficient in sentence.items():
        number = complex(qml.math.toarray(coefficient))
        if abs(number.imag) > 1e-12 * max(1.0, abs(number.real)):
            raise UnsupportedError(f"the coefficient {number} of {word} is not real, so this is no observable")
        terms.append((number.real, "".join(word.get(wire, "I") for wire in wires) or "I"))
    return PauliSum(tuple(terms) or ((0.0, "I" * max(len(wires), 1)),))


def accepts(operation: Operator) -> bool:
    """Whether `circuit_of` takes an operation that PennyLane's own rules would hand it."""
    if isinstance(operation, StatePrep):
        return operation.name == "StatePrep" and len(operation.wires) <= MAX_PREPARED_WIRES
    if isinstance(operation, QubitDensityMatrix | Channel):
        return len(operation.wires) <= MAX_CHANNEL_WIRES
    return not isinstance(operation, StatePrepBase)
