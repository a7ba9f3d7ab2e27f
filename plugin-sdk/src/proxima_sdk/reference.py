"""An exact simulator for small circuits, straight from the kernel's reference matrices.

It is slow and obviously right: every backend is held against it. Qubit 0 is the least significant index bit; dtype is
complex128. A circuit with noise, conditions, resets or measurements in the middle is followed as an ensemble: one
unnormalised density matrix for each value of the classical bits that can occur, so its classical distribution is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.matrices import PAULIS, kraus, unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UnsupportedError, UsageError

ComplexArray = npt.NDArray[np.complex128]
Bits = tuple[int, ...]
Ensemble = dict[Bits, ComplexArray]

MAX_PURE_QUBITS = 12
MAX_MIXED_QUBITS = 6

_PROJECTORS = (np.diag([1, 0]).astype(np.complex128), np.diag([0, 1]).astype(np.complex128))
_RESET = (np.array([[1, 0], [0, 0]], dtype=np.complex128), np.array([[0, 1], [0, 0]], dtype=np.complex128))


def apply(matrix: ComplexArray, qubits: Sequence[int], state: ComplexArray) -> ComplexArray:
    """Applies a matrix on some qubits to the first axis of ``state``.

    Args:
        matrix: Shape (2^k, 2^k); the first listed qubit is the least significant index bit.
        qubits: The k qubits.
        state: Shape (2^n, ...).
    """
    n, k = len(state).bit_length() - 1, len(qubits)
    axes = [n - 1 - q for q in reversed(qubits)]
    tensor = state.reshape((2,) * n + state.shape[1:])
    out = np.tensordot(matrix.reshape((2,) * (2 * k)), tensor, axes=(range(k, 2 * k), axes))
    return np.ascontiguousarray(np.moveaxis(out, range(k), axes)).reshape(state.shape)


def numbers(instruction: Instruction) -> list[float]:
    """The instruction's parameters.

    Raises:
        UsageError: One is still open.
    """
    values = [p for p in instruction.params if isinstance(p, (int, float))]
    if len(values) != len(instruction.params):
        raise UsageError(f"{instruction.op.name.lower()} has an open parameter", hint="bind the circuit first")
    return values


def gate_matrix(instruction: Instruction) -> ComplexArray:
    """The matrix of a gate or of a ``unitary`` operation."""
    if instruction.op is Op.UNITARY:
        return instruction.matrices[0]
    return unitary(instruction.op, numbers(instruction))


def _operators(instruction: Instruction) -> Sequence[ComplexArray]:
    """The Kraus operators of anything but a measurement or a barrier."""
    if instruction.op is Op.KRAUS:
        return instruction.matrices
    if instruction.op is Op.RESET:
        return _RESET
    if instruction.op in CHANNELS:
        return kraus(instruction.op, numbers(instruction))
    return (gate_matrix(instruction),)


def _conjugate(operator: ComplexArray, qubits: Sequence[int], rho: ComplexArray) -> ComplexArray:
    """K rho K^dagger."""
    return apply(operator, qubits, apply(operator, qubits, rho).conj().T).conj().T


def initial_state(num_qubits: int) -> ComplexArray:
    """The statevector |0...0>."""
    state = np.zeros(2**num_qubits, dtype=np.complex128)
    state[0] = 1
    return state


def initial_ensemble(circuit: Circuit) -> Ensemble:
    """|0...0> with all classical bits 0."""
    psi = initial_state(circuit.num_qubits)
    return {(0,) * circuit.num_clbits: np.outer(psi, psi)}


def advance(ensemble: Ensemble, instruction: Instruction) -> Ensemble:
    """The ensemble after one more operation."""
    out: Ensemble = {}

    def add(bits: Bits, rho: ComplexArray) -> None:
        out[bits] = out[bits] + rho if bits in out else rho

    for bits, rho in ensemble.items():
        if instruction.op is Op.BARRIER or (instruction.condition and not instruction.condition.holds(bits)):
            add(bits, rho)
        elif instruction.op is Op.MEASURE:
            for outcome, projector in enumerate(_PROJECTORS):
                after = _conjugate(projector, instruction.qubits, rho)
                if np.trace(after).real > 1e-14:
                    add((*bits[: instruction.clbit], outcome, *bits[instruction.clbit + 1 :]), after)
        else:
            operators = _operators(instruction)
            total = sum((_conjugate(k, instruction.qubits, rho) for k in operators), np.zeros_like(rho))
            add(bits, total)
    return out


def ensemble_of(circuit: Circuit) -> Ensemble:
    """The final ensemble: an unnormalised density matrix for each value of the classical bits.

    Raises:
        UsageError: More than 6 qubits.
    """
    if circuit.num_qubits > MAX_MIXED_QUBITS:
        raise UsageError(f"the reference takes {MAX_MIXED_QUBITS} qubits as a density matrix, not {circuit.num_qubits}")
    ensemble = initial_ensemble(circuit)
    for instruction in circuit:
        ensemble = advance(ensemble, instruction)
    return ensemble


def is_pure(circuit: Circuit) -> bool:
    """Whether the state before the final measurements is one statevector."""
    return not circuit.has_noise and not circuit.is_dynamic


def statevector(circuit: Circuit) -> ComplexArray:
    """The state before the final measurements, shape (2^n,).

    Raises:
        UnsupportedError: The circuit has noise, conditions, resets or measurements in the middle.
        UsageError: More than 12 qubits.
    """
    if not is_pure(circuit):
        raise UnsupportedError("a circuit with noise or mid-circuit measurement has no statevector")
    if circuit.num_qubits > MAX_PURE_QUBITS:
        raise UsageError(f"the reference takes {MAX_PURE_QUBITS} qubits as a statevector, not {circuit.num_qubits}")
    state = initial_state(circuit.num_qubits)
    for instruction in circuit.without_final_measurements():
        if instruction.op is not Op.BARRIER:
            state = apply(gate_matrix(instruction), instruction.qubits, state)
    return state


def density_matrix(circuit: Circuit) -> ComplexArray:
    """The state before the final measurements, averaged over classical outcomes, shape (2^n, 2^n)."""
    if is_pure(circuit):
        psi = statevector(circuit)
        return np.outer(psi, psi.conj())
    parts = ensemble_of(circuit.without_final_measurements()).values()
    return sum(parts, np.zeros((2**circuit.num_qubits,) * 2, dtype=np.complex128))


def probabilities(circuit: Circuit) -> npt.NDArray[np.float64]:
    """Of the qubits' basis states before the final measurements, shape (2^n,)."""
    if is_pure(circuit):
        return np.abs(statevector(circuit)) ** 2
    return np.diagonal(density_matrix(circuit)).real.copy()


def distribution(circuit: Circuit) -> dict[str, float]:
    """The exact probability of every bit string that can occur, highest classical bit first."""
    if circuit.num_qubits <= MAX_MIXED_QUBITS:
        weights = {bits: float(np.trace(rho).real) for bits, rho in ensemble_of(circuit).items()}
    else:
        weights = _final_distribution(circuit)
    return {"".join(map(str, reversed(bits))): weight for bits, weight in weights.items()}


def _final_distribution(circuit: Circuit) -> dict[Bits, float]:
    """The distribution of a circuit that only measures at its end."""
    weights: dict[Bits, float] = {}
    for index, weight in enumerate((np.abs(statevector(circuit)) ** 2).tolist()):
        if weight > 1e-14:
            bits = [0] * circuit.num_clbits
            for qubit, clbit in circuit.final_measurements:
                bits[clbit] = index >> qubit & 1
            weights[tuple(bits)] = weights.get(tuple(bits), 0.0) + weight
    return weights


def expectation(circuit: Circuit, observable: PauliSum) -> tuple[float, float]:
    """Expectation value and variance of a Pauli sum in the state before the final measurements."""

    def act(state: ComplexArray) -> ComplexArray:
        total = np.zeros_like(state)
        for coefficient, letters in observable.terms:
            term = state
            for qubit, letter in enumerate(reversed(letters)):
                term = apply(PAULIS[letter], (qubit,), term)
            total += coefficient * term
        return total

    if is_pure(circuit):
        psi = statevector(circuit)
        h_psi = act(psi)
        mean, square = np.vdot(psi, h_psi).real, np.vdot(h_psi, h_psi).real
    else:
        h_rho = act(density_matrix(circuit))
        mean, square = np.trace(h_rho).real, np.trace(act(h_rho)).real
    return float(mean), float(square - mean**2)


def gradient(circuit: Circuit, values: Mapping[str, float], observable: PauliSum) -> npt.NDArray[np.float64]:
    """The derivatives of an expectation value by the circuit's open parameters, shape (k,).

    By central differences of the fourth order over a step h of 1e-3: with angles' coefficients of at most 2 and an
    observable of norm 1 they err by at most h^4 2^5 / 30 = 1e-12, and rounding adds about as much.
    """
    step = 1e-3
    found = np.zeros(len(circuit.parameters))
    for number, name in enumerate(circuit.parameters):
        for times, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
            moved = circuit.bind({**values, name: values[name] + times * step})
            found[number] += weight * expectation(moved, observable)[0] / (12 * step)
    return found
