"""A unitary on two qubits as gates on each around an interaction: its Cartan (KAK) decomposition."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import PAULIS, Matrix

_MAGIC = np.array([[1, 0, 0, 1j], [0, 1j, 1, 0], [0, 1j, -1, 0], [1, 0, 0, -1j]], dtype=np.complex128) / math.sqrt(2)
_PAIRS = tuple(np.kron(PAULIS[letter], PAULIS[letter]) for letter in "XYZ")
_SIGNS = tuple(np.diag(_MAGIC.conj().T @ pair @ _MAGIC).real.round() for pair in _PAIRS)  # they are diagonal there
_MIXTURES = (0.5, 1.7, -0.3, 3.1, -2.3)  # of real and imaginary part; any but a few values separate the eigenvectors


class Interaction(NamedTuple):
    """``(after[1] x after[0]) exp(i (x XX + y YY + z ZZ)) (before[1] x before[0])``, up to a global phase.

    Attributes:
        before, after: Unitaries of shape (2, 2) on the first and on the second qubit.
        angles: x, y and z.
    """

    before: tuple[Matrix, Matrix]
    angles: tuple[float, float, float]
    after: tuple[Matrix, Matrix]


def interaction_of(matrix: Matrix) -> Interaction:
    """The decomposition of a unitary of shape (4, 4), the first qubit as least significant bit.

    In the magic basis gates on single qubits are real and orthogonal and the interaction is diagonal, so that the
    eigenvectors of m^T m, which can be chosen real, give the one and its eigenvalues the other.

    Source: Kraus and Cirac, "Optimal creation of entanglement using a two-qubit gate", arXiv:quant-ph/0011050,
    appendix A.
    """
    m = _MAGIC.conj().T @ matrix @ _MAGIC
    square = m.T @ m
    right = _real_eigenvectors(square)
    if np.linalg.det(right) < 0:
        right[:, 0] *= -1
    phases = np.angle(np.diag(right.T @ square @ right)) / 2
    left = (m @ right @ np.diag(np.exp(-1j * phases))).real
    if np.linalg.det(left) < 0:
        left[:, 0] *= -1
        phases[0] += math.pi
    x, y, z = (float(phases @ signs) / 4 for signs in _SIGNS)
    return Interaction(_factors(right.T), (x, y, z), _factors(left))


def _real_eigenvectors(square: Matrix) -> npt.NDArray[np.float64]:
    """Real orthogonal vectors that diagonalise a symmetric unitary matrix, whose two parts commute."""
    found = [np.linalg.eigh(square.real + mixture * square.imag)[1] for mixture in _MIXTURES]

    def left_over(vectors: npt.NDArray[np.float64]) -> float:
        turned = vectors.T @ square @ vectors
        return float(np.abs(turned - np.diag(np.diag(turned))).max())

    return min(found, key=left_over)


def _factors(orthogonal: npt.NDArray[np.float64]) -> tuple[Matrix, Matrix]:
    """The two gates whose product a real orthogonal matrix of determinant one in the magic basis is."""
    product = (_MAGIC @ orthogonal @ _MAGIC.conj().T).reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    u, s, v = np.linalg.svd(product)
    high, low = u[:, 0] * math.sqrt(s[0]), v[0] * math.sqrt(s[0])
    return np.asarray(low.reshape(2, 2), np.complex128), np.asarray(high.reshape(2, 2), np.complex128)
