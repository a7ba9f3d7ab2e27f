"""`ReadoutError`: a measurement that is recorded wrong now and then, and what that does to circuits and counts.

A final measurement is followed by nothing, so its error is drawn after the run, on any backend. One in the middle must
be wrong while the circuit goes on: `with_readout_in_the_middle` says so in the circuit itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op
from proxima.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NAME = "readout"


@dataclass(frozen=True, slots=True)
class ReadoutError:
    """The chances that a qubit's measurement is recorded wrong.

    Attributes:
        one_for_zero: Probability of recording 1 where the outcome is 0.
        zero_for_one: Probability of recording 0 where the outcome is 1.

    Raises:
        UsageError: One of them lies outside [0, 1].
    """

    one_for_zero: float
    zero_for_one: float

    def __post_init__(self) -> None:
        for name in ("one_for_zero", "zero_for_one"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"readout error: {name} = {value} lies outside [0, 1]")

    def apply(self, outcomes: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """The outcomes as they are recorded, uint8 of the same shape."""
        import numpy as np

        wrong = rng.random(outcomes.shape) < np.where(outcomes == 1, self.zero_for_one, self.one_for_zero)
        return outcomes ^ wrong.astype(np.uint8)

    @property
    def is_symmetric(self) -> bool:
        """Whether both outcomes are recorded wrong with one probability: then a bit flip before does the same."""
        return self.one_for_zero == self.zero_for_one

    @property
    def kraus(self) -> tuple[npt.NDArray[np.complex128], ...]:
        """The same as a channel on a qubit that is measured next, four operators of shape (2, 2)."""
        import numpy as np

        p, q = self.one_for_zero, self.zero_for_one
        entries = (((0, 0), 1 - p), ((1, 0), p), ((0, 1), q), ((1, 1), 1 - q))
        operators = np.zeros((4, 2, 2), dtype=np.complex128)
        for operator, (at, weight) in zip(operators, entries, strict=True):
            operator[at] = math.sqrt(weight)
        return tuple(operators)


def record_samples(
    samples: npt.NDArray[np.uint8], errors: Mapping[int, ReadoutError], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Samples as they are recorded.

    Args:
        samples: uint8, shape (shots, num_clbits), column j is classical bit j.
        errors: By classical bit.
        rng: Draws which are wrong.
    """
    out = samples.copy()
    for clbit, error in sorted(errors.items()):
        out[:, clbit] = error.apply(out[:, clbit], rng)
    return out


def record_counts(
    counts: Mapping[str, int], errors: Mapping[int, ReadoutError], rng: np.random.Generator
) -> dict[str, int]:
    """Counts as they are recorded, drawn bit by bit from binomial distributions, in ascending order of the bit string.

    Args:
        counts: By bit string, highest classical bit first.
        errors: By classical bit.
        rng: Draws how many are wrong.
    """
    import numpy as np

    keys = sorted(counts)
    rows = np.frombuffer("".join(keys).encode("ascii"), dtype=np.uint8).reshape(len(keys), -1) - ord("0")
    numbers = np.array([counts[key] for key in keys], dtype=np.int64)
    for clbit, error in sorted(errors.items()):
        at = rows.shape[1] - 1 - clbit
        wrong = rng.binomial(numbers, np.where(rows[:, at] == 1, error.zero_for_one, error.one_for_zero))
        flipped = rows.copy()
        flipped[:, at] ^= 1
        every, numbers = np.concatenate([rows, flipped]), np.concatenate([numbers - wrong, wrong])
        every, numbers = every[numbers > 0], numbers[numbers > 0]
        rows, inverse = np.unique(every, axis=0, return_inverse=True)
        total = np.zeros(len(rows), dtype=np.int64)
        np.add.at(total, inverse.reshape(-1), numbers)
        numbers = total
    return {"".join(map(str, row)): number for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)}


def with_readout_in_the_middle(circuit: Circuit, errors: Mapping[int, ReadoutError]) -> Circuit:
    """The circuit with the readout error of its measurements in the middle as operations.

    Such a measurement becomes: CX onto one qubit more, the error as a channel there, that qubit's measurement, its
    reset. The measured qubit is projected, the recorded bit is wrong with the right probability, and what is
    conditional on it acts on the recorded value. The qubit that is added is the highest and ends in |0>, so the state
    of the others is the block of it that comes first. A circuit without such measurements is returned as it is.

    Args:
        circuit: With its noise.
        errors: By qubit.
    """
    final = circuit.final_mask.tolist()
    middle = [i.op is Op.MEASURE and i.qubits[0] in errors and not f for i, f in zip(circuit, final, strict=True)]
    if not any(middle):
        return circuit
    builder = circuit.empty_builder()
    (extra,) = builder.add_qubits(_unused_name(circuit), 1)
    for here, (op, qubits, params, clbit, condition, matrices) in zip(middle, circuit, strict=True):
        if not here:
            builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
            continue
        builder.append(Op.CX, (qubits[0], extra), condition=condition)
        error = errors[qubits[0]]
        if error.is_symmetric:  # which stabilizer simulators know
            builder.append(Op.BIT_FLIP, (extra,), (error.one_for_zero,), condition=condition)
        else:
            builder.append(Op.KRAUS, (extra,), condition=condition, matrices=error.kraus)
        builder.append(Op.MEASURE, (extra,), clbit=clbit, condition=condition)
        builder.reset(extra)  # under no condition: the bit that was just written may be part of it
    return builder.build()


def _unused_name(circuit: Circuit) -> str:
    taken = [r.name for r in (*circuit.qregs, *circuit.cregs)]
    name = _NAME
    while name in taken:
        name += "_"
    return name
