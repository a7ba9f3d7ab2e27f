"""The circuit vocabulary in qsim's terms, as plain data that needs no engine.

A `Gate` is ``(name, qubits, numbers)``. The name is a qsim gate kind such as ``"kCX"``; or ``"matrix"``, with the
matrix row by row as real and imaginary parts, the first listed qubit the *most* significant index bit; or
``"diagonal"``, with the phases in radians in the same order. As with us, qubit i is bit i of the statevector's index.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import Op
from proxima.errors import UnsupportedError

Gate: TypeAlias = tuple[str, list[int], list[float]]

MAX_MATRIX_QUBITS = 6

KINDS: dict[int, str] = {
    Op.X: "kX",
    Op.Y: "kY",
    Op.Z: "kZ",
    Op.H: "kH",
    Op.S: "kS",
    Op.T: "kT",
    Op.CX: "kCX",
    Op.CZ: "kCZ",
    Op.SWAP: "kSWAP",
    Op.ISWAP: "kISWAP",
    Op.CCX: "kCCX",
    Op.CCZ: "kCCZ",
    Op.CSWAP: "kCSwapGate",
}
_COMPLEX_KINDS = {"kY": Op.Y, "kS": Op.S, "kT": Op.T, "kISWAP": Op.ISWAP}

_FIXED = frozenset({Op.SDG, Op.TDG, Op.SX, Op.SXDG, Op.CY, Op.CH, Op.CSX, Op.ECR})


def _phase(angle: float) -> float:
    """The angle within [-pi, pi]: qsim keeps angles in single precision."""
    return math.remainder(angle, math.tau)


def _rx(theta: float) -> list[float]:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return [c, 0.0, 0.0, -s, 0.0, -s, c, 0.0]


def _ry(theta: float) -> list[float]:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return [c, 0.0, -s, 0.0, s, 0.0, c, 0.0]


def _rz(theta: float) -> list[float]:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return [c, -s, 0.0, 0.0, 0.0, 0.0, c, s]


def _p(lam: float) -> list[float]:
    return [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.cos(lam), math.sin(lam)]


def _r(theta: float, phi: float) -> list[float]:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    x, y = s * math.cos(phi), s * math.sin(phi)
    return [c, 0.0, -y, -x, y, -x, c, 0.0]


def _u(theta: float, phi: float, lam: float, gamma: float = 0.0) -> list[float]:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    a, b, d = gamma + lam, gamma + phi, gamma + phi + lam
    return [
        *(c * math.cos(gamma), c * math.sin(gamma), -s * math.cos(a), -s * math.sin(a)),
        *(s * math.cos(b), s * math.sin(b), c * math.cos(d), c * math.sin(d)),
    ]


def _controlled(u: list[float]) -> list[float]:
    """A one-qubit matrix on the second qubit where the first is 1; the second is the more significant bit."""
    return [
        *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(0.0, 0.0, u[0], u[1], 0.0, 0.0, u[2], u[3]),
        *(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
        *(0.0, 0.0, u[4], u[5], 0.0, 0.0, u[6], u[7]),
    ]


def _pauli_rotation(theta: float, columns: tuple[int, ...], signs: tuple[int, ...]) -> list[float]:
    """cos(theta/2) - i sin(theta/2) P for the permutation matrix with ``signs[row]`` at ``(row, columns[row])``."""
    out = [0.0] * 32
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    for row in range(4):
        out[10 * row] = c
        out[8 * row + 2 * columns[row] + 1] = -s * signs[row]
    return out


# The qubits are handed over last first, because a matrix here has the first listed qubit least significant.
_MATRICES: dict[int, Callable[..., list[float]]] = {
    Op.RX: _rx,
    Op.RY: _ry,
    Op.RZ: _rz,
    Op.P: _p,
    Op.R: _r,
    Op.U: _u,
    Op.CRX: lambda theta: _controlled(_rx(theta)),
    Op.CRY: lambda theta: _controlled(_ry(theta)),
    Op.CU: lambda theta, phi, lam, gamma: _controlled(_u(theta, phi, lam, gamma)),
    Op.RXX: lambda theta: _pauli_rotation(theta, (3, 2, 1, 0), (1, 1, 1, 1)),
    Op.RYY: lambda theta: _pauli_rotation(theta, (3, 2, 1, 0), (-1, 1, 1, -1)),
    Op.RZX: lambda theta: _pauli_rotation(theta, (2, 3, 0, 1), (1, -1, 1, -1)),
}


def _rzz(theta: float) -> list[float]:
    half = math.remainder(theta, 2 * math.tau) / 2
    return [-half, half, half, -half]


def _crz(theta: float) -> list[float]:
    half = math.remainder(theta, 2 * math.tau) / 2
    return [0.0, 0.0, -half, half]


_DIAGONALS: dict[int, Callable[[float], list[float]]] = {
    Op.CP: lambda lam: [0.0, 0.0, 0.0, _phase(lam)],
    Op.RZZ: _rzz,
    Op.CRZ: _crz,
}


def interleaved(matrix: npt.NDArray[np.complex128]) -> list[float]:
    """A matrix row by row, each entry as its real and imaginary part."""
    numbers: list[float] = np.ascontiguousarray(matrix, dtype=np.complex128).view(np.float64).ravel().tolist()
    return numbers


@cache
def _fixed(op: Op) -> list[float]:
    return interleaved(unitary(op))


def matrix_gate(matrix: npt.NDArray[np.complex128], qubits: Sequence[int], name: str) -> Gate:
    """A gate, unitary or not, from a matrix whose first listed qubit is the least significant index bit.

    Raises:
        UnsupportedError: It acts on more than six qubits; ``name`` says which operation that is.
    """
    if len(qubits) > MAX_MATRIX_QUBITS:
        raise UnsupportedError(
            f"qsim applies matrices on at most {MAX_MATRIX_QUBITS} qubits, {name} has {len(qubits)}",
            hint="use the backend qiskit-aer or cirq",
        )
    return "matrix", list(qubits)[::-1], interleaved(matrix)


def lower(circuit: Circuit) -> list[Gate | None]:
    """The unitary part of a circuit: for each row its gate, or ``None`` where the row is not a gate or does nothing.

    Raises:
        UnsupportedError: A matrix on more than six qubits.
    """
    gates: list[Gate | None] = []
    append = gates.append
    payloads: list[int] = circuit.columns.payloads.tolist() if circuit.payloads else []
    for row, (op, qubits, params) in enumerate(circuit.rows()):
        if op in KINDS:
            append((KINDS[op], qubits, []))
        elif op in _MATRICES:
            append(("matrix", qubits[::-1], _MATRICES[op](*params)))
        elif op in _DIAGONALS:
            append(("diagonal", qubits, _DIAGONALS[op](*params)))
        elif op in _FIXED:
            append(("matrix", qubits[::-1], _fixed(Op(op))))
        elif op == Op.UNITARY:
            append(matrix_gate(circuit.payloads[payloads[row]][0], qubits, "unitary"))
        else:
            append(None)
    return gates


def conjugate(gate: Gate, shift: int) -> Gate:
    """The complex conjugate of a gate, on qubits ``shift`` higher: how it acts on the columns of a density matrix."""
    name, qubits, numbers = gate
    qubits = [q + shift for q in qubits]
    if name == "diagonal":
        return name, qubits, [-angle for angle in numbers]
    if name in _COMPLEX_KINDS:
        name, qubits, numbers = "matrix", qubits[::-1], _fixed(_COMPLEX_KINDS[name])
    if name == "matrix":
        numbers = [-x if i % 2 else x for i, x in enumerate(numbers)]
    return name, qubits, numbers


def pauli_gates(letters: str) -> list[Gate]:
    """A Pauli string as gates; the leftmost letter acts on the highest qubit."""
    return [("k" + letter, [qubit], []) for qubit, letter in enumerate(reversed(letters)) if letter != "I"]
