"""`ReadoutError`: a measurement that tells the wrong outcome now and then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.errors import UsageError


@dataclass(frozen=True, slots=True)
class ReadoutError:
    """The chances that a qubit's final measurement is told wrong.

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
