"""What `LowRankSimulator` needs of the engine behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import Expectation


class Samples(Protocol):
    """What samples can be drawn from."""

    def samples(self, shots: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Outcomes of the classical bits, shape (shots, num_clbits)."""


class State(Samples, Protocol):
    """A state before the final measurements, such as `proxima_lret_core.LowRankState`, which is a dataclass.

    Attributes:
        circuit: What was run.
        branches: By the value of the classical bits after the measurements in the middle, parts with a ``trace()``.
        bound: On the trace distance to the exact state.
    """

    @property
    def circuit(self) -> Circuit: ...  # noqa: D102

    @property
    def branches(self) -> Mapping[tuple[int, ...], Any]: ...  # noqa: D102

    @property
    def bound(self) -> float: ...  # noqa: D102

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of the basis states."""

    def expectation(self, observable: PauliSum) -> Expectation:
        """Of a Pauli sum."""

    def reduced_density_matrix(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """Of some qubits."""

    def density_matrix(self) -> npt.NDArray[np.complex128]:
        """The whole state."""


class Engine(Protocol):
    """What runs a circuit up to its final measurements, such as `proxima_lret_core.run`."""

    def __call__(  # noqa: D102
        self,
        circuit: Circuit,
        *,
        tolerance: float,
        precision: Precision,
        memory: int | None,
        context: RunContext | None,
    ) -> State: ...


class SamplingEngine(Protocol):
    """What runs a circuit of which nothing but so many shots is wanted."""

    def __call__(  # noqa: D102
        self,
        circuit: Circuit,
        *,
        shots: int,
        tolerance: float,
        precision: Precision,
        memory: int | None,
        context: RunContext | None,
    ) -> Samples: ...
