"""Initial states other than all zeros, as operations before the circuit."""

from __future__ import annotations

from typing import Any

import cirq
import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit
from proxima.errors import UnsupportedError, UsageError

_MAX_QUBITS = 10  # of a state vector: it is prepared by one unitary matrix


def prepared(circuit: Circuit, initial: Any) -> Circuit:
    """The circuit with operations before it that prepare a state.

    Args:
        circuit: Whose qubit 0 is Cirq's first.
        initial: A basis state's number, a state vector or a product state, big-endian; ``None`` for all zeros.

    Raises:
        UsageError: It is no state of so many qubits.
        UnsupportedError: It is a density matrix, or a state vector of more than 10 qubits.
    """
    if initial is None or (isinstance(initial, int) and initial == 0):
        return circuit
    n = circuit.num_qubits
    before = Circuit.builder(n)
    if isinstance(initial, int):
        if not 0 <= initial < 2**n:
            raise UsageError(f"there is no basis state {initial} of {n} qubits")
        for qubit in range(n):
            if initial >> (n - 1 - qubit) & 1:
                before.x(qubit)
    else:
        if np.ndim(initial) == 2 and np.shape(initial) == (2**n, 2**n) and n > 1:
            raise UnsupportedError("an initial density matrix is not simulated", hint="prepare it by operations")
        if n > _MAX_QUBITS:
            raise UnsupportedError(f"an initial state vector of {n} qubits is not simulated; {_MAX_QUBITS} at most")
        try:
            state = cirq.to_valid_state_vector(initial, n, dtype=np.complex128, atol=1e-6)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the initial state is no state of {n} qubits: {error}") from None
        before.unitary(_to_state(state.reshape((2,) * n).transpose().reshape(-1)), *range(n))
    return _joined(before.build(), circuit)


def _to_state(state: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """A unitary matrix that turns |0> into a state up to its phase: Householder's reflection."""
    phase = state[0] / abs(state[0]) if state[0] else 1.0
    target = state / (np.linalg.norm(state) * phase)
    normal = target.copy()
    normal[0] += 1.0  # no cancellation, since the first amplitude is real and not negative
    reflection = 2.0 * np.outer(normal, normal.conj()) / np.vdot(normal, normal).real - np.eye(len(state))
    return np.asarray(reflection)


def _joined(first: Circuit, second: Circuit) -> Circuit:
    """One circuit after another, on the bits of the second."""
    builder = Circuit.builder()
    for register in second.qregs:
        builder.add_qubits(register.name, register.size)
    for register in second.cregs:
        builder.add_clbits(register.name, register.size)
    for op, qubits, params, clbit, condition, matrices in (*first, *second):
        builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
    return builder.build()
