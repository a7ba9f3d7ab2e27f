"""The engine behind the interfaces of other frameworks: `simulate`, where a state is wanted."""

from __future__ import annotations

from typing import Any

from proxima.contracts.circuit import Circuit
from proxima_lret_core import DensityMatrixState, LowRankState, TrajectoryState, simulate


def state(circuit: Circuit, **options: Any) -> LowRankState | DensityMatrixState:
    """The state before the final measurements, by low rank or a density matrix; ``options`` as for `simulate`."""
    found = simulate(circuit, **options)
    assert not isinstance(found, TrajectoryState), "trajectories are taken for samples alone"
    return found
