"""Gates and channels written in others, up to a global phase; checked against the reference matrices (`matrices`).

Sources: OpenQASM 2 (arXiv:1707.03429), its qelib1.inc, for the controlled gates; Barenco et al., "Elementary gates for
quantum computation" (arXiv:quant-ph/9503016), for those on three qubits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from proxima.contracts.operations import Op

Rule: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]
"""From the gate's parameters to steps in circuit order, each an operation, its parameters and the gate's qubits."""


_PI = math.pi

RULES: dict[Op, tuple[Rule, ...]] = {
    Op.ID: (list,),
    Op.BARRIER: (list,),
    Op.X: (
        lambda: [(Op.SX, 0), (Op.SX, 0)],
        lambda: [(Op.H, 0), (Op.Z, 0), (Op.H, 0)],
        lambda: [(Op.RX, _PI, 0)],
        lambda: [(Op.U, _PI, 0.0, _PI, 0)],
    ),
    Op.Y: (
        lambda: [(Op.Z, 0), (Op.X, 0)],
        lambda: [(Op.RY, _PI, 0)],
        lambda: [(Op.U, _PI, _PI / 2, _PI / 2, 0)],
    ),
    Op.Z: (
        lambda: [(Op.S, 0), (Op.S, 0)],
        lambda: [(Op.H, 0), (Op.X, 0), (Op.H, 0)],
        lambda: [(Op.P, _PI, 0)],
    ),
    Op.H: (
        lambda: [(Op.S, 0), (Op.SX, 0), (Op.S, 0)],
        lambda: [(Op.RY, _PI / 2, 0), (Op.X, 0)],
        lambda: [(Op.U, _PI / 2, 0.0, _PI, 0)],
    ),
    Op.S: (lambda: [(Op.T, 0), (Op.T, 0)], lambda: [(Op.SDG, 0), (Op.Z, 0)], lambda: [(Op.P, _PI / 2, 0)]),
    Op.SDG: (lambda: [(Op.S, 0), (Op.Z, 0)], lambda: [(Op.P, -_PI / 2, 0)]),
    Op.T: (lambda: [(Op.TDG, 0), (Op.S, 0)], lambda: [(Op.P, _PI / 4, 0)]),
    Op.TDG: (lambda: [(Op.T, 0), (Op.SDG, 0)], lambda: [(Op.P, -_PI / 4, 0)]),
    Op.SX: (
        lambda: [(Op.H, 0), (Op.S, 0), (Op.H, 0)],
        lambda: [(Op.SXDG, 0), (Op.X, 0)],
        lambda: [(Op.RX, _PI / 2, 0)],
    ),
    Op.SXDG: (lambda: [(Op.SX, 0), (Op.X, 0)], lambda: [(Op.RX, -_PI / 2, 0)]),
    Op.RX: (
        lambda t: [(Op.R, t, 0.0, 0)],
        lambda t: [(Op.H, 0), (Op.RZ, t, 0), (Op.H, 0)],
        lambda t: [(Op.RZ, _PI / 2, 0), (Op.RY, t, 0), (Op.RZ, -_PI / 2, 0)],
        lambda t: [(Op.U, t, -_PI / 2, _PI / 2, 0)],
    ),
    Op.RY: (
        lambda t: [(Op.R, t, _PI / 2, 0)],
        lambda t: [(Op.RZ, -_PI / 2, 0), (Op.RX, t, 0), (Op.RZ, _PI / 2, 0)],
        lambda t: [(Op.U, t, 0.0, 0.0, 0)],
    ),
    Op.RZ: (
        lambda t: [(Op.P, t, 0)],
        lambda t: [(Op.H, 0), (Op.RX, t, 0), (Op.H, 0)],
        lambda t: [(Op.RX, -_PI / 2, 0), (Op.RY, t, 0), (Op.RX, _PI / 2, 0)],
        lambda t: [(Op.U, 0.0, 0.0, t, 0)],
    ),
    Op.P: (lambda t: [(Op.RZ, t, 0)],),
    Op.R: (
        lambda t, p: [(Op.RZ, -p, 0), (Op.RX, t, 0), (Op.RZ, p, 0)],
        lambda t, p: [(Op.U, t, p - _PI / 2, _PI / 2 - p, 0)],
    ),
    Op.U: (
        lambda t, p, m: [(Op.RZ, m, 0), (Op.RY, t, 0), (Op.RZ, p, 0)],
        lambda t, p, m: [(Op.RZ, m, 0), (Op.SX, 0), (Op.RZ, t + _PI, 0), (Op.SX, 0), (Op.RZ, p + _PI, 0)],
    ),
    Op.CX: (
        lambda: [(Op.H, 1), (Op.CZ, 0, 1), (Op.H, 1)],
        lambda: [(Op.RZ, _PI / 2, 0), (Op.RX, _PI / 2, 1), (Op.X, 0), (Op.ECR, 0, 1)],
        lambda: [(Op.RZ, _PI / 2, 0), (Op.RX, _PI / 2, 1), (Op.RZX, -_PI / 2, 0, 1)],
    ),
    Op.CY: (lambda: [(Op.SDG, 1), (Op.CX, 0, 1), (Op.S, 1)],),
    Op.CZ: (
        lambda: [(Op.H, 1), (Op.CX, 0, 1), (Op.H, 1)],
        lambda: [(Op.CP, _PI, 0, 1)],
        lambda: [(Op.RZ, _PI / 2, 0), (Op.RZ, _PI / 2, 1), (Op.RZZ, -_PI / 2, 0, 1)],
    ),
    Op.CH: (lambda: [(Op.RY, -_PI / 4, 1), (Op.CZ, 0, 1), (Op.RY, _PI / 4, 1)],),
    Op.CSX: (lambda: [(Op.H, 1), (Op.CP, _PI / 2, 0, 1), (Op.H, 1)],),
    Op.SWAP: (lambda: [(Op.CX, 0, 1), (Op.CX, 1, 0), (Op.CX, 0, 1)],),
    Op.ISWAP: (lambda: [(Op.S, 0), (Op.S, 1), (Op.H, 0), (Op.CX, 0, 1), (Op.CX, 1, 0), (Op.H, 1)],),
    Op.ECR: (
        lambda: [(Op.RZX, _PI / 2, 0, 1), (Op.X, 0)],
        lambda: [(Op.S, 0), (Op.SX, 1), (Op.CX, 0, 1), (Op.X, 0)],
    ),
    Op.CRX: (lambda t: [(Op.H, 1), (Op.CRZ, t, 0, 1), (Op.H, 1)],),
    Op.CRY: (lambda t: [(Op.RY, t / 2, 1), (Op.CX, 0, 1), (Op.RY, -t / 2, 1), (Op.CX, 0, 1)],),
    Op.CRZ: (
        lambda t: [(Op.P, -t / 2, 0), (Op.CP, t, 0, 1)],
        lambda t: [(Op.RZ, t / 2, 1), (Op.RZZ, -t / 2, 0, 1)],
        lambda t: [(Op.RZ, t / 2, 1), (Op.CX, 0, 1), (Op.RZ, -t / 2, 1), (Op.CX, 0, 1)],
    ),
    Op.CP: (
        lambda t: [(Op.P, t / 2, 0), (Op.CRZ, t, 0, 1)],
        lambda t: [(Op.P, t / 2, 0), (Op.P, t / 2, 1), (Op.RZZ, -t / 2, 0, 1)],
    ),
    Op.CU: (
        lambda t, p, m, g: [
            (Op.P, g + (m + p) / 2, 0),
            (Op.P, (m - p) / 2, 1),
            (Op.CX, 0, 1),
            (Op.U, -t / 2, 0.0, -(p + m) / 2, 1),
            (Op.CX, 0, 1),
            (Op.U, t / 2, p, 0.0, 1),
        ],
    ),
    Op.RXX: (lambda t: [(Op.H, 0), (Op.H, 1), (Op.RZZ, t, 0, 1), (Op.H, 0), (Op.H, 1)],),
    Op.RYY: (
        lambda t: [
            (Op.RX, _PI / 2, 0),
            (Op.RX, _PI / 2, 1),
            (Op.RZZ, t, 0, 1),
            (Op.RX, -_PI / 2, 0),
            (Op.RX, -_PI / 2, 1),
        ],
        lambda t: [
            (Op.RZ, -_PI / 2, 0),
            (Op.RZ, -_PI / 2, 1),
            (Op.RXX, t, 0, 1),
            (Op.RZ, _PI / 2, 0),
            (Op.RZ, _PI / 2, 1),
        ],
    ),
    Op.RZZ: (
        lambda t: [(Op.CX, 0, 1), (Op.RZ, t, 1), (Op.CX, 0, 1)],
        lambda t: [(Op.CRZ, -2 * t, 0, 1), (Op.RZ, t, 1)],
        lambda t: [(Op.H, 0), (Op.H, 1), (Op.RXX, t, 0, 1), (Op.H, 0), (Op.H, 1)],
        lambda t: [(Op.H, 1), (Op.RZX, t, 0, 1), (Op.H, 1)],
    ),
    Op.RZX: (lambda t: [(Op.H, 1), (Op.RZZ, t, 0, 1), (Op.H, 1)],),
    Op.CCX: (
        lambda: [(Op.H, 2), (Op.CCZ, 0, 1, 2), (Op.H, 2)],
        lambda: [
            (Op.H, 2),
            (Op.CX, 1, 2),
            (Op.TDG, 2),
            (Op.CX, 0, 2),
            (Op.T, 2),
            (Op.CX, 1, 2),
            (Op.TDG, 2),
            (Op.CX, 0, 2),
            (Op.T, 1),
            (Op.T, 2),
            (Op.H, 2),
            (Op.CX, 0, 1),
            (Op.T, 0),
            (Op.TDG, 1),
            (Op.CX, 0, 1),
        ],
    ),
    Op.CCZ: (lambda: [(Op.H, 2), (Op.CCX, 0, 1, 2), (Op.H, 2)],),
    Op.CSWAP: (lambda: [(Op.CX, 2, 1), (Op.CCX, 0, 1, 2), (Op.CX, 2, 1)],),
    Op.BIT_FLIP: (lambda p: [(Op.PAULI_CHANNEL, p, 0.0, 0.0, 0)],),
    Op.BIT_PHASE_FLIP: (lambda p: [(Op.PAULI_CHANNEL, 0.0, p, 0.0, 0)],),
    Op.PHASE_FLIP: (lambda p: [(Op.PAULI_CHANNEL, 0.0, 0.0, p, 0)],),
    Op.DEPOLARIZING: (lambda p: [(Op.PAULI_CHANNEL, p / 3, p / 3, p / 3, 0)],),
    Op.AMPLITUDE_DAMPING: (lambda g: [(Op.GENERALIZED_AMPLITUDE_DAMPING, 1.0, g, 0)],),
    Op.PHASE_DAMPING: (lambda m: [(Op.PHASE_FLIP, (1 - math.sqrt(1 - m)) / 2, 0)],),
}
