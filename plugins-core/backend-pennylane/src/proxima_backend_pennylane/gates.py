"""Operations as calls of Lightning's state vector.

PennyLane is big-endian: qubit q of n is wire n-1-q here, so that Lightning's indices are ours. Its ``Rot`` is
rz ry rz and so U up to a global phase with other angles. Gates on two qubits that it lacks are written with those that
it has: a matrix on two qubits takes it ten times as long as three of its own gates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import Op

NO_MATRIX = np.zeros(0, dtype=np.complex128)
MATRIX = "QubitUnitary"


class Step(NamedTuple):
    """One call.

    Attributes:
        name: Of Lightning's method, or `MATRIX`.
        controls: Wires that must be 1.
        matrix: complex128, row by row; the first wire is the most significant index bit.
        source: The number of the operation's angle that the step turns by, and its factor; ``None`` for a fixed gate.
    """

    name: str
    wires: list[int]
    params: list[float] = []  # noqa: RUF012 - Lightning takes a list, and none is ever changed
    controls: list[int] = []  # noqa: RUF012
    inverse: bool = False
    matrix: npt.NDArray[np.complex128] = NO_MATRIX
    source: tuple[int, float] | None = None


# By operation: method, which of its qubits control and which it acts on, inverse.
_FIXED: dict[Op, tuple[tuple[str, tuple[int, ...], tuple[int, ...], bool], ...]] = {
    Op.X: (("PauliX", (), (0,), False),),
    Op.Y: (("PauliY", (), (0,), False),),
    Op.Z: (("PauliZ", (), (0,), False),),
    Op.H: (("Hadamard", (), (0,), False),),
    Op.S: (("S", (), (0,), False),),
    Op.SDG: (("S", (), (0,), True),),
    Op.T: (("T", (), (0,), False),),
    Op.TDG: (("T", (), (0,), True),),
    Op.CX: (("CNOT", (), (0, 1), False),),
    Op.CY: (("CY", (), (0, 1), False),),
    Op.CZ: (("CZ", (), (0, 1), False),),
    Op.CH: (("Hadamard", (0,), (1,), False),),
    Op.CSX: (("SX", (0,), (1,), False),),
    Op.SWAP: (("SWAP", (), (0, 1), False),),
    Op.CCX: (("Toffoli", (), (0, 1, 2), False),),
    Op.CCZ: (("PauliZ", (0, 1), (2,), False),),
    Op.CSWAP: (("CSWAP", (), (0, 1, 2), False),),
}

# By operation: method, its qubits, the number of the angle (or none) and its factor.
_TURNS: dict[Op, tuple[tuple[str, tuple[int, ...], int | None, float], ...]] = {
    Op.RX: (("RX", (0,), 0, 1.0),),
    Op.RY: (("RY", (0,), 0, 1.0),),
    Op.RZ: (("RZ", (0,), 0, 1.0),),
    Op.P: (("PhaseShift", (0,), 0, 1.0),),
    Op.R: (("RZ", (0,), 1, -1.0), ("RX", (0,), 0, 1.0), ("RZ", (0,), 1, 1.0)),
    Op.U: (("PhaseShift", (0,), 2, 1.0), ("RY", (0,), 0, 1.0), ("PhaseShift", (0,), 1, 1.0)),
    Op.CRX: (("CRX", (0, 1), 0, 1.0),),
    Op.CRY: (("CRY", (0, 1), 0, 1.0),),
    Op.CRZ: (("CRZ", (0, 1), 0, 1.0),),
    Op.CP: (("ControlledPhaseShift", (0, 1), 0, 1.0),),
    Op.CU: (
        ("ControlledPhaseShift", (0, 1), 2, 1.0),
        ("CRY", (0, 1), 0, 1.0),
        ("ControlledPhaseShift", (0, 1), 1, 1.0),
        ("PhaseShift", (0,), 3, 1.0),
    ),
    Op.RXX: (("IsingXX", (0, 1), 0, 1.0),),
    Op.RYY: (("IsingYY", (0, 1), 0, 1.0),),
    Op.RZZ: (("IsingZZ", (0, 1), 0, 1.0),),
    Op.RZX: (("Hadamard", (1,), None, 1.0), ("IsingZZ", (0, 1), 0, 1.0), ("Hadamard", (1,), None, 1.0)),
}


def steps_of(instruction: Instruction, num_qubits: int, *, apart: bool = False) -> list[Step]:
    """The calls that a gate takes.

    Args:
        instruction: A gate with numbers for angles, or an identity or a barrier, which take none.
        num_qubits: Of the circuit.
        apart: Whether each step must turn by one angle at most, as Lightning's derivatives need it.
    """
    op = instruction.op
    wires = [num_qubits - 1 - qubit for qubit in instruction.qubits]
    angles = [float(p) for p in instruction.params]  # type: ignore[arg-type]  # bound
    if op in (Op.ID, Op.BARRIER):
        return []
    if op is Op.UNITARY:
        return [matrix_step(instruction.matrices[0], instruction.qubits, num_qubits)]
    if op in (Op.SX, Op.SXDG):  # up to a global phase, and six times as fast as Lightning's own
        return [Step("RX", wires, [math.pi / 2 if op is Op.SX else -math.pi / 2])]
    if op is Op.ISWAP:
        return [Step("IsingXY", wires, [math.pi])]
    if op is Op.ECR:
        half = Step("IsingZZ", wires, [math.pi / 2])
        turned = Step("Hadamard", wires[1:])
        return [turned, half, turned, Step("PauliX", wires[:1])]
    if op is Op.U and not apart:
        theta, phi, lam = angles
        return [Step("Rot", wires, [lam, theta, phi])]
    if op is Op.R and not apart:
        theta, phi = angles
        return [Step("Rot", wires, [math.pi / 2 - phi, theta, phi - math.pi / 2])]
    if op in _FIXED:
        return [
            Step(name, [wires[i] for i in on], controls=[wires[i] for i in by], inverse=inverse)
            for name, by, on, inverse in _FIXED[op]
        ]
    return [
        Step(name, [wires[i] for i in on])
        if number is None
        else Step(name, [wires[i] for i in on], [factor * angles[number]], source=(number, factor))
        for name, on, number, factor in _TURNS[op]
    ]


def matrix_step(matrix: npt.NDArray[np.complex128], qubits: Sequence[int], num_qubits: int) -> Step:
    """A matrix whose first listed qubit is the least significant bit."""
    wires = [num_qubits - 1 - qubit for qubit in reversed(qubits)]
    return Step(MATRIX, wires, matrix=np.ascontiguousarray(matrix, dtype=np.complex128).ravel())


class Turn(NamedTuple):
    """A step that turns by an open parameter: which step, which parameter, and the angle's slope by the parameter."""

    step: int
    parameter: int
    slope: float


def differentiable(circuit: Circuit, bound: Circuit) -> tuple[list[Step], list[Turn]]:
    """A circuit of gates as steps, and those of them that turn by its open parameters.

    Args:
        circuit: With open parameters.
        bound: The same with their values.
    """
    c = circuit.columns
    refs, coefficients, starts = c.param_refs.tolist(), c.params.tolist(), c.param_offsets.tolist()
    steps: list[Step] = []
    turns: list[Turn] = []
    for row, instruction in enumerate(bound):
        for step in steps_of(instruction, circuit.num_qubits, apart=True):
            if step.source is not None:
                number, factor = step.source
                place = starts[row] + number
                if refs[place] >= 0:
                    turns.append(Turn(len(steps), refs[place], factor * coefficients[place]))
            steps.append(step)
    return steps, turns


def inverted(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps that undo these."""
    for step in reversed(steps):
        yield step._replace(inverse=not step.inverse)
