"""Gates that OpenQASM 3 circuits call by name: ``stdgates.inc`` and Amazon Braket's built-in ones.

Phases are those of the vocabulary, which are Qiskit's and Braket's: ``U`` has no phase of its own, as in
arXiv:2104.14722; they matter under ``ctrl`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from proxima.contracts.operations import OPERATIONS, Op
from proxima_format_openqasm.affine import Value
from proxima_format_openqasm.primitives import GPHASE, Primitive


class NamedGate(NamedTuple):
    """A gate and what a call of it expands to, on qubits counted from 0."""

    num_params: int
    num_qubits: int
    body: Callable[..., list[Primitive]]


def _one(op: Op) -> NamedGate:
    spec = OPERATIONS[op]
    qubits = tuple(range(spec.num_qubits))
    return NamedGate(len(spec.params), spec.num_qubits, lambda *params: [Primitive(op, qubits, params)])


def _same(*names: str) -> dict[str, NamedGate]:
    return {name: _one(Op[name.upper()]) for name in names}


def _u2(phi: Value, lam: Value) -> list[Primitive]:
    return [Primitive(Op.U, (0,), (math.pi / 2, phi, lam))]


def language() -> dict[str, NamedGate]:
    """Defined in the language itself; ``gphase`` is a statement of its own."""
    return {"U": _one(Op.U)}


def stdgates() -> dict[str, NamedGate]:
    """The gates of ``stdgates.inc``."""
    names = "p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu id".split()  # noqa: SIM905
    return _same(*names) | {
        "CX": _one(Op.CX),
        "phase": _one(Op.P),
        "cphase": _one(Op.CP),
        "u1": _one(Op.P),
        "u2": NamedGate(2, 1, _u2),
        "u3": _one(Op.U),
    }


def braket() -> dict[str, NamedGate]:
    """Amazon Braket's gates, which need no include (and those of `stdgates`, which users write without it too)."""
    aliases = {
        "i": Op.ID,
        "si": Op.SDG,
        "ti": Op.TDG,
        "v": Op.SX,
        "vi": Op.SXDG,
        "phaseshift": Op.P,
        "cnot": Op.CX,
        "cv": Op.CSX,
        "cphaseshift": Op.CP,
        "xx": Op.RXX,
        "yy": Op.RYY,
        "zz": Op.RZZ,
        "ccnot": Op.CCX,
        "prx": Op.R,
    }
    composed = {
        "cphaseshift00": NamedGate(1, 2, lambda a: _cphase_at(a, 0, 1)),
        "cphaseshift01": NamedGate(1, 2, lambda a: _cphase_at(a, 0)),
        "cphaseshift10": NamedGate(1, 2, lambda a: _cphase_at(a, 1)),
        "xy": NamedGate(1, 2, lambda a: [Primitive(op, (0, 1), (a * -0.5,)) for op in (Op.RXX, Op.RYY)]),
        "pswap": NamedGate(1, 2, _pswap),
        "gpi": NamedGate(
            1, 1, lambda phi: [Primitive(GPHASE, (), (math.pi / 2,)), Primitive(Op.R, (0,), (math.pi, phi))]
        ),
        "gpi2": NamedGate(1, 1, lambda phi: [Primitive(Op.R, (0,), (math.pi / 2, phi))]),
        "ms": NamedGate(3, 2, _ms),
    }
    return _same("iswap", "ecr", "u") | {name: _one(op) for name, op in aliases.items()} | composed


def _cphase_at(angle: Value, *zeros: int) -> list[Primitive]:
    """A phase where the qubits in ``zeros`` are 0 and the others 1."""
    flips = [Primitive(Op.X, (qubit,)) for qubit in zeros]
    return [*flips, Primitive(Op.CP, (0, 1), (angle,)), *flips]


def _pswap(angle: Value) -> list[Primitive]:
    cx = Primitive(Op.CX, (0, 1))
    return [Primitive(Op.SWAP, (0, 1)), cx, Primitive(Op.P, (1,), (angle,)), cx]


def _ms(phi0: Value, phi1: Value, theta: Value) -> list[Primitive]:
    """exp(-i theta/2 A B) with A = cos(phi0) X + sin(phi0) Y on the first qubit, B likewise: xx in a turned frame."""
    before = [Primitive(Op.P, (0,), (-phi0,)), Primitive(Op.P, (1,), (-phi1,))]
    after = [Primitive(Op.P, (0,), (phi0,)), Primitive(Op.P, (1,), (phi1,))]
    return [*before, Primitive(Op.RXX, (0, 1), (theta,)), *after]
