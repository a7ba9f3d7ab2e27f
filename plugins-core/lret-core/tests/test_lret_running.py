"""Stopping, threads, forks, progress."""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import threading
import time

import numpy as np
import pytest
from lret_circuits import brick

import proxima_lret_core as lret
from proxima.contracts.backend import CancelToken, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.errors import CancelledError, DeadlineExceededError
from proxima_lret_core import _native
from proxima_lret_core.program import Program

NOISY = NoiseModel.parse("depolarizing:0.002").apply(brick(8))
LONG = NoiseModel.parse("depolarizing:0.02").apply(brick(11, layers=12))  # minutes


@pytest.mark.parametrize("threads", [1, 2])
def test_cancelled_within_a_second(threads: int) -> None:
    token = CancelToken()
    asked: list[float] = []

    def cancel() -> None:
        asked.append(time.process_time())
        token.cancel()

    timer = threading.Timer(1.5, cancel)
    timer.start()
    with pytest.raises(CancelledError):
        lret.run(LONG, context=RunContext(cancel=token, threads=threads))
    stopped = time.process_time()  # the machine may give this process a small share of a second
    timer.join()
    assert asked, "it ended before it was asked to"
    assert stopped - asked[0] < 1.0


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
def test_other_methods_are_cancelled_within_a_second_too(method: str) -> None:
    builder = Circuit.builder(12, 12)
    for each in NoiseModel.parse("amplitude_damping:0.05").apply(brick(12, layers=12)):
        builder.append(each.op, each.qubits, each.params)
    circuit = builder.measure(0, 0).build()
    token = CancelToken()
    asked: list[float] = []

    def progress(fraction: float | None, message: str) -> None:
        if not asked:
            asked.append(time.process_time())
            token.cancel()

    context = RunContext(cancel=token, threads=2, progress=progress)
    with pytest.raises(CancelledError):
        lret.simulate(
            circuit,
            shots=5000,
            method=method,
            tolerance=0.5,
            memory=2**30,
            context=context,  # type: ignore[arg-type]
        ).samples(5000)
    assert time.process_time() - asked[0] < 1.0


def test_deadline() -> None:
    used = time.process_time()
    with pytest.raises(DeadlineExceededError):
        lret.run(LONG, context=RunContext(deadline=time.monotonic() + 0.5))
    assert time.process_time() - used < 1.5


def test_progress_tells_rank_and_budget() -> None:
    said: list[tuple[float | None, str]] = []
    token = CancelToken()

    def progress(fraction: float | None, message: str) -> None:
        said.append((fraction, message))
        if len(said) == 20:
            token.cancel()

    with pytest.raises(CancelledError):
        lret.run(LONG, context=RunContext(progress=progress, cancel=token))
    fractions = [fraction for fraction, _ in said]
    assert all(f is not None and 0 <= f <= 1 for f in fractions)
    assert fractions == sorted(fractions)  # type: ignore[type-var]
    assert all("rank" in message and "budget" in message for _, message in said)


def test_an_error_of_the_caller_s_own_comes_through() -> None:
    def progress(fraction: float | None, message: str) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        lret.run(LONG, context=RunContext(progress=progress, threads=2))


def test_a_run_that_may_stop_does_so_before_columns_that_do_not_fit() -> None:
    def go_on(columns: int, spent: float) -> bool:
        return True

    program = Program(NoiseModel.parse("depolarizing:0.2").apply(brick(6)))
    (plan,) = program.plans
    memory = 6.0 * 128 * 2**6  # of six tiles, each of 16 columns
    limited, free = (_native.make_factor(6, True, 1, most) for most in (memory, 1e9))
    for factor in (limited, free):
        factor.grant(1e-3, program.error)
    at = limited.advance(plan, 0, [math.inf] * plan.num_units, go_on)
    assert 0 < at < plan.num_units
    assert limited.num_bytes <= memory
    limited.limit(1e9)
    assert limited.advance(plan, at, [], go_on) == free.advance(plan, 0, [], go_on) == plan.num_units
    assert limited.done == pytest.approx(free.done, rel=1e-12)
    np.testing.assert_allclose(limited.probabilities(go_on), free.probabilities(go_on), atol=2e-3)


def test_threads_give_the_same_state() -> None:
    one, two = (lret.run(NOISY, precision="double", context=RunContext(threads=t)) for t in (1, 2))
    assert one.rank == two.rank
    np.testing.assert_allclose(one.density_matrix(), two.density_matrix(), atol=1e-14)


def test_two_runs_at_once() -> None:
    expected = lret.run(NOISY).probabilities()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        states = list(pool.map(lambda _: lret.run(NOISY, context=RunContext(threads=2)), range(8)))
    for state in states:
        np.testing.assert_allclose(state.probabilities(), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
def test_two_runs_at_once_by_other_methods(method: str) -> None:
    builder = Circuit.builder(8, 8)
    for each in NOISY:
        builder.append(each.op, each.qubits, each.params)
    measured = builder.measure(0, 0).measure(1, 1).build()

    def counts(_: int) -> dict[str, int]:
        context = RunContext(threads=2)
        return lret.simulate(measured, shots=500, method=method, context=context).counts(500, 3)  # type: ignore[arg-type]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(counts, range(8)))
    assert found == [found[0]] * 8


def _in_child(queue: multiprocessing.queues.Queue[tuple[int, float]]) -> None:
    state = lret.run(NOISY, context=RunContext(threads=2))
    queue.put((lret.usable_threads(2), float(state.probabilities()[0])))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # just that is tried
def test_a_fork_after_threads_started_has_threads_of_its_own() -> None:
    expected = lret.run(NOISY, context=RunContext(threads=2)).probabilities()[0]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    threads, value = queue.get(timeout=60)
    child.join(30)
    assert child.exitcode == 0
    assert threads == lret.usable_threads(2)
    assert value == pytest.approx(expected, abs=1e-6)
