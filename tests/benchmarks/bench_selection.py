"""`auto` against the best backend for each circuit, over MQT Bench and generated families, from 3 to 1,000 qubits.

Goal: geometric mean at most 1.2 of the best, worst at most 3, and feasible wherever any backend is.

The best is the least time of any backend that was asked for by name, in the same rounds. What `auto` learns, it learns
from its own runs alone. Everything runs on one processor, whose time is measured, so that others who use the machine
disturb little. `PROXIMA_CALIBRATION` names a calibration made on one processor of this machine
(`taskset -c 0 proxima calibrate` says where it is stored); without one the shipped rates hold.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxima
from proxima.contracts.execution import Execution
from proxima.errors import DeadlineExceededError, UnavailableError
from proxima.paths import Paths
from proxima_execution.benchmarking.suites import MQT, make_suite
from proxima_sdk import circuits

BACKENDS = (
    *("cirq", "qiskit-aer", "qsim", "quest", "pennylane", "stim"),
    *("lret-unified", "lret-cirq", "lret-pennylane"),
)
SIZES = (3, 6, 10, 14, 18)
MOST_OPERATIONS = 1500
SPENT = 130.0  # seconds; cases that would come later are left out and counted
EACH = 0.1  # seconds of `auto` alone that a case's rounds are repeated for
HOPELESS = 4.0  # times `auto`'s: where a backend is stopped, at the earliest after 0.4 seconds


@pytest.fixture(autouse=True, scope="module")
def one_processor() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


def _generated() -> Iterator[tuple[str, proxima.Circuit]]:
    for n in (2, 4, 8, 12, 16, 20):
        yield f"ghz {n}", circuits.ghz(n)
        yield f"clifford {n}", circuits.clifford(n, seed=n)
        yield f"brickwork {n}", circuits.brickwork(n, seed=n)
        yield f"random {n}", circuits.random(n, 10, seed=n)
        if n > 2:
            yield f"qft {n}", circuits.qft(n)
            yield f"qaoa {n}", circuits.qaoa(n)
    yield "qft 22", circuits.qft(22)
    yield "brickwork 50, depth 4", circuits.brickwork(50, 4, seed=50)
    yield "clifford 100", circuits.clifford(100, seed=100)
    yield "clifford 1000", circuits.clifford(1000, 10, seed=1000)


def _cases(px: proxima.Kernel) -> list[tuple[str, proxima.Circuit]]:
    suite = make_suite(px, px.services.require(Execution), "mqt", SIZES)
    cases = [(case.name, case.circuit) for case in suite.cases if len(case.circuit) <= MOST_OPERATIONS]
    assert len(cases) > 4 * len(MQT), suite.skipped
    cases += _generated()
    return sorted(cases, key=lambda case: case[1].num_qubits % 50)  # the widest ones first


def test_auto_against_the_best(tmp_path: Path) -> None:
    named, choosing = (Paths.under(str(tmp_path / name)) for name in ("named", "choosing"))
    if calibration := os.environ.get("PROXIMA_CALIBRATION"):
        os.makedirs(choosing.state)
        shutil.copy(calibration, choosing.state)
    started, left_out = time.monotonic(), 0
    found: list[tuple[str, str, dict[str, float]]] = []
    with proxima.open(paths=named) as px, proxima.open(paths=choosing) as auto:
        for name in BACKENDS:  # engines loaded and warm: what is compared is the choice
            for kernel in (px, auto):
                for n in (3, 4):
                    kernel.run(circuits.ghz(n), backend=name, store=False)
        for name, circuit in _cases(px):
            if time.monotonic() - started > SPENT:
                left_out += 1
                continue
            chosen, times = _rounds(px, auto, circuit)
            found.append((name, chosen, times))
            best = min(time for backend, time in times.items() if backend != "auto")
            shown = " ".join(f"{_shown(times[b]):>8}" for b in (*BACKENDS, "auto"))
            print(f"{name:<22} {shown} {times['auto'] / best:6.2f}  {chosen}")
    print(f"{'milliseconds':<22} " + " ".join(f"{b[:8]:>8}" for b in (*BACKENDS, "auto")))
    print(f"\n{len(found)} circuits, {left_out} left out after {SPENT:g} s; times of the least")
    for backend in ("auto", *BACKENDS):
        _print_loss(backend, found)


def _one(
    px: proxima.Kernel, circuit: proxima.Circuit, backend: str, seed: int, deadline: float | None
) -> tuple[float, str]:
    started = time.process_time()
    result = px.run(circuit, backend=backend, seed=seed, store=False, deadline=deadline)
    return time.process_time() - started, result.backend


def _shown(time: float) -> str:
    return "-" if math.isnan(time) else ">" if math.isinf(time) else f"{time * 1e3:.2f}"


def _rounds(px: proxima.Kernel, auto: proxima.Kernel, circuit: proxima.Circuit) -> tuple[str, dict[str, float]]:
    """Least times by backend over some rounds, and what `auto` chose last.

    Not a number where a backend cannot run the circuit, infinite where it was stopped.
    """
    times: dict[str, float] = dict.fromkeys(("auto", *BACKENDS), math.inf)
    chosen, spent, number = "", 0.0, 0
    racing = list(BACKENDS)
    while number < 3 or (spent < EACH and number < 6):
        number += 1
        took, chosen = _one(auto, circuit, "auto", number, None)
        times["auto"] = min(times["auto"], took)
        spent += took
        for backend in list(racing):
            try:
                took, _ = _one(px, circuit, backend, number, max(0.4, HOPELESS * times["auto"]))
                times[backend] = min(times[backend], took)
            except UnavailableError:
                times[backend] = math.nan
            except DeadlineExceededError:
                pass
            if not times[backend] < HOPELESS * times["auto"]:
                racing.remove(backend)
    return chosen, times


def _print_loss(backend: str, found: list[tuple[str, str, dict[str, float]]]) -> None:
    losses, cannot, stopped = [], 0, 0
    for name, _, times in found:
        best = min(time for other, time in times.items() if other != "auto" and not math.isnan(time))
        if math.isnan(times[backend]):
            cannot += 1
        elif math.isinf(times[backend]):
            stopped += 1
        else:
            losses.append((times[backend] / best, name))
    mean = statistics.geometric_mean(loss for loss, _ in losses)
    worst = ", ".join(f"{loss:.2f} {name}" for loss, name in sorted(losses)[: -6 if backend == "auto" else -2 : -1])
    print(f"{backend:<15} mean {mean:6.2f}   cannot {cannot:3}, stopped {stopped:3}   worst {worst}")


@pytest.mark.parametrize("gates", [100, 1000])
def test_cost_of_choosing(tmp_path: Path, gates: int) -> None:
    with proxima.open(paths=Paths.under(str(tmp_path))) as px:
        for _ in range(9):  # a circuit of its own each time: nothing that was counted is known
            result = px.run(circuits.random(8, gates // 8, seed=1), store=False, seed=1)
        taken = [px.run(circuits.random(8, gates // 8, seed=1), store=False, seed=1) for _ in range(9)]
        chosen = min(taken, key=lambda result: result.timings["select"])
        print(f"\nchoosing takes {chosen.timings['select'] * 1e3:.2f} ms at {result.circuit.num_operations} operations")
