"""What an operation does to Pauli operators: Clifford gates and Pauli channels recognised by their matrices.

A Pauli string on k listed qubits is an index: the sum of 4^i times the code of the letter on qubit i, where I, X, Z and
Y have the codes 0, 1, 2 and 3 (x + 2 z). No engine is needed here, so that an estimate can ask too.
Source: Gottesman, arXiv:quant-ph/9807006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import PAULIS, kraus, pauli_weights, unitary
from proxima.contracts.operations import CHANNELS, Op

Matrix = npt.NDArray[np.complex128]
Pauli = tuple[int, int, int]
"""(x, z, phase): i^phase X^x Z^z, with bit masks over the listed qubits."""

MAX_GATE_QUBITS = 6
MAX_CHANNEL_QUBITS = 2
# How far a matrix may be from a Clifford gate or a Pauli channel: as far as a circuit's matrix from a unitary one.
TOLERANCE = 1e-8

_LETTERS = "IXZY"


@dataclass(frozen=True, eq=False)
class Table:
    """What an operation makes of each Pauli string behind it, in the Heisenberg picture.

    Attributes:
        codes: uint8, shape (k, 4^k): the codes of the string it becomes.
        factors: float64, shape (4^k,): what its expectation value is multiplied by.
    """

    codes: npt.NDArray[np.uint8]
    factors: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kind:
    """An operation whatever qubits it is on: a Clifford gate by its images, or a Pauli channel by its weights.

    Attributes:
        images: What the gate makes of X and Z on each listed qubit: U X_0 U^dagger, U Z_0 U^dagger, U X_1 U^dagger ...
        weights: Probability of each Pauli string, shape (4^k,); empty for a gate.
    """

    num_qubits: int
    images: tuple[Pauli, ...] = ()
    weights: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def is_channel(self) -> bool:
        """Whether it is noise."""
        return len(self.weights) > 0

    @cached_property
    def paulis(self) -> tuple[tuple[str, int], ...] | None:
        """``(letter, position)`` of the Pauli operators that the gate is a product of; ``None`` where it is another."""
        out = []
        for i in range(self.num_qubits):
            (ax, az, a), (bx, bz, b) = self.images[2 * i : 2 * i + 2]
            if (ax, az, bx, bz) != (1 << i, 0, 0, 1 << i):
                return None
            # Z turns the sign of X and X that of Z.
            if a or b:
                out.append(("Y" if a and b else "Z" if a else "X", i))
        return tuple(out)

    @cached_property
    def table(self) -> Table:
        """What it makes of each Pauli string behind it."""
        k = self.num_qubits
        index = np.arange(4**k)
        codes = np.array([(index >> 2 * i) & 3 for i in range(k)], dtype=np.uint8)
        if self.is_channel:
            # A string keeps the weight of what it commutes with and loses that of what it anticommutes with.
            factors = np.array([sum(w * _sign(p, q, k) for q, w in enumerate(self.weights)) for p in index.tolist()])
            return Table(codes, factors)
        # The images of single letters under U^dagger, from those under U: a permutation of strings up to sign.
        back = np.empty((k, 4**k), dtype=np.uint8)
        factors = np.empty(4**k)
        for p in index.tolist():
            x, z, phase = self._image(p)
            at = sum(((x >> i & 1) + 2 * (z >> i & 1)) << 2 * i for i in range(k))
            back[:, at] = codes[:, p]
            factors[at] = -1.0 if (phase - (x & z).bit_count()) % 4 else 1.0
        return Table(back, factors)

    def _image(self, index: int) -> Pauli:
        total: Pauli = (0, 0, 0)
        for i in range(self.num_qubits):
            code = index >> 2 * i & 3
            if code & 1:
                total = _product(total, self.images[2 * i])
            if code & 2:
                total = _product(total, self.images[2 * i + 1])
            if code == 3:  # Y = i X Z
                total = (total[0], total[1], (total[2] + 1) % 4)
        return total


MEASURED = Table(np.arange(4, dtype=np.uint8)[None], np.array([1.0, 0.0, 1.0, 0.0]))
"""A measurement whose outcome is forgotten: only I and Z survive."""
RESET = Table(np.zeros((1, 4), dtype=np.uint8), np.array([1.0, 0.0, 1.0, 0.0]))
"""A reset: Z becomes 1."""


def kind_of(op: Op, params: Sequence[float], matrices: Sequence[Matrix]) -> Kind | None:
    """The operation as a Clifford gate or a Pauli channel; ``None`` where it is neither, or on too many qubits."""
    return _kind(op, tuple(params), tuple((len(m), m.tobytes()) for m in matrices))


@lru_cache(maxsize=4096)
def _kind(op: Op, params: tuple[float, ...], payload: tuple[tuple[int, bytes], ...]) -> Kind | None:
    matrices = [np.frombuffer(data, np.complex128).reshape(size, size) for size, data in payload]
    if op not in CHANNELS:
        return _gate(matrices[0] if matrices else unitary(op, params))
    weights = pauli_weights(op, params)
    if weights is None:
        return _channel(matrices or kraus(op, params))
    # Keys have the first listed qubit rightmost.
    k = len(next(iter(weights)))
    order = ["".join(_LETTERS[p >> 2 * i & 3] for i in reversed(range(k))) for p in range(4**k)]
    values = np.array([max(weights.get(letters, 0.0), 0.0) for letters in order])
    return Kind(k, weights=values / values.sum())


def _gate(matrix: Matrix) -> Kind | None:
    k = len(matrix).bit_length() - 1
    if k > MAX_GATE_QUBITS:
        return None
    images = []
    for i in range(k):
        for x, z in ((1 << i, 0), (0, 1 << i)):
            image = _pauli_of(matrix @ _pauli_matrix(x, z, k) @ matrix.conj().T)
            if image is None:
                return None
            images.append(image)
    return Kind(k, tuple(images))


def _channel(operators: Sequence[Matrix]) -> Kind | None:
    k = len(operators[0]).bit_length() - 1
    if k > MAX_CHANNEL_QUBITS:
        return None
    strings = [_string_matrix(p, k) for p in range(4**k)]
    # In K = sum_P a_P P a Pauli channel has no coherence between different strings.
    parts = np.array([[np.vdot(s, op) / len(op) for s in strings] for op in operators])
    chi = parts.T @ parts.conj()
    weights = chi.diagonal().real.copy()
    if np.abs(chi - np.diag(weights)).max() > TOLERANCE:
        return None
    return Kind(k, weights=weights / weights.sum())


def _pauli_of(matrix: Matrix) -> Pauli | None:
    """The signed Pauli string that a matrix is, to `TOLERANCE`."""
    size = len(matrix)
    x = int(np.argmax(np.abs(matrix[:, 0])))
    first = matrix[x, 0]
    z = sum(1 << i for i in range(size.bit_length() - 1) if (matrix[(1 << i) ^ x, 1 << i] * first.conj()).real < 0)
    index = np.arange(size)
    phase = round(float(np.angle(first)) / (np.pi / 2)) % 4
    expected = np.zeros_like(matrix)
    expected[index ^ x, index] = 1j**phase * (1 - 2.0 * (np.bitwise_count(index & z) & 1))
    return (x, z, phase) if np.abs(matrix - expected).max() <= TOLERANCE else None


def _product(a: Pauli, b: Pauli) -> Pauli:
    # Z^z X^x = (-1)^(z.x) X^x Z^z
    return a[0] ^ b[0], a[1] ^ b[1], (a[2] + b[2] + 2 * (a[1] & b[0]).bit_count()) % 4


@cache
def _pauli_matrix(x: int, z: int, k: int) -> Matrix:
    """X^x Z^z on k qubits."""
    index = np.arange(2**k)
    out = np.zeros((2**k, 2**k), dtype=np.complex128)
    out[index ^ x, index] = 1 - 2.0 * (np.bitwise_count(index & z) & 1)
    return out


def _string_matrix(p: int, k: int) -> Matrix:
    matrix = np.eye(1, dtype=np.complex128)
    for i in range(k):
        matrix = np.kron(PAULIS[_LETTERS[p >> 2 * i & 3]], matrix).astype(np.complex128, copy=False)
    return matrix


def _sign(p: int, q: int, k: int) -> int:
    """1 where two Pauli strings commute, -1 where they do not."""
    mask = sum(1 << 2 * i for i in range(k))
    crossings = ((p & mask) & (q >> 1 & mask)).bit_count() + ((q & mask) & (p >> 1 & mask)).bit_count()
    return -1 if crossings % 2 else 1
