"""Reference matrices: the meaning of every gate and channel.

In every matrix here the first listed qubit is the least significant bit of the index, as in Qiskit; dtype complex128.
Sources: OpenQASM 2 (arXiv:1707.03429), OpenQASM 3 (arXiv:2104.14722), Nielsen and Chuang, chapter 8, for the channels.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import CircuitError

Matrix: TypeAlias = npt.NDArray[np.complex128]


def reverse_qubits(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A matrix of shape (2^k, 2^k) with the order of its qubits reversed: little-endian to big-endian, and back."""
    k = len(matrix).bit_length() - 1
    axes = (*range(k - 1, -1, -1), *range(2 * k - 1, k - 1, -1))
    return np.ascontiguousarray(matrix.reshape((2,) * (2 * k)).transpose(axes).reshape(matrix.shape))


def _matrix(rows: Sequence[Sequence[complex]]) -> Matrix:
    return np.array(rows, dtype=np.complex128)


_I = _matrix([[1, 0], [0, 1]])
_X = _matrix([[0, 1], [1, 0]])
_Y = _matrix([[0, -1j], [1j, 0]])
_Z = _matrix([[1, 0], [0, -1]])
_H = _matrix([[1, 1], [1, -1]]) / math.sqrt(2)
_SX = _matrix([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_SWAP = _matrix([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

PAULIS: dict[str, Matrix] = {"I": _I, "X": _X, "Y": _Y, "Z": _Z}


@cache
def _pauli(letters: str) -> Matrix:  # the rightmost letter acts on the first listed qubit
    matrix = _matrix([[1]])
    for letter in letters:
        matrix = np.kron(matrix, PAULIS[letter]).astype(np.complex128, copy=False)
    return matrix


def _diagonal(*entries: complex) -> Matrix:
    return np.diag(np.array(entries, dtype=np.complex128))


def _rotation(generator: Matrix, theta: float) -> Matrix:  # exp(-i theta G / 2) where G^2 = 1
    identity = np.eye(len(generator), dtype=np.complex128)
    return math.cos(theta / 2) * identity - 1j * math.sin(theta / 2) * generator


def _controlled(matrix: Matrix) -> Matrix:  # on the later qubits where the first listed qubit is 1
    out = np.eye(2 * len(matrix), dtype=np.complex128)
    out[1::2, 1::2] = matrix
    return out


def _u(theta: float, phi: float, lam: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return _matrix([[c, -cmath.exp(1j * lam) * s], [cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c]])


_UNITARIES: dict[Op, Callable[..., Matrix]] = {
    Op.ID: lambda: _I,
    Op.X: lambda: _X,
    Op.Y: lambda: _Y,
    Op.Z: lambda: _Z,
    Op.H: lambda: _H,
    Op.S: lambda: _diagonal(1, 1j),
    Op.SDG: lambda: _diagonal(1, -1j),
    Op.T: lambda: _diagonal(1, cmath.exp(1j * math.pi / 4)),
    Op.TDG: lambda: _diagonal(1, cmath.exp(-1j * math.pi / 4)),
    Op.SX: lambda: _SX,
    Op.SXDG: lambda: _SX.conj().T,
    Op.RX: lambda theta: _rotation(_X, theta),
    Op.RY: lambda theta: _rotation(_Y, theta),
    Op.RZ: lambda theta: _rotation(_Z, theta),
    Op.P: lambda lam: _diagonal(1, cmath.exp(1j * lam)),
    Op.R: lambda theta, phi: _rotation(math.cos(phi) * _X + math.sin(phi) * _Y, theta),
    Op.U: _u,
    Op.CX: lambda: _controlled(_X),
    Op.CY: lambda: _controlled(_Y),
    Op.CZ: lambda: _controlled(_Z),
    Op.CH: lambda: _controlled(_H),
    Op.CSX: lambda: _controlled(_SX),
    Op.SWAP: lambda: _SWAP,
    Op.ISWAP: lambda: _matrix([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]]),
    Op.ECR: lambda: (_pauli("IX") - _pauli("XY")) / math.sqrt(2),
    Op.CRX: lambda theta: _controlled(_rotation(_X, theta)),
    Op.CRY: lambda theta: _controlled(_rotation(_Y, theta)),
    Op.CRZ: lambda theta: _controlled(_rotation(_Z, theta)),
    Op.CP: lambda lam: _diagonal(1, 1, 1, cmath.exp(1j * lam)),
    Op.CU: lambda theta, phi, lam, gamma: _controlled(cmath.exp(1j * gamma) * _u(theta, phi, lam)),
    Op.RXX: lambda theta: _rotation(_pauli("XX"), theta),
    Op.RYY: lambda theta: _rotation(_pauli("YY"), theta),
    Op.RZZ: lambda theta: _rotation(_pauli("ZZ"), theta),
    Op.RZX: lambda theta: _rotation(_pauli("XZ"), theta),
    Op.CCX: lambda: _controlled(_controlled(_X)),
    Op.CCZ: lambda: _controlled(_controlled(_Z)),
    Op.CSWAP: lambda: _controlled(_SWAP),
}


def unitary(op: Op, params: Sequence[float] = ()) -> Matrix:
    """The reference unitary of a gate.

    Returns:
        Shape (2^k, 2^k) for a gate on k qubits; the first listed qubit is the least significant index bit.

    Raises:
        CircuitError: ``op`` is not a gate with a fixed definition.
    """
    make = _UNITARIES.get(op)
    if make is None:
        raise CircuitError(f"{op.name.lower()} has no unitary of its own")
    return make(*params)


_PAULI_WEIGHTS: dict[Op, Callable[..., dict[str, float]]] = {
    Op.DEPOLARIZING: lambda p: {"I": 1 - p, "X": p / 3, "Y": p / 3, "Z": p / 3},
    Op.DEPOLARIZING2: lambda p: {b + a: 1 - p if a == b == "I" else p / 15 for b in PAULIS for a in PAULIS},
    Op.BIT_FLIP: lambda p: {"I": 1 - p, "X": p},
    Op.PHASE_FLIP: lambda p: {"I": 1 - p, "Z": p},
    Op.BIT_PHASE_FLIP: lambda p: {"I": 1 - p, "Y": p},
    Op.PAULI_CHANNEL: lambda px, py, pz: {"I": 1 - px - py - pz, "X": px, "Y": py, "Z": pz},
}


def pauli_weights(op: Op, params: Sequence[float]) -> dict[str, float] | None:
    """Probabilities of Pauli strings for a Pauli channel, ``None`` for any other.

    Returns:
        For example ``{"I": .97, "X": .01, ...}``; two letters for two qubits, the rightmost on the first listed qubit.
    """
    make = _PAULI_WEIGHTS.get(op)
    return make(*params) if make else None


def _damping(gamma: float) -> tuple[Matrix, Matrix]:
    return _diagonal(1, math.sqrt(1 - gamma)), _matrix([[0, math.sqrt(gamma)], [0, 0]])


def _generalised_damping(p: float, gamma: float) -> tuple[Matrix, ...]:
    to_zero = _damping(gamma)
    return (*(math.sqrt(p) * k for k in to_zero), *(math.sqrt(1 - p) * _X @ k @ _X for k in to_zero))


_OTHER_CHANNELS: dict[Op, Callable[..., tuple[Matrix, ...]]] = {
    Op.AMPLITUDE_DAMPING: _damping,
    Op.GENERALIZED_AMPLITUDE_DAMPING: _generalised_damping,
    Op.PHASE_DAMPING: lambda lam: (_diagonal(1, math.sqrt(1 - lam)), _diagonal(0, math.sqrt(lam))),
}


def kraus(op: Op, params: Sequence[float] = ()) -> tuple[Matrix, ...]:
    """The reference Kraus operators of a channel, in a fixed order, those of zero weight included.

    Returns:
        Matrices of shape (2^k, 2^k) whose sum of K^dagger K is the identity.

    Raises:
        CircuitError: ``op`` is not a channel with a fixed definition, or a probability lies outside [0, 1].
    """
    if op not in _PAULI_WEIGHTS and op not in _OTHER_CHANNELS:
        raise CircuitError(f"{op.name.lower()} is not a channel with a fixed definition")
    for name, value in zip(OPERATIONS[op].params, params, strict=True):
        if not 0.0 <= value <= 1.0:
            raise CircuitError(f"{op.name.lower()}: {name} = {value} lies outside [0, 1]")
    if op is Op.PAULI_CHANNEL and sum(params) > 1.0 + 1e-8:  # what a circuit accepts
        raise CircuitError(f"pauli_channel: px + py + pz = {sum(params)} exceeds 1")
    weights = pauli_weights(op, params)
    if weights is None:
        return _OTHER_CHANNELS[op](*params)
    return tuple(math.sqrt(max(weight, 0.0)) * _pauli(letters) for letters, weight in weights.items())
