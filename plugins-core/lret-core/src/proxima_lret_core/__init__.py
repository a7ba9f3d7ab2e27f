"""The native low-rank simulator of noisy circuits: `run` gives a `LowRankState` with a certified bound on its error."""

from proxima.contracts.noise import thermal_relaxation
from proxima.contracts.readout import ReadoutError
from proxima_lret_core._native import instruction_set, usable_threads
from proxima_lret_core.simulate import MAX_QUBITS, run
from proxima_lret_core.state import LowRankState

__all__ = [
    "MAX_QUBITS",
    "LowRankState",
    "ReadoutError",
    "instruction_set",
    "run",
    "thermal_relaxation",
    "usable_threads",
]
