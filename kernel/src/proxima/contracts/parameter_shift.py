"""The parameter-shift rule: a gradient as a weighted sum of expectation values at shifted angles.

The expectation value is a trigonometric polynomial in each gate's angle, so a few of its values at shifted angles give
its derivative exactly (Mitarai et al., Phys. Rev. A 98, 032309; Wierichs et al., Quantum 6, 677). Every occurrence of
a parameter is shifted by itself, and the chain rule adds them up. Noise, resets and conditions change none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.errors import UnsupportedError

METHOD = "parameter_shift"

_TWO_TERMS = ((math.pi / 2, 0.5),)
_C1, _C2 = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
_FOUR_TERMS = ((math.pi / 2, _C1), (3 * math.pi / 2, -_C2))
# r is rz(phi) rx(theta) rz(-phi): by phi it has the frequencies 1 and 2, twice those of a controlled rotation.
_FOUR_TERMS_TWICE = ((math.pi / 4, 2 * _C1), (3 * math.pi / 4, -2 * _C2))

_RULES = {
    (Op.CRX, 0): _FOUR_TERMS,
    (Op.CRY, 0): _FOUR_TERMS,
    (Op.CRZ, 0): _FOUR_TERMS,
    (Op.CU, 0): _FOUR_TERMS,
    (Op.R, 1): _FOUR_TERMS_TWICE,
}
"""The shifts s and weights w of ``f' = sum of w (f(x + s) - f(x - s))`` by gate and number of its angle.

Every other angle of a gate stands before a generator with two eigenvalues, which are 1 apart: the two-term rule.
"""


@dataclass(frozen=True, slots=True)
class Shift:
    """One run: the angle at ``position`` of `Columns.params` moved by ``angle``.

    Attributes:
        parameter: Index of the derivative that the run's expectation values, times ``weight``, add to.
    """

    position: int
    angle: float
    parameter: int
    weight: float


def shifts_of(circuit: Circuit) -> Iterator[Shift]:
    """The runs that the gradient by the circuit's open parameters takes.

    Raises:
        UnsupportedError: A channel's probability is an open parameter.
    """
    c = circuit.columns
    rows = np.repeat(np.arange(len(circuit)), np.diff(c.param_offsets))
    for position in np.flatnonzero((c.param_refs >= 0) & (c.params != 0)).tolist():
        row = int(rows[position])
        op, number = Op(int(c.ops[row])), position - int(c.param_offsets[row])
        if op in CHANNELS:
            spec = OPERATIONS[op]
            raise UnsupportedError(
                f"there is no parameter-shift rule for {spec.params[number]} of {spec.name}",
                hint="bind it to a value; gradients are by the angles of gates",
            )
        parameter, coefficient = int(c.param_refs[position]), float(c.params[position])
        for angle, weight in _RULES.get((op, number), _TWO_TERMS):
            yield Shift(position, angle, parameter, coefficient * weight)
            yield Shift(position, -angle, parameter, -coefficient * weight)


def shifted(circuit: Circuit, shift: Shift) -> Circuit:
    """A bound circuit with one angle moved."""
    params = circuit.columns.params.copy()
    params[shift.position] += shift.angle
    return replace(circuit, columns=circuit.columns._replace(params=params))
