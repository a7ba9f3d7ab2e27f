"""Pauli sums as cuStateVec takes them: a list of Pauli operators, and the index bits they act on, for each string."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import PAULIS
from proxima.contracts.observable import PauliSum

CODES = {"I": 0, "X": 1, "Y": 2, "Z": 3}
"""As `cuquantum.bindings.custatevec.Pauli` numbers them."""


def terms_of(observable: PauliSum) -> tuple[float, list[float], list[list[int]], list[list[int]]]:
    """The constant, and for each string that is not the identity its coefficient, its operators and their bits.

    The leftmost letter of a string acts on the highest qubit, which is the highest index bit.
    """
    constant, coefficients, operators, bits = 0.0, list[float](), list[list[int]](), list[list[int]]()
    for coefficient, letters in observable.terms:
        acting = [(CODES[letter], bit) for bit, letter in enumerate(reversed(letters)) if letter != "I"]
        if not acting:
            constant += coefficient
            continue
        coefficients.append(coefficient)
        operators.append([code for code, _ in acting])
        bits.append([bit for _, bit in acting])
    return constant, coefficients, operators, bits


def words(num_qubits: int) -> list[str]:
    """Every Pauli string on a few qubits but the identity."""
    return ["".join(letters) for letters in product("IXYZ", repeat=num_qubits)][1:]


def density_of(values: Sequence[float], num_qubits: int) -> npt.NDArray[np.complex128]:
    """The density matrix of a few qubits from the expectation values of `words`, whose last letter is qubit 0."""
    rho: npt.NDArray[np.complex128] = np.eye(2**num_qubits, dtype=np.complex128)
    for value, letters in zip(values, words(num_qubits), strict=True):
        matrix: npt.NDArray[np.complex128] = np.ones((1, 1), dtype=np.complex128)
        for letter in letters:
            matrix = np.kron(matrix, PAULIS[letter]).astype(np.complex128, copy=False)
        rho += value * matrix
    rho /= 2**num_qubits
    return rho
