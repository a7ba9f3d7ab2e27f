"""The native simulators of noisy circuits: `run` and `simulate` give a state with a certified bound on its error."""

from proxima_lret_core._native import instruction_set, usable_threads
from proxima_lret_core.noise import read_noise, thermal_relaxation
from proxima_lret_core.readout import ReadoutError
from proxima_lret_core.simulate import MAX_QUBITS, METHODS, run, simulate
from proxima_lret_core.state import DensityMatrixState, LowRankState
from proxima_lret_core.trajectories import TrajectoryState

__all__ = [
    "MAX_QUBITS",
    "METHODS",
    "DensityMatrixState",
    "LowRankState",
    "ReadoutError",
    "TrajectoryState",
    "instruction_set",
    "read_noise",
    "run",
    "simulate",
    "thermal_relaxation",
    "usable_threads",
]
