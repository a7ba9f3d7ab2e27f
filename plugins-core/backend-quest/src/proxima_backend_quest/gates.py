"""Gates and channels as operations of qoqo; what qoqo has no word for is left to the plugin.

Conventions met here: `PragmaDepolarising`, `PragmaDephasing` and `PragmaDamping` take a time and a rate, not a
probability; the gate times are 1. qoqo-quest 0.19 runs `Toffoli` and `ControlledSWAP` with their first qubit as the
target, so both are made of others.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from proxima.contracts.matrices import Matrix
from proxima.contracts.operations import Op

_FAR = 1e3  # a time after which an exponential decay is over, in double precision

Qubits = Sequence[int]
Angles = Sequence[float]


def _single(o: Any, matrix: Matrix, qubit: int) -> Any:
    """A gate on one qubit, up to global phase: [[a, -b*], [b, a*]]."""
    special = matrix / cmath.sqrt(complex(np.linalg.det(matrix)))
    a, b = complex(special[0, 0]), complex(special[1, 0])
    return o.SingleQubitGate(qubit, a.real, a.imag, b.real, b.imag, 0.0)


def _u(o: Any, qubit: int, theta: float, phi: float, lam: float) -> Any:
    a = cmath.rect(math.cos(theta / 2), -(phi + lam) / 2)
    b = cmath.rect(math.sin(theta / 2), (phi - lam) / 2)
    return o.SingleQubitGate(qubit, a.real, a.imag, b.real, b.imag, 0.0)


def _cu(o: Any, q: Qubits, p: Angles) -> list[Any]:
    theta, phi, lam, gamma = p
    return [
        o.PhaseShiftState1(q[0], gamma + (phi + lam) / 2),
        o.RotateZ(q[1], (lam - phi) / 2),
        o.CNOT(q[0], q[1]),
        o.RotateZ(q[1], -(phi + lam) / 2),
        o.RotateY(q[1], -theta / 2),
        o.CNOT(q[0], q[1]),
        o.RotateY(q[1], theta / 2),
        o.RotateZ(q[1], phi),
    ]


def _ccx(o: Any, q: Qubits) -> list[Any]:
    return [o.Hadamard(q[2]), o.ControlledControlledPauliZ(q[0], q[1], q[2]), o.Hadamard(q[2])]


def _rzz(o: Any, q: Qubits, angle: float) -> list[Any]:
    """Three diagonal gates, which take a third of `MultiQubitZZ`'s time."""
    return [
        o.PhaseShiftState1(q[0], angle),
        o.PhaseShiftState1(q[1], angle),
        o.ControlledPhaseShift(q[0], q[1], -2 * angle),
    ]


def _ryy(o: Any, q: Qubits, angle: float) -> list[Any]:
    turn = [o.RotateX(qubit, math.pi / 2) for qubit in q]
    back = [o.RotateX(qubit, -math.pi / 2) for qubit in q]
    return [*turn, *_rzz(o, q, angle), *back]


_GATES: dict[int, Callable[[Any, Qubits, Angles], list[Any]]] = {
    Op.ID: lambda o, q, p: [],
    Op.BARRIER: lambda o, q, p: [],
    Op.X: lambda o, q, p: [o.PauliX(q[0])],
    Op.Y: lambda o, q, p: [o.PauliY(q[0])],
    Op.Z: lambda o, q, p: [o.PauliZ(q[0])],
    Op.H: lambda o, q, p: [o.Hadamard(q[0])],
    Op.S: lambda o, q, p: [o.SGate(q[0])],
    Op.T: lambda o, q, p: [o.TGate(q[0])],
    Op.SX: lambda o, q, p: [o.SqrtPauliX(q[0])],
    Op.SXDG: lambda o, q, p: [o.InvSqrtPauliX(q[0])],
    Op.RX: lambda o, q, p: [o.RotateX(q[0], p[0])],
    Op.RY: lambda o, q, p: [o.RotateY(q[0], p[0])],
    Op.RZ: lambda o, q, p: [o.RotateZ(q[0], p[0])],
    Op.P: lambda o, q, p: [o.PhaseShiftState1(q[0], p[0])],
    Op.SDG: lambda o, q, p: [o.PhaseShiftState1(q[0], -math.pi / 2)],
    Op.TDG: lambda o, q, p: [o.PhaseShiftState1(q[0], -math.pi / 4)],
    Op.R: lambda o, q, p: [o.RotateXY(q[0], p[0], p[1])],
    Op.U: lambda o, q, p: [_u(o, q[0], *p)],
    Op.CX: lambda o, q, p: [o.CNOT(q[0], q[1])],
    Op.CY: lambda o, q, p: [o.ControlledPauliY(q[0], q[1])],
    Op.CZ: lambda o, q, p: [o.ControlledPauliZ(q[0], q[1])],
    Op.CH: lambda o, q, p: [o.RotateY(q[1], -math.pi / 4), o.ControlledPauliZ(*q), o.RotateY(q[1], math.pi / 4)],
    Op.CSX: lambda o, q, p: [o.Hadamard(q[1]), o.ControlledPhaseShift(q[0], q[1], math.pi / 2), o.Hadamard(q[1])],
    Op.SWAP: lambda o, q, p: [o.SWAP(q[0], q[1])],
    Op.ISWAP: lambda o, q, p: [o.ISwap(q[0], q[1])],
    Op.ECR: lambda o, q, p: [o.EchoCrossResonance(q[0], q[1])],
    Op.CRX: lambda o, q, p: [o.ControlledRotateX(q[0], q[1], p[0])],
    Op.CRY: lambda o, q, p: [o.ControlledRotateXY(q[0], q[1], p[0], math.pi / 2)],
    Op.CRZ: lambda o, q, p: [o.ControlledPhaseShift(q[0], q[1], p[0]), o.PhaseShiftState1(q[0], -p[0] / 2)],
    Op.CP: lambda o, q, p: [o.ControlledPhaseShift(q[0], q[1], p[0])],
    Op.CU: _cu,
    Op.RXX: lambda o, q, p: [o.VariableMSXX(q[0], q[1], p[0])],
    Op.RYY: lambda o, q, p: _ryy(o, q, p[0]),
    Op.RZZ: lambda o, q, p: _rzz(o, q, p[0]),
    Op.RZX: lambda o, q, p: [o.Hadamard(q[1]), *_rzz(o, q, p[0]), o.Hadamard(q[1])],
    Op.CCX: lambda o, q, p: _ccx(o, q),
    Op.CCZ: lambda o, q, p: [o.ControlledControlledPauliZ(q[0], q[1], q[2])],
    Op.CSWAP: lambda o, q, p: [o.CNOT(q[2], q[1]), *_ccx(o, q), o.CNOT(q[2], q[1])],
}


def gate(o: Any, op: int, qubits: Qubits, params: Angles) -> list[Any]:
    """A gate of the vocabulary but ``unitary``, or a barrier; exact up to a global phase."""
    return _GATES[op](o, qubits, params)


def single_qubit_matrix(o: Any, matrix: Matrix, qubit: int) -> list[Any]:
    """A unitary matrix on one qubit; qoqo takes none on more."""
    return [_single(o, matrix, qubit)]


def dephasing(o: Any, qubit: int, p: float) -> list[Any]:
    """Z with probability p: qoqo's is (1 - exp(-2 t r)) / 2, one half at most."""
    before = [o.PauliZ(qubit)] if p > 0.5 else []
    weak = min(p, 1 - p)
    rate = -math.log1p(-2 * weak) / 2 if weak < 0.5 else _FAR
    return [*before, o.PragmaDephasing(qubit, 1.0, rate)]


def damping(o: Any, qubit: int, gamma: float) -> list[Any]:
    """Decay to |0> with probability gamma: qoqo's is 1 - exp(-t r). With gamma = 1 it is a reset."""
    return [o.PragmaDamping(qubit, 1.0, -math.log1p(-gamma) if gamma < 1 else _FAR)]


def channel(o: Any, op: Op, qubit: int, params: Angles) -> list[Any] | None:
    """A channel on one qubit; ``None`` where qoqo has no word for it."""
    p = params[0] if params else 0.0
    match op:
        case Op.DEPOLARIZING if p < 0.75:
            # qoqo's probability is 3 (1 - exp(-t r)) / 4
            return [o.PragmaDepolarising(qubit, 1.0, -math.log1p(-4 * p / 3))]
        case Op.PHASE_FLIP:
            return dephasing(o, qubit, p)
        case Op.BIT_FLIP:
            return [o.Hadamard(qubit), *dephasing(o, qubit, p), o.Hadamard(qubit)]
        case Op.BIT_PHASE_FLIP:
            return [o.SqrtPauliX(qubit), *dephasing(o, qubit, p), o.InvSqrtPauliX(qubit)]
        case Op.PHASE_DAMPING:
            return dephasing(o, qubit, (1 - math.sqrt(1 - p)) / 2)
        case Op.AMPLITUDE_DAMPING:
            return damping(o, qubit, p)
        case _:
            return None
