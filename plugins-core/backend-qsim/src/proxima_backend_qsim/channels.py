"""Everything in a circuit that is not a plain gate, as Kraus operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Condition, Instruction
from proxima.contracts.matrices import kraus
from proxima.contracts.operations import OPERATIONS, Op
from proxima_backend_qsim.gates import Gate, matrix_gate

Matrix = npt.NDArray[np.complex128]

_PROJECTORS = (np.diag([1, 0]).astype(np.complex128), np.diag([0, 1]).astype(np.complex128))
_RESET = (_PROJECTORS[0], np.array([[0, 1], [0, 0]], dtype=np.complex128))


def operators(step: Instruction) -> tuple[Matrix, ...]:
    """The Kraus operators of a channel, a reset, or a measurement (outcome 0 first)."""
    if step.op == Op.MEASURE:
        return _PROJECTORS
    if step.op == Op.RESET:
        return _RESET
    return step.matrices if step.op == Op.KRAUS else kraus(step.op, step.params)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a trajectory may take one of several ways.

    Attributes:
        qubits: The qubits it acts on.
        gates: One per way; ``None`` is the identity. A Kraus operator that is a multiple of a unitary stands here as
            that unitary.
        unitary: Whether it is one, per way; otherwise the gate changes the norm of the state.
        effects: K^dagger K per way.
        bounds: Cumulated lower bounds of the ways' probabilities, whatever the state; float64.
        outcomes: Which Kraus operator each way is: what a measurement writes.
        clbit: The classical bit it writes, -1 for none.
        condition: It happens only where this holds.
        stop: Whether every trajectory has to stop here: it is conditional, or depends on the state.
    """

    qubits: tuple[int, ...]
    gates: tuple[Gate | None, ...]
    unitary: tuple[bool, ...]
    effects: tuple[Matrix, ...]
    bounds: npt.NDArray[np.float64]
    outcomes: npt.NDArray[np.uint8]
    clbit: int
    condition: Condition | None
    stop: bool


def site(step: Instruction, gate: Gate | None) -> Site:
    """The site that a row of a circuit is: a conditional gate, a channel, a reset or a measurement.

    Raises:
        UnsupportedError: A channel on more than six qubits.
    """
    name = OPERATIONS[step.op].name
    if gate is not None:
        return Site(
            qubits=step.qubits,
            gates=(gate,),
            unitary=(True,),
            effects=(np.eye(2 ** len(step.qubits), dtype=np.complex128),),
            bounds=np.ones(1),
            outcomes=np.zeros(1, dtype=np.uint8),
            clbit=-1,
            condition=step.condition,
            stop=True,
        )
    ways = []
    for index, matrix in enumerate(operators(step)):
        effect = matrix.conj().T @ matrix
        eigenvalues = np.linalg.eigvalsh(effect)
        low, high = max(float(eigenvalues[0]), 0.0), float(eigenvalues[-1])
        if high < 1e-15:
            continue
        unitary = high - low < 1e-12
        matrix = matrix / np.sqrt(high) if unitary else matrix
        identity = np.allclose(matrix, matrix[0, 0] * np.eye(len(matrix)), rtol=0, atol=1e-15)
        gate = None if identity else matrix_gate(matrix, step.qubits, name)
        ways.append((low if unitary else max(low - 1e-12, 0.0), index, gate, unitary, effect))
    # The likeliest way first: it is the one that most trajectories take.
    ways.sort(key=lambda way: -way[0])
    bounds = np.cumsum([way[0] for way in ways])
    if abs(bounds[-1] - 1) < 1e-9:
        bounds /= bounds[-1]
    return Site(
        qubits=step.qubits,
        gates=tuple(way[2] for way in ways),
        unitary=tuple(way[3] for way in ways),
        effects=tuple(way[4] for way in ways),
        bounds=bounds,
        outcomes=np.array([way[1] for way in ways], dtype=np.uint8),
        clbit=step.clbit,
        condition=step.condition,
        stop=step.condition is not None or bool(bounds[0] == 0.0),
    )
