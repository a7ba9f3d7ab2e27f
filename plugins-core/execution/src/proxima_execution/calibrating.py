"""Timing a backend on this machine and fitting its seconds per unit of work."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from proxima.contracts.backend import Backend, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Progress
from proxima.contracts.features import features_of
from proxima.errors import ProximaError, RunError, UnsupportedError
from proxima_execution.adaptation import Adaptations
from proxima_execution.calibration import BackendRates
from proxima_execution.families import calibration_circuits
from proxima_execution.fitting import fit_rates, misfit
from proxima_execution.host import processor_count

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_LONGEST_RUN = 0.4  # seconds; a circuit that is expected to take longer is left out
_SECONDS_EACH = 0.03
_MEMORY = 1 << 30
_MANY = 200  # operations

_IMPORT = """
import sys, time
import proxima
from proxima.contracts.backend import RunRequest
with proxima.open() as kernel:
    backend = kernel.get("backends", sys.argv[1])
    b = proxima.Circuit.builder(1, 1)
    circuit = b.h(0).measure(0, 0).build()
    print(repr(float(backend.plan(RunRequest(circuit=circuit)).timings.get("import", 0.0))))
"""


@dataclass(frozen=True, slots=True)
class _Timing:
    work: Mapping[str, float]
    seconds: float
    translation: float
    operations: int


def calibrate_backend(
    backend: Backend,
    probe: Probe,
    capabilities: Mapping[str, Any],
    *,
    import_seconds: float,
    budget: float = 12.0,
    progress: Progress | None = None,
) -> BackendRates:
    """Times the backend on circuits of every family that it can run quickly, and fits its rates.

    Each of the backend's methods is timed, not only the one it would choose. A unit of work that no timed run used
    keeps the manifest's rate.

    Args:
        backend: An available one.
        probe: What it said of itself; its versions are kept with the rates.
        capabilities: From its manifest.
        import_seconds: What importing the engine costs (`measure_import`).
        budget: Seconds to spend, the last run's end aside.
        progress: Told how far it is.

    Raises:
        RunError: None of the circuits ran.
    """
    shipped: dict[str, float] = dict(capabilities.get("rates", {}))
    timings: list[_Timing] = []
    context = RunContext(threads=processor_count())
    _warm_up(backend, context)
    deadline = time.monotonic() + budget  # importing some engines takes as long
    requests = list(_requests(calibration_circuits(), capabilities))
    # In a fixed random order, so that whatever the budget allows covers every size and kind.
    np.random.default_rng(0).shuffle(requests)
    started = time.monotonic()
    for number, request in enumerate(requests):
        now = time.monotonic()
        if now > deadline:
            break
        if progress is not None:
            done = max(number / len(requests), (now - started) / max(budget, 1e-9))
            progress(min(done, 1.0), f"timing {backend.name}: {request.circuit.name}")
        timing = _time(backend, request, context, shipped, deadline)
        if timing is not None:
            timings.append(timing)
    if not timings:
        raise RunError(f"{backend.name}: none of the calibration circuits ran")
    units = sorted({unit for t in timings for unit, amount in t.work.items() if amount})
    work = np.array([[t.work.get(unit, 0.0) for unit in units] for t in timings])
    seconds = np.array([t.seconds for t in timings])
    rates = fit_rates(work, seconds)
    typical, worst = misfit(work, seconds, rates)
    fitted = {**shipped, **dict(zip(units, rates.tolist(), strict=True))}
    # In a large circuit what a plan costs by itself does not count.
    per_operation = [t.translation / t.operations for t in timings if t.operations >= _MANY]
    return BackendRates(
        dict(probe.versions),
        fitted,
        import_seconds,
        typical,
        worst,
        len(timings),
        translation_seconds=statistics.median(per_operation) if per_operation else None,
    )


def measure_import(kernel: Kernel, name: str) -> float:
    """Seconds that importing a backend's engine takes in a fresh process.

    Raises:
        RunError: The process failed.
    """
    kernel.permissions.use("execution", "subprocess", target=sys.executable, reason="time the import of an engine")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT, name], capture_output=True, text=True, timeout=120, check=True
        )
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise RunError(f"cannot time the import of {name}: {detail[-1] if detail else error}") from error


def _requests(circuits: Iterable[Circuit], capabilities: Mapping[str, Any]) -> Iterable[RunRequest]:
    """Each circuit by the backend's own choice of method and by every method, then with other shots and wants."""
    methods: list[str | None] = [None, *(m for m in capabilities.get("methods", ()) if m != "automatic")]
    wants = capabilities.get("wants", ())
    for number, made in enumerate(circuits):
        try:
            circuit = Adaptations(RunRequest(circuit=made)).for_backend(capabilities).request.circuit
        except UnsupportedError:
            continue  # a family that it cannot run at all
        for method in methods:
            options = {} if method is None else {"method": method}
            yield RunRequest(circuit=circuit, options=options)
            if number % 5 == 1:
                yield RunRequest(circuit=circuit, options=options, shots=16_384)
                yield RunRequest(circuit=circuit, options=options, shots=16)
            if number % 5 == 2 and "statevector" in wants:
                yield RunRequest(
                    circuit=circuit, options=options, shots=None, wants=("statevector",), precision="double"
                )
                yield RunRequest(circuit=circuit, options=options, shots=None, wants=("statevector",))


def _warm_up(backend: Backend, context: RunContext) -> None:
    """Imports the engine and lets it build what it builds once."""
    circuit = Circuit.builder(2).h(0).cx(0, 1).measure_all().build()
    backend.run(backend.plan(RunRequest(circuit=circuit)), context)


def _time(
    backend: Backend, request: RunRequest, context: RunContext, rates: Mapping[str, float], deadline: float
) -> _Timing | None:
    """The least of several times; ``None`` where the backend cannot, or would take too long or too much memory."""
    try:
        estimate = backend.estimate(request, features_of(request.circuit))
        if not estimate.feasible or not estimate.work or estimate.memory_bytes > _MEMORY:
            return None
        expected = estimate.seconds(rates)
        if _LONGEST_RUN < expected < float("inf"):
            return None
        best = planned = float("inf")
        first = time.perf_counter()
        # Whatever else the machine does can only add to a time, so the least of many is the truest.
        for _ in range(20):
            start = time.perf_counter()
            plan = backend.plan(request)
            between = time.perf_counter()
            backend.run(plan, context)
            now = time.perf_counter()
            best, planned = min(best, now - start), min(planned, between - start)
            if now - first > _SECONDS_EACH or time.monotonic() > deadline:
                break
    except ProximaError:
        return None  # a method that does not fit this circuit
    return _Timing(estimate.work, best, planned, len(request.circuit))
