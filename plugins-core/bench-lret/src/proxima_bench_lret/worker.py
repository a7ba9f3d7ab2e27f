"""The process that runs the cases: one engine at a time, so that the rise of its peak memory is that engine's."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np

from proxima.errors import ProximaError
from proxima_bench_lret.cases import MAX_COMPARED_QUBITS, Case, circuit_of

EngineName = Literal["cirq", "lret"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all cases."""

    tolerance: float
    precision: Literal["single", "double"]
    repeats: int
    seed: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine on one case; distance and fidelity are to the other engine's state of it, where that is there."""

    seconds: float
    peak_bytes: int | None
    rank: int | None = None
    bound: float | None = None
    distance: float | None = None
    fidelity: float | None = None


def serve(connection: Connection, settings: Settings) -> None:
    """Answers ``(case, engine)`` with a `Measurement`, or with the text of an error, until the other side closes."""
    import cirq  # noqa: F401 - what importing takes belongs to no case

    import proxima_lret_core.cirq  # noqa: F401

    states: dict[EngineName, Any] = {}
    last: Case | None = None
    engine: EngineName
    for engine in ("cirq", "lret"):
        # What only a first run takes belongs to no case either.
        _measure(Case(2, 1, 0.01), engine, replace(settings, tolerance=0.5), {})
    connection.send("ready")
    while True:
        try:
            case, engine = connection.recv()
        except EOFError:
            return
        if case != last:
            states.clear()
            last = case
        try:
            connection.send(_measure(case, engine, settings, states))
        except (ProximaError, MemoryError, ValueError) as error:
            connection.send(str(error) or type(error).__name__)


def _measure(case: Case, engine: EngineName, settings: Settings, states: dict[EngineName, Any]) -> Measurement:
    import cirq

    from proxima_lret_core.cirq import LowRankSimulator

    circuit, qubits = circuit_of(case, settings.seed), cirq.LineQubit.range(case.qubits)
    dtype = np.complex64 if settings.precision == "single" else np.complex128
    simulator: Any
    if engine == "cirq":
        simulator = cirq.DensityMatrixSimulator(dtype=dtype)
    else:
        simulator = LowRankSimulator(dtype=dtype, tolerance=settings.tolerance)
    states.pop(engine, None)
    result, seconds, rise = _timed(lambda: simulator.simulate(circuit, qubit_order=qubits), settings.repeats)
    if case.qubits <= MAX_COMPARED_QUBITS:
        states[engine] = result.final_density_matrix
    pair = (states["cirq"].astype(np.complex128), states["lret"].astype(np.complex128)) if len(states) == 2 else None
    distance, fidelity = (_distance(*pair), _fidelity(*pair)) if pair else (None, None)
    if engine == "cirq":
        return Measurement(seconds, rise, distance=distance, fidelity=fidelity)
    return Measurement(seconds, rise, result.final_state.state.rank, result.error_bound, distance, fidelity)


def _timed(work: Callable[[], Any], repeats: int) -> tuple[Any, float, int | None]:
    """The last result, the least time, and what the first repetition raised the peak memory by.

    It is repeated only while all together take less than a second.
    """
    before = _restart_peak()
    result: Any = None
    seconds: list[float] = []
    rise: int | None = None
    while not seconds or (len(seconds) < repeats and sum(seconds) < 1.0):
        result = None  # so that two are not held at once
        begin = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begin)
        if len(seconds) == 1 and before is not None:
            rise = max(0, _status("VmHWM") - before)
    return result, min(seconds), rise


def _restart_peak() -> int | None:
    """Sets the peak memory back to what is held now, and says how much that is; ``None`` where there is no /proc."""
    if sys.platform != "linux":
        return None
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's: what was freed is not held back
        trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:"))


def _distance(a: Any, b: Any) -> float:
    return float(0.5 * np.abs(np.linalg.eigvalsh(a - b)).sum())


def _fidelity(a: Any, b: Any) -> float:
    """The square of tr sqrt(sqrt(a) b sqrt(a)), which is 1 for equal states."""
    weights, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(weights, 0.0))) @ vectors.conj().T
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum() ** 2)
