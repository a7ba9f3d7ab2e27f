"""The native low-rank simulator of noisy circuits: `run` gives a `LowRankState` with a certified bound on its error.

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
    from proxima_lret_core.noise import read_noise as read_noise
    from proxima_lret_core.noise import thermal_relaxation as thermal_relaxation
    from proxima_lret_core.readout import ReadoutError as ReadoutError
    from proxima_lret_core.simulate import MAX_QUBITS as MAX_QUBITS
    from proxima_lret_core.simulate import run as run
    from proxima_lret_core.state import LowRankState as LowRankState

# Loaded on first use, since a backend says what a run costs without loading its engine.
_EXPORTS = {
    "MAX_QUBITS": "simulate",
    "LowRankGradient": "gradients",
    "LowRankState": "state",
    "ReadoutError": "readout",
    "gradient": "gradients",
    "instruction_set": "_native",
    "read_noise": "noise",
    "run": "simulate",
    "thermal_relaxation": "noise",
    "usable_threads": "_native",
}

__all__ = [
    "MAX_QUBITS",
    "LowRankGradient",
    "LowRankState",
    "ReadoutError",
    "gradient",
    "instruction_set",
    "read_noise",
    "run",
    "thermal_relaxation",
    "usable_threads",
]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
