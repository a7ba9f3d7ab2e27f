"""What is compared: a circuit family over qubits, depth and noise, and what is measured of each case."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxima.errors import UsageError

if TYPE_CHECKING:
    import cirq

MAX_QUBITS = 24
LEAST_BYTES = 2**20  # a smaller rise of the peak memory says nothing: the process had that much to spare
MAX_COMPARED_QUBITS = 10  # up to which the true trace distance is computed


@dataclass(frozen=True, slots=True)
class Case:
    """One circuit.

    Attributes:
        depth: Layers of rotations and entangling gates.
        noise: Probability of the depolarizing channel after each gate on each qubit it touches.
    """

    qubits: int
    depth: int
    noise: float


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a case; ``None`` where it was not.

    Attributes:
        cirq_seconds, lret_seconds: The least of the repetitions, of a whole `simulate`.
        cirq_bytes, lret_bytes: What the process's peak memory rose by.
        rank: Columns at the end.
        distance, fidelity: The trace distance of the two states, and their fidelity, which is 1 for equal ones.
        bound: What the low-rank simulator says that it is at most.
        notes: Why something is missing.
    """

    case: Case
    cirq_seconds: float | None = None
    lret_seconds: float | None = None
    cirq_bytes: int | None = None
    lret_bytes: int | None = None
    rank: int | None = None
    distance: float | None = None
    fidelity: float | None = None
    bound: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def speedup(self) -> float | None:
        """Cirq's time over ours."""
        return self.cirq_seconds / self.lret_seconds if self.cirq_seconds and self.lret_seconds else None


def circuit_of(case: Case, seed: int) -> cirq.Circuit:
    """Layers of random rx, ry and rz on every qubit and a brick of cx, with depolarizing noise after each gate."""
    import cirq
    import numpy as np

    rng = np.random.default_rng([seed, case.qubits, case.depth])
    qubits = cirq.LineQubit.range(case.qubits)
    circuit = cirq.Circuit()
    for layer in range(case.depth):
        for turn in (cirq.rx, cirq.ry, cirq.rz):
            circuit.append(
                turn(float(angle))(q) for q, angle in zip(qubits, rng.uniform(0, 2 * np.pi, case.qubits), strict=True)
            )
            circuit.append(cirq.depolarize(case.noise)(q) for q in qubits)
        for control, target in zip(qubits[layer % 2 :: 2], qubits[layer % 2 + 1 :: 2], strict=False):
            circuit.append(cirq.CX(control, target))
            circuit.append(cirq.depolarize(case.noise)(q) for q in (control, target))
    return circuit


def whole_numbers(text: str, name: str, most: int) -> tuple[int, ...]:
    """Numbers and ranges of a list such as ``4-8,10``, ascending.

    Raises:
        UsageError: It is no such list, or a number lies outside 1 and ``most``.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(
                f"--{name} {text}: {part.strip()!r} is no whole number or range", hint=f"e.g. --{name} 4-8,10"
            )
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= most:
            raise UsageError(f"--{name} {text}: {part.strip()} does not lie between 1 and {most}, or falls")
        numbers.update(range(low, high + 1))
    return tuple(sorted(numbers))


def probabilities(text: str) -> tuple[float, ...]:
    """Numbers of a list such as ``0.001,0.01``, in their order.

    Raises:
        UsageError: One is no number in [0, 1].
    """
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"--noise {text}: {part.strip()!r} is no probability", hint="e.g. --noise 0.001,0.01")
        values.append(value)
    return tuple(dict.fromkeys(values))
