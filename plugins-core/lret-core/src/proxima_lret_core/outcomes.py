"""What final measurements write into the classical bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from proxima.contracts.readout import ReadoutError


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
        rng: What decides which outcomes are recorded wrong.
    """
    out = bits.copy()
    for qubit, clbit in measured:
        outcome = (states >> states.dtype.type(qubit) & states.dtype.type(1)).astype(np.uint8)
        out[:, clbit] = readout[qubit].apply(outcome, rng) if qubit in readout else outcome
    return out
