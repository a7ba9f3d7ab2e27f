"""The vocabulary in Cirq's gates.

Cirq is big-endian: in a Cirq matrix the first qubit is the most significant index bit. Qubit lists stay as they are,
and only the matrices that we hand to Cirq are reordered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import reverse_qubits, unitary
from proxima.contracts.operations import Op

if TYPE_CHECKING:
    import cirq

# A gate of ours as a sequence of Cirq gates, each on the listed positions of our gate's qubits.
Gates: TypeAlias = "tuple[tuple[cirq.Gate, tuple[int, ...]], ...]"


def matrix_gate(matrix: npt.NDArray[Any]) -> cirq.Gate:
    """A gate that multiplies by a little-endian matrix, unitary or not."""
    import cirq

    return cirq.MatrixGate(reverse_qubits(matrix), unitary_check=False)


@cache
def fixed_gates() -> dict[int, Gates]:
    """The gates without parameters, by operation code."""
    import cirq

    def controlled(gate: cirq.Gate) -> Gates:
        return ((cirq.ControlledGate(gate), (0, 1)),)

    one: dict[Op, cirq.Gate] = {
        Op.X: cirq.X,
        Op.Y: cirq.Y,
        Op.Z: cirq.Z,
        Op.H: cirq.H,
        Op.S: cirq.S,
        Op.SDG: cirq.S**-1,
        Op.T: cirq.T,
        Op.TDG: cirq.T**-1,
        Op.SX: cirq.X**0.5,
        Op.SXDG: cirq.X**-0.5,
    }
    many: dict[Op, cirq.Gate] = {
        Op.CX: cirq.CX,
        Op.CZ: cirq.CZ,
        Op.SWAP: cirq.SWAP,
        Op.ISWAP: cirq.ISWAP,
        Op.CCX: cirq.CCX,
        Op.CCZ: cirq.CCZ,
        Op.CSWAP: cirq.CSWAP,
    }
    table: dict[int, Gates] = {op: ((gate, (0,)),) for op, gate in one.items()}
    table |= {op: ((gate, tuple(range(cirq.num_qubits(gate)))),) for op, gate in many.items()}
    table[Op.ID] = ()
    table[Op.CY] = controlled(cirq.Y)
    table[Op.CH] = controlled(cirq.H)
    table[Op.CSX] = controlled(cirq.X**0.5)
    # ecr = X on the first qubit after rzx(pi/2): four sparse or one-qubit steps cost less than a 4x4 matrix.
    table[Op.ECR] = (*_rzx(math.pi / 2), (cirq.X, (0,)))
    return table


def _between(outer: cirq.Gate, inner: cirq.Gate, position: int) -> Gates:
    """``inner`` on one qubit between two applications of the self-inverse two-qubit gate ``outer``."""
    return ((outer, (0, 1)), (inner, (position,)), (outer, (0, 1)))


def _rzx(theta: float) -> Gates:
    import cirq

    return _between(cirq.CZ, cirq.rx(theta), 1)  # cz turns X on the second qubit into Z X


@cache
def rotations() -> dict[int, Callable[..., Gates]]:
    """The gates with parameters, by operation code."""
    import cirq

    controlled_y = cirq.ControlledGate(cirq.Y)

    def one(make: Callable[[float], cirq.Gate]) -> Callable[[float], Gates]:
        return lambda theta: ((make(theta), (0,)),)

    def controlled(make: Callable[[float], cirq.Gate]) -> Callable[[float], Gates]:
        return lambda theta: ((cirq.ControlledGate(make(theta)), (0, 1)),)

    def cu(theta: float, phi: float, lam: float, gamma: float) -> Gates:
        matrix = np.exp(1j * gamma) * unitary(Op.U, (theta, phi, lam))
        return ((cirq.ControlledGate(cirq.MatrixGate(matrix, unitary_check=False)), (0, 1)),)

    return {
        Op.RX: one(cirq.rx),
        Op.RY: one(cirq.ry),
        Op.RZ: one(cirq.rz),
        Op.P: one(lambda lam: cirq.ZPowGate(exponent=lam / math.pi)),
        Op.R: lambda *params: ((matrix_gate(unitary(Op.R, params)), (0,)),),
        Op.U: lambda *params: ((matrix_gate(unitary(Op.U, params)), (0,)),),
        Op.CRX: controlled(cirq.rx),
        Op.CRY: controlled(cirq.ry),
        Op.CRZ: controlled(cirq.rz),
        Op.CP: lambda lam: ((cirq.CZPowGate(exponent=lam / math.pi), (0, 1)),),
        Op.CU: cu,
        Op.RXX: lambda theta: _between(cirq.CX, cirq.rx(theta), 0),  # cx turns X on the first qubit into X X
        Op.RYY: lambda theta: _between(controlled_y, cirq.ry(theta), 0),  # cy turns Y on the first into Y Y
        # A ZZ power without this shift is rzz up to a phase, which a condition would not forgive.
        Op.RZZ: lambda theta: ((cirq.ZZPowGate(exponent=theta / math.pi, global_shift=-0.5), (0, 1)),),
        Op.RZX: _rzx,
    }


def gates_of(op: int, params: Sequence[float]) -> Gates:
    """A gate of the vocabulary, ``unitary`` excepted, in Cirq's gates."""
    return rotations()[op](*params) if params else fixed_gates()[op]
