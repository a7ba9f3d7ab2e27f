"""What the Qiskit interfaces need of the engine behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima.contracts.result import Expectation


class Samples(Protocol):
    """What samples can be drawn from.

    Attributes:
        bound: On the trace distance to the exact state.
    """

    @property
    def bound(self) -> float: ...  # noqa: D102

    def samples(self, shots: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Outcomes of the classical bits, shape (shots, num_clbits)."""


class State(Samples, Protocol):
    """A state before the final measurements, such as `proxima_lret_core.LowRankState`."""

    def expectation(self, observable: PauliSum) -> Expectation:
        """Of a Pauli sum."""


Engine = Callable[..., State]
"""What runs a circuit up to its final measurements, called as `proxima_lret_core.run`."""

SamplingEngine = Callable[..., Samples]
"""What runs a circuit of which nothing but samples is wanted; its argument ``shots`` says how many."""
