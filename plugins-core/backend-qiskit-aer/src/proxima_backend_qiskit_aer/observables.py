"""Pauli sums: their expectation values in an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum, masks
from proxima.errors import UsageError

_CHUNK = 1 << 20


def check_width(observable: PauliSum, num_qubits: int) -> None:
    """Raises `UsageError` unless the observable spans exactly the circuit's qubits."""
    if observable.num_qubits != num_qubits:
        raise UsageError(
            f"the observable {observable} spans {observable.num_qubits} qubits, the circuit has {num_qubits}",
            hint="write one letter per qubit, the highest qubit leftmost, I where nothing acts",
        )


def expectation(state: npt.NDArray[Any], observable: PauliSum) -> float:
    """The expectation value in a statevector, shape (2^n,), or density matrix, shape (2^n, 2^n)."""
    total = 0.0
    size = len(state)
    for coefficient, letters in observable.terms:
        x, z = masks(letters)
        factor = (-1j) ** ((x & z).bit_count() % 4)
        value = 0j
        for start in range(0, size, _CHUNK):
            index = np.arange(start, min(start + _CHUNK, size))
            signs = 1 - 2.0 * (np.bitwise_count(index & z) & 1)
            # <psi|P|psi> = sum over j of conj(psi_(j^x)) P_(j^x, j) psi_j
            if state.ndim == 1:
                value += complex(np.sum(signs * state[index ^ x].conj() * state[index]))
            else:
                value += complex(np.sum(signs * state[index, index ^ x]))
        total += coefficient * (factor.conjugate() * value).real
    return total
