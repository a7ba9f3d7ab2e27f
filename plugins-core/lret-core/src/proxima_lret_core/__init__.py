"""The native simulators of noisy circuits: `run` and `simulate` give a state with a certified bound on its error.

What needs no native code (`costs`, `backend`) can be imported where it cannot be loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxima_lret_core._native import instruction_set as instruction_set
    from proxima_lret_core._native import usable_threads as usable_threads
    from proxima_lret_core.gradients import LowRankGradient as LowRankGradient
    from proxima_lret_core.gradients import gradient as gradient
    from proxima_lret_core.simulation import MAX_QUBITS as MAX_QUBITS
    from proxima_lret_core.simulation import METHODS as METHODS
    from proxima_lret_core.simulation import run as run
    from proxima_lret_core.simulation import simulate as simulate
    from proxima_lret_core.state import DensityMatrixState as DensityMatrixState
    from proxima_lret_core.state import LowRankState as LowRankState
    from proxima_lret_core.trajectories import TrajectoryState as TrajectoryState

# Loaded on first use, since a backend says what a run costs without loading its engine. No module is called as what is
# exported: importing it would put the module in its place.
_EXPORTS = {
    "MAX_QUBITS": "simulation",
    "METHODS": "simulation",
    "DensityMatrixState": "state",
    "LowRankGradient": "gradients",
    "LowRankState": "state",
    "TrajectoryState": "trajectories",
    "gradient": "gradients",
    "instruction_set": "_native",
    "run": "simulation",
    "simulate": "simulation",
    "usable_threads": "_native",
}

__all__ = [
    "MAX_QUBITS",
    "METHODS",
    "DensityMatrixState",
    "LowRankGradient",
    "LowRankState",
    "TrajectoryState",
    "gradient",
    "instruction_set",
    "run",
    "simulate",
    "usable_threads",
]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
