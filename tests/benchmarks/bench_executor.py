"""What spreading tasks over Dask costs, and what it gains.

Goals: an empty task costs at most 10 ms; 200 points of a QAOA circuit of 16 qubits are 1.7 times faster with two
workers than with one, by the clock or, on a machine with other work, by the processor time that each process takes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import proxima
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import RunOptions
from proxima_execution.points import Runs, points_of
from proxima_executor_dask.executor import DaskKind

QUBITS, POINTS, ROUNDS = 16, 200, 3


@dataclass(frozen=True)
class Nothing:
    """Work that returns what it gets."""

    def open(self, kernel: proxima.Kernel) -> Any:
        return lambda items, cancel: iter(items)


def _qaoa() -> Circuit:
    """Two layers for the largest cut of a ring."""
    builder = Circuit.builder(QUBITS)
    for q in range(QUBITS):
        builder.h(q)
    for layer in range(2):
        for q in range(QUBITS):
            builder.cx(q, (q + 1) % QUBITS).rz(Parameter(f"gamma{layer}"), (q + 1) % QUBITS).cx(q, (q + 1) % QUBITS)
        for q in range(QUBITS):
            builder.rx(Parameter(f"beta{layer}"), q)
    return builder.build()


def _seconds(executor: Any, work: Any, items: Any) -> float:
    start = time.perf_counter()
    assert len(dict(executor.map(work, items))) == len(items)
    return time.perf_counter() - start


def _measured(executor: Any, work: Any, items: Any) -> tuple[float, float, list[float]]:
    """Seconds by the clock, and processor time of this process, scheduler and all, and of each worker."""

    def used() -> list[tuple[str, float]]:
        return sorted(executor._client.run(time.process_time).items())

    before, start = used(), time.process_time()
    clock = _seconds(executor, work, items)
    ours = time.process_time() - start
    return clock, ours, [now - then for (_, then), (_, now) in zip(before, used(), strict=True)]


def test_overhead_of_a_task() -> None:
    with proxima.open(flags={"plugins.executor-dask.workers": 2}) as kernel, DaskKind(kernel).open("dask") as executor:
        _seconds(executor, Nothing(), range(50))
        each = min(_seconds(executor, Nothing(), range(500)) for _ in range(ROUNDS)) / 500
    print(f"\nan empty task: {each * 1e3:.2f} ms, load {os.getloadavg()[0]:.1f}")
    assert each <= 10e-3


def test_two_workers_against_one() -> None:
    names = ("gamma0", "beta0", "gamma1", "beta1")
    bindings = [{name: 0.01 * i + 0.1 * j for j, name in enumerate(names)} for i in range(POINTS)]
    options = RunOptions(backend="quest", seed=1, shots=100, threads=1)
    points = points_of([_qaoa()], bindings, options)
    work = Runs((_qaoa(),), proxima.__version__)
    with (
        proxima.open(flags={"plugins.executor-dask.workers": 1}) as one,
        proxima.open(flags={"plugins.executor-dask.workers": 2}) as two,
        DaskKind(one).open("dask") as single,
        DaskKind(two).open("dask") as double,
    ):
        gains: list[float] = []
        for executor in (single, double):
            _seconds(executor, work, points[:8])  # the engine is imported
        for _ in range(ROUNDS):
            alone, ours, (theirs,) = _measured(single, work, points)
            together, client, workers = _measured(double, work, points)
            # What the times would be where nothing else ran: the busier worker's, or that of all on two processors.
            free = max(theirs, (ours + theirs) / 2) / max(*workers, (client + sum(workers)) / 2)
            gains += [alone / together, free]
            print(
                f"\n{alone / together:.2f}x by the clock, load {os.getloadavg()[0]:.1f}, {free:.2f}x by processor time"
            )
            print(f"one worker {theirs:.2f} s, two {workers[0]:.2f} and {workers[1]:.2f} s, the client {client:.2f} s")
    assert max(gains) >= 1.7
