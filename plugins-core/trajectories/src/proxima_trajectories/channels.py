"""Noise channels as ways that a trajectory may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Instruction
from proxima.contracts.matrices import kraus
from proxima.contracts.operations import Op

Matrix = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel on a few qubits.

    Attributes:
        operations: For `State.apply`, one for each Kraus operator; ``None`` for one that does nothing.
        effects: K^dagger K of each.
        chances: Each way's probability where it is the same in every state, else ``None``; the operations are then
            unitary.
    """

    qubits: tuple[int, ...]
    operations: list[Any]
    effects: list[Matrix]
    chances: npt.NDArray[np.float64] | None


def channel_of(instruction: Instruction, translate: Callable[[Matrix, Sequence[int]], Any]) -> Channel:
    """The ways of a channel operation.

    Args:
        instruction: A channel with numbers for parameters.
        translate: Makes an operation of a matrix whose first listed qubit is the least significant bit, and its qubits.
    """
    op, qubits = instruction.op, instruction.qubits
    numbers = [float(p) for p in instruction.params]  # type: ignore[arg-type]  # bound
    operators = [np.asarray(k) for k in (instruction.matrices if op is Op.KRAUS else kraus(op, numbers))]
    operators = [k for k in operators if np.abs(k).max() > 0]
    effects = [k.conj().T @ k for k in operators]
    identity = np.eye(len(operators[0]))
    weights = np.array([effect[0, 0].real for effect in effects])
    fixed = all(np.allclose(e, w * identity, rtol=0, atol=1e-12) for e, w in zip(effects, weights, strict=True))
    if fixed:
        operators = [k / np.sqrt(w) for k, w in zip(operators, weights, strict=True)]
    operations = [None if np.array_equal(k, identity) else translate(k, qubits) for k in operators]
    return Channel(qubits, operations, effects, weights / weights.sum() if fixed else None)
