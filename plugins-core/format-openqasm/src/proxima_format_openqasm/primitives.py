"""Operations while OpenQASM 3 gate modifiers act on them: exact, global phase included.

A call expands to a list of primitives; ``ctrl``, ``negctrl``, ``inv`` and ``pow`` turn lists into lists. What the
vocabulary has no name for becomes a matrix.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from proxima.contracts.matrices import Matrix, unitary
from proxima.contracts.operations import Op
from proxima.errors import UsageError
from proxima_format_openqasm.affine import Value, number

GPHASE = -1
"""Code of a global phase: one parameter, no qubits."""

MAX_MATRIX_QUBITS = 8
"""Largest gate that is written as a matrix."""


class ModifierError(UsageError):
    """A modifier that cannot be applied to this gate."""


class Primitive(NamedTuple):
    """One operation of the vocabulary, or a global phase."""

    op: int
    qubits: tuple[int, ...] = ()
    params: tuple[Value, ...] = ()
    matrix: Matrix | None = None


_CONTROLLED: dict[int, Op] = {
    Op.X: Op.CX,
    Op.Y: Op.CY,
    Op.Z: Op.CZ,
    Op.H: Op.CH,
    Op.SX: Op.CSX,
    Op.SWAP: Op.CSWAP,
    Op.RX: Op.CRX,
    Op.RY: Op.CRY,
    Op.RZ: Op.CRZ,
    Op.P: Op.CP,
    Op.CX: Op.CCX,
    Op.CZ: Op.CCZ,
}
_PHASES: dict[int, float] = {
    Op.Z: math.pi,
    Op.S: math.pi / 2,
    Op.SDG: -math.pi / 2,
    Op.T: math.pi / 4,
    Op.TDG: -math.pi / 4,
}
_INVERSE: dict[int, Op] = {
    Op.S: Op.SDG,
    Op.SDG: Op.S,
    Op.T: Op.TDG,
    Op.TDG: Op.T,
    Op.SX: Op.SXDG,
    Op.SXDG: Op.SX,
}
_SELF_INVERSE = frozenset(
    (Op.ID, Op.X, Op.Y, Op.Z, Op.H, Op.CX, Op.CY, Op.CZ, Op.CH, Op.SWAP, Op.ECR, Op.CCX, Op.CCZ, Op.CSWAP, Op.BARRIER)
)
# The inverse has the first angle negated, and so every power is a multiple of it.
_TURNS = frozenset(
    (Op.RX, Op.RY, Op.RZ, Op.P, Op.R, Op.CRX, Op.CRY, Op.CRZ, Op.CP, Op.RXX, Op.RYY, Op.RZZ, Op.RZX, GPHASE)
)


def controlled(body: Sequence[Primitive], control: int, *, on: bool) -> list[Primitive]:
    """The body where ``control`` is 1, or 0 if not ``on``."""
    flip = [] if on else [Primitive(Op.X, (control,))]
    return [*flip, *(c for p in body for c in _controlled(p, control)), *flip]


def _controlled(p: Primitive, control: int) -> list[Primitive]:
    qubits = (control, *p.qubits)
    if p.op == GPHASE:
        return [Primitive(Op.P, (control,), p.params)]
    if p.op == Op.ID:
        return []
    if p.op == Op.BARRIER:
        return [Primitive(Op.BARRIER, qubits)]
    if p.op in _CONTROLLED:
        return [Primitive(_CONTROLLED[p.op], qubits, p.params)]
    if p.op in _PHASES:
        return [Primitive(Op.CP, qubits, (_PHASES[p.op],))]
    if p.op == Op.U:
        return [Primitive(Op.CU, qubits, (*p.params, 0.0))]
    inner = _own_matrix(p)
    if len(qubits) > MAX_MATRIX_QUBITS:
        raise ModifierError(f"a gate with its controls acts on {len(qubits)} qubits; the limit is {MAX_MATRIX_QUBITS}")
    matrix = np.eye(2 * len(inner), dtype=np.complex128)
    matrix[1::2, 1::2] = inner
    return [Primitive(Op.UNITARY, qubits, matrix=matrix)]


def inverse(body: Sequence[Primitive]) -> list[Primitive]:
    """The body undone: each inverted, in reverse order."""
    return [i for p in reversed(body) for i in _inverse(p)]


def _inverse(p: Primitive) -> list[Primitive]:
    if p.op in _SELF_INVERSE:
        return [p]
    if p.op in _INVERSE:
        return [p._replace(op=_INVERSE[p.op])]
    if p.op in _TURNS:
        return [p._replace(params=(-p.params[0], *p.params[1:]))]
    if p.op == Op.U or p.op == Op.CU:
        theta, phi, lam, *gamma = p.params
        return [p._replace(params=(-theta, -lam, -phi, *(-g for g in gamma)))]
    if p.op == Op.CSX:
        return [p._replace(op=Op.CX), p]
    if p.op == Op.ISWAP:
        return [Primitive(Op.RXX, p.qubits, (math.pi / 2,)), Primitive(Op.RYY, p.qubits, (math.pi / 2,))]
    return [Primitive(Op.UNITARY, p.qubits, matrix=_own_matrix(p).conj().T)]


def power(body: Sequence[Primitive], exponent: float, *, limit: int) -> list[Primitive]:
    """The body to a power: repeated for an integer, else the principal root (angles of eigenvalues in (-pi, pi]).

    Raises:
        ModifierError: An integer power has more than ``limit`` operations; a root of an open or a large gate.
    """
    if exponent == int(exponent):
        whole = list(body) if exponent >= 0 else inverse(body)
        if len(whole) * abs(int(exponent)) > limit:
            raise ModifierError(f"pow({exponent:g}) makes more than {limit:,} operations")
        return whole * abs(int(exponent))
    if len(body) == 1:
        p = body[0]
        if p.op in _PHASES:
            return [Primitive(Op.P, p.qubits, (_PHASES[p.op] * exponent,))]
        if p.op == Op.P or p.op == GPHASE:
            turned = _principal(_fixed(p.params[0])) * exponent
            return [p._replace(params=(turned,))]
    qubits = tuple(dict.fromkeys(q for p in body for q in p.qubits))
    if len(qubits) > MAX_MATRIX_QUBITS:
        raise ModifierError(f"a root of a gate on {len(qubits)} qubits; the limit is {MAX_MATRIX_QUBITS}")
    root = _matrix_power(matrix_of(body, qubits), exponent)
    return [Primitive(Op.UNITARY, qubits, matrix=root)] if qubits else [_phase_of(root)]


def _phase_of(matrix: Matrix) -> Primitive:
    return Primitive(GPHASE, (), (cmath.phase(complex(matrix[0, 0])),))


def _principal(angle: float) -> float:
    turned = math.remainder(angle, 2 * math.pi)
    return math.pi if turned == -math.pi else turned


def _matrix_power(matrix: Matrix, exponent: float) -> Matrix:
    # For a normal matrix, the QR basis of its eigenvectors is orthonormal and still diagonalises it.
    basis = np.linalg.qr(np.linalg.eig(matrix)[1])[0]
    values = np.diag(basis.conj().T @ matrix @ basis)
    angles = np.angle(values)
    # -pi and pi are one angle; rounding must not choose between the two roots.
    angles = np.where(angles < -np.pi + 1e-9, np.pi, angles)
    powered: Matrix = (basis * np.exp(1j * angles * exponent)) @ basis.conj().T
    return powered


def matrix_of(body: Sequence[Primitive], qubits: Sequence[int]) -> Matrix:
    """The matrix of a list of primitives; the first of ``qubits`` is the least significant index bit.

    Raises:
        ModifierError: A parameter is open.
    """
    n = len(qubits)
    place = {qubit: i for i, qubit in enumerate(qubits)}
    total = np.eye(2**n, dtype=np.complex128)
    for p in body:
        if p.op == GPHASE:
            total *= cmath.exp(1j * _fixed(p.params[0]))
        elif p.op != Op.BARRIER:
            gate, k = _own_matrix(p), len(p.qubits)
            # Axis of qubit i among n axes: n-1-i, the last axis being the least significant.
            axes = [n - 1 - place[q] for q in reversed(p.qubits)]
            tensor = total.reshape((2,) * n + (2**n,))
            moved = np.tensordot(gate.reshape((2,) * (2 * k)), tensor, axes=(range(k, 2 * k), axes))
            total = np.moveaxis(moved, range(k), axes).reshape(2**n, 2**n)
    return total


def _own_matrix(p: Primitive) -> Matrix:
    if p.matrix is not None:
        return p.matrix
    return unitary(Op(p.op), [_fixed(value) for value in p.params])


def _fixed(value: Value) -> float:
    fixed = number(value)
    if fixed is None:
        raise ModifierError(f"this modifier needs a number for the open angle {value}")
    return fixed
