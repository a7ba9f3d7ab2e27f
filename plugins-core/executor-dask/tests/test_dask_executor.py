"""Tasks on a cluster of this machine: each once, tried again, cancelled, and with workers that die."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

import pytest
from dask_works import Failing, Slow, Squares

from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError, RunError, UsageError
from proxima_executor_dask.mapping import _tasks


def pids(executor) -> list[int]:
    return list(executor._client.run(os.getpid).values())


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_item_is_answered_once_with_progress(local):
    told = []
    answers = list(local.map(Squares(), range(100), progress=lambda fraction, message: told.append(fraction)))
    assert sorted(answers) == [(i, i * i) for i in range(100)]
    assert told[0] == 0.0
    assert told == sorted(told)
    assert list(local.map(Squares(), [])) == []


def test_an_engine_that_fails_is_tried_again(local, tmp_path):
    assert dict(local.map(Failing(tmp_path, times=2), range(6), retries=2)) == {i: i for i in range(6)}
    assert (tmp_path / "tried").stat().st_size == 3


def test_an_engine_that_goes_on_failing_ends_the_map(local, tmp_path):
    with pytest.raises(RunError, match="the engine failed"):
        list(local.map(Failing(tmp_path, times=9), range(6), retries=1))
    assert (tmp_path / "tried").stat().st_size == 2


def test_what_is_wrong_is_not_tried_again_and_arrives_whole(local, tmp_path):
    with pytest.raises(UsageError, match="item 3 is wrong") as caught:
        list(local.map(Failing(tmp_path, error="usage"), range(6), retries=5))
    assert (caught.value.hint, caught.value.plugin) == ("leave it out", "works")
    assert (tmp_path / "tried").stat().st_size == 1


def test_a_bug_in_the_work_is_named(local, tmp_path):
    with pytest.raises(RunError, match="item 3 failed: ZeroDivisionError: by item 3"):
        list(local.map(Failing(tmp_path, error="bug"), range(6), retries=0))


def test_cancelling_stops_running_tasks_within_seconds(local, tmp_path):
    token = CancelToken()
    answers = local.map(Slow(tmp_path, 120.0), range(4), cancel=token)
    canceller = threading.Thread(
        target=lambda: (wait_for(lambda: len(list(tmp_path.glob("began-*"))) == 2), token.cancel())
    )
    canceller.start()
    with pytest.raises(CancelledError, match="0 of 4 were done"):
        next(answers)
    canceller.join()
    wait_for(lambda: len(list(tmp_path.glob("cancelled-*"))) == 2, seconds=20)
    assert dict(local.map(Squares(), range(3))) == {0: 0, 1: 1, 2: 4}  # the cluster is free again
    assert len(list(tmp_path.glob("began-*"))) == 2


def test_closing_the_iterator_stops_what_is_left(local, tmp_path):
    answers = local.map(Slow(tmp_path, 0.3), range(200))
    next(answers)
    answers.close()
    assert dict(local.map(Squares(), range(3))) == {0: 0, 1: 1, 2: 4}
    assert len(list(tmp_path.glob("began-*"))) < 100


def test_a_killed_worker_costs_no_answer(local, tmp_path):
    before = pids(local)
    answers = []
    for answer in local.map(Slow(tmp_path, 0.3), range(12)):
        answers.append(answer)
        if len(answers) == 2:
            os.kill(before[0], signal.SIGKILL)
    assert sorted(answers) == [(i, i) for i in range(12)]
    wait_for(lambda: len(pids(local)) == 2)  # Dask starts another in its place
    assert before[0] not in pids(local)
    assert dict(local.map(Squares(), range(9))) == {i: i * i for i in range(9)}


def test_a_task_that_kills_its_workers_is_given_up(local, tmp_path):
    # Dask takes another that waits on a worker for as guilty of its death.
    with pytest.raises(RunError, match=r"item \d: given up, for every worker that was at it died"):
        list(local.map(Failing(tmp_path, error="death"), [0, 1, 2, 3]))
    assert (tmp_path / "tried").stat().st_size >= 2


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        (math.inf, [1, 1, 1, 1, 1, 1]),  # not known yet
        (0.025, [20, 20, 20, 20, 20, 20]),  # half a second of work
        (1e-9, [50, 37, 28, 21, 16, 12]),  # a share for every worker's turns, so that none is left waiting at the end
    ],
)
def test_a_task_takes_as_many_items_as_are_worth_it(seconds, sizes):
    tasks = _tasks(begun=0, total=200, seconds=seconds, most=8, running=2)
    assert [len(task) for task in tasks] == sizes
    assert [number for task in tasks for number in task] == list(range(sum(sizes)))


def test_the_last_tasks_are_single_items():
    assert _tasks(begun=197, total=200, seconds=1e-9, most=8, running=0) == [
        range(197, 198),
        range(198, 199),
        range(199, 200),
    ]
