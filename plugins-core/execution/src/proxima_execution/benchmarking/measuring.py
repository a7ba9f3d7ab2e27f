"""Timing each case of a suite on each backend."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Execution, Progress, RunOptions
from proxima.errors import DeadlineExceededError, PermissionDeniedError, ProximaError, UnavailableError, UsageError
from proxima_execution.benchmarking.report import Measurement, Status
from proxima_execution.benchmarking.suites import Case


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly to measure.

    Attributes:
        warmup: Runs of each case on each backend that are not counted.
        repeats: Runs that are.
        timeout: Seconds for all runs of one case on one backend.
    """

    warmup: int = 1
    repeats: int = 5
    timeout: float = 20.0

    def check(self) -> None:
        """Raises `UsageError` where a number is out of range."""
        if not 0 <= self.warmup <= 1000:
            raise UsageError(f"warmup: expected a whole number from 0 to 1000, got {self.warmup}")
        if not 1 <= self.repeats <= 10_000:
            raise UsageError(f"repeats: expected a whole number from 1 to 10000, got {self.repeats}")
        if not 0 < self.timeout < 1e9:
            raise UsageError(f"timeout: expected a positive number of seconds, got {self.timeout!r}")


@dataclass
class _Turn:
    """One case on one backend, while it is measured."""

    backend: str
    left: float
    warm: int = 0
    method: str = ""
    seconds: list[float] = field(default_factory=list)
    status: Status = "interrupted"
    reason: str = ""
    over: bool = False


def measure(
    execution: Execution,
    cases: Sequence[Case],
    backends: Sequence[str],
    options: RunOptions,
    effort: Effort,
    *,
    progress: Progress,
) -> tuple[list[Measurement], bool]:
    """Times every case on every backend, and whether it was interrupted.

    Every case is run once on every backend before any is run again, so that what else the machine does for a while
    meets one run of all cases and not all runs of one. Ctrl-C ends it; what is measured by then is returned.

    Args:
        execution: Runs the circuits; nothing is stored.
        cases: What to run.
        backends: Where.
        options: Of the runs; their backend, deadline and seed are set here.
        effort: How often, and for how long.
        progress: Told how far it is.
    """
    effort.check()
    table = [(case, [_Turn(backend, effort.timeout) for backend in backends]) for case in cases]
    rounds = effort.warmup + effort.repeats
    done, total = 0, rounds * len(cases) * len(backends)
    try:
        for backend in backends:
            progress(0.0, f"importing the engine of {backend}")
            _import(execution, backend, options)
        for round_ in range(rounds):
            for case, turns in table:
                for turn in turns:
                    if not turn.over:
                        progress(done / total, f"{case.name} on {turn.backend}, run {round_ + 1} of {rounds}")
                        _take(execution, case.circuit, turn, replace(options, seed=round_ + 1), effort)
                    done += 1
    except KeyboardInterrupt:
        return _measurements(table), True
    return _measurements(table), False


def _import(execution: Execution, backend: str, options: RunOptions) -> None:
    """Has the engine imported, which no case is to be charged for; what is wrong with it, each case will say."""
    circuit = Circuit.builder(1, 1).h(0).measure(0, 0).build()
    with suppress(ProximaError):
        execution.run(circuit, RunOptions(backend=backend, wants=options.wants, shots=1, store=False))


def _take(execution: Execution, circuit: Circuit, turn: _Turn, options: RunOptions, effort: Effort) -> None:
    """One run, and what came of it."""
    start = time.perf_counter()
    try:
        mine = replace(options, backend=turn.backend, store=False, deadline=max(turn.left, 1e-3))
        result = execution.run(circuit, mine)
    except DeadlineExceededError:
        turn.status, turn.over = ("done" if turn.seconds else "timeout"), True
        turn.reason = f"it took more than {effort.timeout:g} s"
        return
    except (UnavailableError, PermissionDeniedError, UsageError) as error:
        turn.status, turn.reason, turn.over = "cannot", str(error), True
        return
    except ProximaError as error:
        turn.status, turn.reason, turn.over = "failed", str(error), True
        return
    took = time.perf_counter() - start - result.timings.get("import", 0.0)
    turn.left -= took
    turn.method = result.method
    if turn.warm < effort.warmup:
        turn.warm += 1
    else:
        turn.seconds.append(took)
        turn.status = "done"
    if turn.left <= 0:
        turn.over = True
        turn.reason = f"it took more than {effort.timeout:g} s"
        turn.status = "done" if turn.seconds else "timeout"


def _measurements(table: Sequence[tuple[Case, Sequence[_Turn]]]) -> list[Measurement]:
    return [
        Measurement(
            case.name,
            case.family,
            case.circuit.num_qubits,
            len(case.circuit),
            case.circuit.content_hash,
            turn.backend,
            turn.status,
            turn.reason,
            turn.method,
            tuple(turn.seconds),
        )
        for case, turns in table
        for turn in turns
    ]
