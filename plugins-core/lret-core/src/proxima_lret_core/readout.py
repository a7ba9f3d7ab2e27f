"""`ReadoutError`: a measurement that tells the wrong outcome now and then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.errors import UsageError


@dataclass(frozen=True, slots=True)
class ReadoutError:
    """The chances that a measurement of a qubit is told wrong; the state is that of the true outcome.

    Attributes:
        one_for_zero: Probability of reading 1 where the outcome is 0.
        zero_for_one: Probability of reading 0 where the outcome is 1.

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
        """The outcomes as they are told, uint8 of the same shape."""
        wrong = rng.random(outcomes.shape) < np.where(outcomes == 1, self.zero_for_one, self.one_for_zero)
        return outcomes ^ wrong.astype(np.uint8)


def measured_bits(
    bits: npt.NDArray[np.uint8],
    states: npt.NDArray[np.integer],
    measured: Sequence[tuple[int, int]],
    readout: Mapping[int, ReadoutError],
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """The classical bits after the final measurements, uint8, shape (shots, num_clbits).

    Args:
        bits: Before them, of the same shape.
        states: The basis state that each shot was found in, shape (shots,).
        measured: Qubit and classical bit of each measurement.
        readout: By qubit.
        rng: What decides which outcomes are told wrong.
    """
    out = bits.copy()
    for qubit, clbit in measured:
        outcome = (states >> states.dtype.type(qubit) & states.dtype.type(1)).astype(np.uint8)
        out[:, clbit] = readout[qubit].apply(outcome, rng) if qubit in readout else outcome
    return out
