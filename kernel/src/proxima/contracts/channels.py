"""Channels as superoperators: composing them, and saying one in the fewest and plainest operations of the vocabulary.

A superoperator on k qubits is complex128 of shape (4^k, 4^k) and acts on a density matrix flattened by rows, so that of
Kraus operators K is the sum of K (x) conj(K). The first qubit is the least significant bit of a matrix index.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from proxima.contracts.matrices import PAULIS, Matrix
from proxima.contracts.operations import Op

_EXACT = 1e-12  # elements that differ by less are taken to differ by rounding


class Piece(NamedTuple):
    """One operation of a channel.

    Attributes:
        qubits: Which of the channel's qubits it acts on.
        kraus: For ``Op.KRAUS``.
    """

    op: Op
    qubits: tuple[int, ...]
    params: tuple[float, ...] = ()
    kraus: tuple[Matrix, ...] = ()


def widened(operator: Matrix, qubits: Sequence[int], num_qubits: int) -> Matrix:
    """An operator on some of the qubits as one on all; the first listed is the least significant bit of its index."""
    order = [*qubits, *(q for q in range(num_qubits) if q not in qubits)]
    index = np.array([sum((i >> p & 1) << q for p, q in enumerate(order)) for i in range(2**num_qubits)])
    wide = np.zeros((2**num_qubits,) * 2, dtype=np.complex128)
    wide[np.ix_(index, index)] = np.kron(np.eye(2 ** (num_qubits - len(qubits))), operator)
    return wide


def superoperator(kraus: Sequence[Matrix]) -> Matrix:
    """That of Kraus operators on all the qubits."""
    size = len(kraus[0])
    rows = np.array(kraus, dtype=np.complex128).reshape(len(kraus), -1)
    choi = (rows.T @ rows.conj()).reshape((size,) * 4)
    return np.ascontiguousarray(choi.transpose(0, 2, 1, 3)).reshape(size**2, -1)


def pauli_matrix(letters: Iterable[str]) -> Matrix:
    """That of a Pauli string, its last letter on the first qubit."""
    matrix: Matrix = np.ones((1, 1), dtype=np.complex128)
    for letter in letters:
        matrix = np.kron(matrix, PAULIS[letter]).astype(np.complex128, copy=False)
    return matrix


def kraus_operators(channel: Matrix) -> tuple[Matrix, ...]:
    """The fewest Kraus operators of a superoperator, from the eigenvectors of its Choi matrix, the largest first.

    Raises:
        ValueError: It is not completely positive.
    """
    size = round(len(channel) ** 0.5)
    values, vectors = np.linalg.eigh(_choi(channel))
    if values[0] < -1e-9 * size:
        raise ValueError(f"not completely positive: its Choi matrix has the eigenvalue {values[0]:.2g}")
    kept = [i for i in range(len(values) - 1, -1, -1) if values[i] > 1e-14 * size]
    return tuple(np.sqrt(values[i]) * vectors[:, i].reshape(size, size) for i in kept)


def pieces(channel: Matrix) -> list[Piece]:
    """A superoperator as operations: nothing for the identity, one for each group of qubits that are independent."""
    size = len(channel).bit_length() // 2
    return _split(channel, tuple(range(size)))


def _split(channel: Matrix, qubits: tuple[int, ...]) -> list[Piece]:
    """One piece for each group of independent qubits; depolarizing of two qubits comes before what they do alone."""
    k = len(qubits)
    for width in range(1, k // 2 + 1):
        for part in itertools.combinations(range(k), width):
            rest = tuple(p for p in range(k) if p not in part)
            ours, theirs = _marginal(channel, part), _marginal(channel, rest)
            if np.abs(_together(ours, part, theirs, rest) - channel).max() < _EXACT:
                named, others = tuple(qubits[p] for p in part), tuple(qubits[p] for p in rest)
                return [*_split(ours, named), *_split(theirs, others)]
    if k == 2 and (parted := _without_depolarizing(channel)):
        p, first, second = parted
        return [Piece(Op.DEPOLARIZING2, qubits, (p,)), *_plainest(first, qubits[:1]), *_plainest(second, qubits[1:])]
    return _plainest(channel, qubits)


def _plainest(channel: Matrix, qubits: tuple[int, ...]) -> list[Piece]:
    if np.abs(channel - np.eye(len(channel))).max() < _EXACT:
        return []
    weights = _pauli_weights(channel, len(qubits))
    if weights is None:
        damping = _damping(channel, qubits) if len(qubits) == 1 else []
        return damping or [Piece(Op.KRAUS, qubits, kraus=kraus_operators(channel))]
    errors = {letters: w for letters, (w, _) in weights.items() if set(letters) != {"I"}}
    total, equal = sum(errors.values()), max(errors.values()) - min(errors.values()) < _EXACT
    if equal and len(qubits) <= 2:
        return [Piece(Op.DEPOLARIZING if len(qubits) == 1 else Op.DEPOLARIZING2, qubits, (min(total, 1.0),))]
    if len(qubits) == 1:
        flips = [op for letter, op in _FLIPS.items() if abs(errors[letter] - total) < _EXACT]
        return [Piece(flips[0], qubits, (min(total, 1.0),)) if flips else _pauli_channel(qubits, errors)]
    operators = tuple(np.sqrt(w) * matrix for w, matrix in weights.values() if w > 0.0)
    return [Piece(Op.KRAUS, qubits, kraus=operators)]


def _damping(channel: Matrix, qubits: tuple[int, ...]) -> list[Piece]:
    """Generalised amplitude damping, then phase damping, where they say all: thermal relaxation and resets among it."""
    down, up, kept = float(channel[0, 3].real), float(channel[3, 0].real), float(channel[1, 1].real)
    gamma = down + up
    if not 0.0 <= gamma < 1.0 or min(down, up) < -_EXACT or not 0.0 < kept <= math.sqrt(1 - gamma) + _EXACT:
        return []
    same = np.diag(np.array([1 - up, kept, kept, 1 - down], dtype=np.complex128))
    same[0, 3], same[3, 0] = down, up
    if np.abs(same - channel).max() >= _EXACT:
        return []
    dephasing = max(1 - kept**2 / (1 - gamma), 0.0)
    found = []
    if up > _EXACT:
        found.append(Piece(Op.GENERALIZED_AMPLITUDE_DAMPING, qubits, (max(down, 0.0) / gamma, gamma)))
    elif down > _EXACT:
        found.append(Piece(Op.AMPLITUDE_DAMPING, qubits, (down,)))
    if dephasing > _EXACT:
        found.append(Piece(Op.PHASE_DAMPING, qubits, (dephasing,)))
    return found


def _without_depolarizing(channel: Matrix) -> tuple[float, Matrix, Matrix] | None:
    """``(p, A, B)`` where the channel is depolarizing2(p) and then A on the first and B on the second qubit.

    Depolarizing shrinks every Pauli string but the identity by one factor, so a string on both qubits shrinks by it
    once and the product of its halves twice.
    """
    halves = [_marginal(channel, (0,)), _marginal(channel, (1,))]
    z = PAULIS["Z"].reshape(-1)
    zz = np.kron(PAULIS["Z"], PAULIS["Z"]).reshape(-1)
    twice = math.prod(float((z @ half @ z).real) / 2 for half in halves)
    once = float((zz @ channel @ zz).real) / 4
    if not 0.0 < twice < once * (1 - _EXACT):
        return None
    factor = twice / once
    parts = []
    for half in halves:
        fixed = np.outer(half @ np.array([0.5, 0, 0, 0.5]), np.array([1, 0, 0, 1]))  # rho -> its trace, mixed
        part = np.asarray((half - (1 - factor) * fixed) / factor)
        if np.linalg.eigvalsh(_choi(part))[0] < -_EXACT:
            return None
        parts.append(part)
    first, second = parts
    mixing = factor * np.eye(16) + (1 - factor) * np.outer(np.eye(4).reshape(-1), np.eye(4).reshape(-1)) / 4
    if np.abs(_together(first, (0,), second, (1,)) @ mixing - channel).max() >= _EXACT:
        return None
    return (1 - factor) * 15 / 16, first, second


_FLIPS = {"X": Op.BIT_FLIP, "Y": Op.BIT_PHASE_FLIP, "Z": Op.PHASE_FLIP}


def _pauli_channel(qubits: tuple[int, ...], errors: dict[str, float]) -> Piece:
    return Piece(Op.PAULI_CHANNEL, qubits, tuple(errors[letter] for letter in _FLIPS))


def _pauli_weights(channel: Matrix, k: int) -> dict[str, tuple[float, Matrix]] | None:
    """The probability and the matrix of each Pauli string where the channel is one of Pauli errors, else ``None``."""
    choi = _choi(channel)
    found: dict[str, tuple[float, Matrix]] = {}
    total = np.zeros_like(channel)
    for letters in itertools.product(PAULIS, repeat=k):
        matrix = pauli_matrix(letters)
        vector = matrix.reshape(-1)
        weight = max(float((vector.conj() @ choi @ vector).real) / 4**k, 0.0)
        weight = 0.0 if weight < 1e-15 else weight
        found["".join(letters)] = (weight, matrix)
        total += weight * np.kron(matrix, matrix.conj())
    return found if np.abs(total - channel).max() < _EXACT else None


def _choi(channel: Matrix) -> Matrix:
    """Rows (output, input) of the operator, columns the same of its conjugate."""
    size = round(len(channel) ** 0.5)
    choi = channel.reshape((size,) * 4).transpose(0, 2, 1, 3).reshape(size**2, size**2)
    return np.ascontiguousarray((choi + choi.conj().T) / 2)


def _tensor(channel: Matrix) -> Any:
    """Four axes for each qubit: output row and column, input row and column; the highest qubit comes first."""
    k = len(channel).bit_length() // 2
    return channel.reshape((2,) * (4 * k))


def _axes(k: int, qubits: Sequence[int]) -> Any:
    """Of some of k qubits in such a tensor, in the order of a tensor of their own."""
    return [block * k + k - 1 - q for block in range(4) for q in reversed(qubits)]


def _marginal(channel: Matrix, part: Sequence[int]) -> Matrix:
    """What happens to some qubits where the others are maximally mixed and then left out."""
    k = len(channel).bit_length() // 2
    labels: Any = list(range(4 * k))
    for q in set(range(k)) - set(part):
        out_row, out_column, in_row, in_column = _axes(k, [q])
        labels[out_column], labels[in_column] = labels[out_row], labels[in_row]
    traced = np.einsum(_tensor(channel), labels, _axes(k, part)) / 2 ** (k - len(part))
    return np.asarray(traced.reshape(4 ** len(part), -1))


def _together(ours: Matrix, part: Sequence[int], theirs: Matrix, rest: Sequence[int]) -> Matrix:
    k = len(part) + len(rest)
    every: Any = list(range(4 * k))
    joined = np.einsum(_tensor(ours), _axes(k, part), _tensor(theirs), _axes(k, rest), every)
    return np.asarray(joined.reshape(4**k, -1))
