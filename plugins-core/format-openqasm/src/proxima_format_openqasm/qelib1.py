"""The gates of ``qelib1.inc``, natively where the vocabulary has them, else by an exact definition.

Sources: arXiv:1707.03429 for the first ones; later names are those that Qiskit's file gained. All are equal to the
file's definitions up to a global phase, which OpenQASM 2 cannot observe.
"""

from __future__ import annotations

import math

from proxima.contracts.operations import OPERATIONS, Op
from proxima_format_openqasm.gates import Gate, Step, composite, native

ORIGINAL = frozenset("u3 u2 u1 cx id x y z h s sdg t tdg rx ry rz cz cy ch ccx crz cu1 cu3".split())  # noqa: SIM905
"""Names that every version of the file defines. The others came later, so a circuit may define them for itself."""

_SAME_NAME = (
    "id x y z h s sdg t tdg sx sxdg rx ry rz p u cx cy cz ch csx swap crx cry crz cp cu rxx rzz ccx cswap".split()  # noqa: SIM905
)


def builtins() -> dict[str, Gate]:
    """The gates of the language itself."""
    return {"U": native("U", Op.U), "CX": native("CX", Op.CX)}


def qelib1() -> dict[str, Gate]:
    """The gates of the file, by name."""
    gates = [native(name, Op[name.upper()]) for name in _SAME_NAME]
    gates += [
        native("u1", Op.P),
        native("u2", Op.U, before=(math.pi / 2,)),
        native("u3", Op.U),
        native("cu1", Op.CP),
        native("cu3", Op.CU, after=(0.0,)),
        composite("u0", 1, 1, [_step(Op.ID, 0)]),
        composite("rccx", 0, 3, _rccx()),
        composite("rc3x", 0, 4, _rc3x()),
        composite("c3x", 0, 4, _controlled_x((0, 1, 2), 3)),
        composite("c4x", 0, 5, _controlled_x((0, 1, 2, 3), 4)),
        composite("c3sqrtx", 0, 4, [_step(Op.H, 3), *_controlled_p((0, 1, 2), 3, math.pi / 2), _step(Op.H, 3)]),
    ]
    return {gate.name: gate for gate in gates}


def _step(op: Op, *slots: int, angle: float | None = None) -> Step:
    assert OPERATIONS[op].num_qubits == len(slots)
    return Step(native(op.name.lower(), op), () if angle is None else ((angle,),), slots)


def _rccx() -> list[Step]:
    """Toffoli up to relative phases (arXiv:1508.03273, figure 3): a phase on the target, seen from both controls."""
    turn = ((Op.T, 1), (Op.TDG, 0), (Op.T, 1), (Op.TDG, None))
    steps = [_step(Op.H, 2)]
    for op, control in turn:
        steps.append(_step(op, 2))
        if control is not None:
            steps.append(_step(Op.CX, control, 2))
    return [*steps, _step(Op.H, 2)]


def _rc3x() -> list[Step]:
    """The three-control version (arXiv:1508.03273, figure 4)."""
    half = [_step(Op.H, 3), _step(Op.T, 3), _step(Op.CX, 2, 3), _step(Op.TDG, 3), _step(Op.H, 3)]
    middle = []
    for control, op in ((0, Op.T), (1, Op.TDG), (0, Op.T), (1, Op.TDG)):
        middle += [_step(Op.CX, control, 3), _step(op, 3)]
    return [*half, *middle, *half]


def _controlled_x(controls: tuple[int, ...], target: int) -> list[Step]:
    if len(controls) == 1:
        return [_step(Op.CX, *controls, target)]
    if len(controls) == 2:
        return [_step(Op.CCX, *controls, target)]
    return [_step(Op.H, target), *_controlled_p(controls, target, math.pi), _step(Op.H, target)]


def _controlled_p(controls: tuple[int, ...], target: int, angle: float) -> list[Step]:
    """A phase where all are 1, without an ancilla (arXiv:quant-ph/9503016, lemma 7.5)."""
    *rest, last = controls
    if not rest:
        return [_step(Op.CP, last, target, angle=angle)]
    flip = _controlled_x(tuple(rest), last)
    return [
        _step(Op.CP, last, target, angle=angle / 2),
        *flip,
        _step(Op.CP, last, target, angle=-angle / 2),
        *flip,
        *_controlled_p(tuple(rest), target, angle / 2),
    ]
