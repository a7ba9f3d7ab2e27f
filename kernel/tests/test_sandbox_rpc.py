"""Calls both ways at once, and a worker that misbehaves in every way the protocol offers."""

from __future__ import annotations

import fcntl
import gc
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxima import errors
from proxima.contracts.backend import CancelToken, Estimate, Probe
from proxima.contracts.result import RunResult
from proxima.errors import (
    CancelledError,
    CircuitSyntaxError,
    DeadlineExceededError,
    NotFoundError,
    PermissionDeniedError,
    PluginBrokenError,
    PluginDisabledError,
    ProximaError,
    ResourceError,
    RunError,
    UsageError,
)
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.messages import (
    ANSWER,
    CANCEL,
    ERROR,
    FREE,
    LEASE,
    MAX_CALLS,
    MAX_HELD,
    MAX_REQUEST,
    PROGRESS,
    REQUEST,
)
from proxima.sandbox.outgoing import CANCEL_GRACE
from proxima.sandbox.remote_errors import RemoteTraceback
from proxima.sandbox.rpc import Call, Peer, WithFds
from proxima.sandbox.shm import MIN_BUFFER, BufferPool, MappedBuffers

STATE = np.arange(2**16, dtype=np.complex128)


def open_fds(expected: int) -> int:
    """How many descriptors are open, once they are as many as expected or five seconds have passed."""
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) != expected and time.monotonic() < deadline:
        time.sleep(0.005)
    return len(os.listdir("/proc/self/fd"))


class Both:
    """A kernel's and a worker's peer in one process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.pool = BufferPool(max_bytes=64 << 20)
        self.reasons: list[ProximaError] = []
        self.kernel = Peer(Channel(ours), plugin="demo", buffers=self.pool, on_close=self.reasons.append)
        self.worker = Peer(Channel(theirs), plugin="demo", buffers=MappedBuffers())
        self.kernel.start()
        self.worker.start()

    def close(self) -> None:
        self.kernel.close()
        self.worker.close()


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.close()


class Hostile:
    """A kernel's peer, and the bare channel in a worker's hands."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.pool = BufferPool(max_bytes=8 << 20)
        self.reasons: queue.Queue[ProximaError] = queue.Queue()
        self.kernel = Peer(
            Channel(ours, frame_seconds=0.5), plugin="evil", buffers=self.pool, on_close=self.reasons.put
        )
        self.kernel.serve("ping", lambda arguments, call: "pong")
        self.kernel.serve("add", lambda pair, call: sum(pair), takes=tuple[int, int])
        self.kernel.start()
        self.raw = theirs
        self.channel = Channel(theirs)

    def hear(self) -> Any:
        message, fds = self.channel.receive(deadline=time.monotonic() + 5, max_fds=4)
        for fd in fds:
            os.close(fd)
        return message

    def call(self, **options: Any) -> queue.Queue[Any]:
        """Calls the worker; what comes of it, value or error, ends up in the queue."""
        outcome: queue.Queue[Any] = queue.Queue()

        def call() -> None:
            try:
                outcome.put(self.kernel.call("work", **options))
            except ProximaError as error:
                outcome.put(error)

        threading.Thread(target=call, daemon=True).start()
        return outcome


@pytest.fixture
def evil() -> Iterator[Hostile]:
    made = Hostile()
    yield made
    made.kernel.close()
    made.channel.close()


def test_calls_go_both_ways(both: Both) -> None:
    both.worker.serve("double", lambda x, call: x * 2)
    both.kernel.serve("triple", lambda x, call: x * 3)
    assert both.kernel.call("double", 4, returns=int) == 8
    assert both.worker.call("triple", "ab") == "ababab"


def test_a_served_function_may_call_back(both: Both) -> None:
    both.worker.serve("outer", lambda n, call: 0 if n == 0 else 1 + both.worker.call("inner", n - 1))
    both.kernel.serve("inner", lambda n, call: both.kernel.call("outer", n))
    assert both.kernel.call("outer", 12) == 12


def test_32_calls_at_once_each_get_their_own_answer(both: Both) -> None:
    together = threading.Barrier(32)

    def serve(k: int, call: Call) -> list[Any]:
        together.wait(20)
        return [k, STATE + k, both.worker.call("broker", k)]

    both.worker.serve("work", serve)
    both.kernel.serve("broker", lambda k, call: k * k)
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda k: both.kernel.call("work", k), range(32)))
    for k, (got, state, square) in enumerate(answers):
        assert (got, square) == (k, k * k)
        np.testing.assert_array_equal(state, STATE + k)
    assert both.pool.lent == 0


def test_more_calls_than_the_limit_take_turns(both: Both) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def serve(k: int, call: Call) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return k

    both.worker.serve("work", serve)
    with ThreadPoolExecutor(MAX_CALLS + 20) as threads:
        assert list(threads.map(lambda k: both.kernel.call("work", k), range(200))) == list(range(200))
    assert most <= MAX_CALLS


def test_large_arguments_and_answers_use_the_same_buffers_again(both: Both) -> None:
    both.worker.serve("echo", lambda value, call: value)
    both.kernel.serve("echo", lambda value, call: value)
    for k in range(20):
        np.testing.assert_array_equal(both.kernel.call("echo", STATE * k), STATE * k)
        np.testing.assert_array_equal(both.worker.call("echo", STATE * k), STATE * k)
    assert both.pool.bytes_made <= 4 * MIN_BUFFER
    deadline = time.monotonic() + 5
    while both.pool.lent and time.monotonic() < deadline:  # the worker's last notice may be on its way
        time.sleep(0.01)
    assert both.pool.lent == 0


def test_an_answer_beyond_the_pool_is_a_typed_error_and_the_worker_goes_on(both: Both) -> None:
    both.worker.serve("big", lambda n, call: np.zeros(n, dtype=np.uint8))
    with pytest.raises(ResourceError, match="no shared buffer"):
        both.kernel.call("big", 100 << 20)
    assert both.kernel.call("big", 1 << 20).nbytes == 1 << 20
    with pytest.raises(ResourceError):
        both.kernel.call("big", np.zeros(100 << 20, dtype=np.uint8))
    assert both.pool.lent == 0


def test_progress_arrives_in_order_in_the_callers_thread(both: Both) -> None:
    def serve(arguments: Any, call: Call) -> str:
        for k in range(5):
            call.progress(k / 4, f"step {k}")
            time.sleep(0.012)
        call.progress(2.0, "x" * 5000)
        time.sleep(0.012)
        call.progress(float("nan"), "\ud800")
        return "done"

    both.worker.serve("work", serve)
    told: list[tuple[float | None, str, int]] = []
    answer = both.kernel.call("work", progress=lambda f, m: told.append((f, m, threading.get_ident())))
    assert answer == "done"
    assert [f for f, _, _ in told] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, None]
    assert told[1][1] == "step 1"
    assert len(told[5][1]) == 1000
    assert {thread for _, _, thread in told} == {threading.get_ident()}


def test_progress_after_the_answer_is_not_sent(both: Both) -> None:
    calls: list[Call] = []
    both.worker.serve("work", lambda arguments, call: calls.append(call))
    both.kernel.call("work")
    calls[0].progress(0.5, "late")
    assert both.kernel.call("work") is None
    assert both.kernel.failure is None


def test_an_error_in_the_progress_callback_is_the_callers(both: Both) -> None:
    stopped = threading.Event()

    def serve(arguments: Any, call: Call) -> None:
        call.progress(0.1, "go")
        while not call.cancel.cancelled:
            time.sleep(0.005)
        stopped.set()

    def progress(fraction: float | None, message: str) -> None:
        raise KeyError(message)

    both.worker.serve("work", serve)
    with pytest.raises(KeyError, match="go"):
        both.kernel.call("work", progress=progress)
    assert stopped.wait(5)
    both.worker.serve("work", lambda arguments, call: 1)
    assert both.kernel.call("work") == 1


@pytest.mark.parametrize("side", ["kernel", "worker"])
def test_cancel_reaches_the_other_side(both: Both, side: str) -> None:
    def serve(arguments: Any, call: Call) -> None:
        while not call.cancel.cancelled:
            time.sleep(0.005)
        raise CancelledError("the run was cancelled")

    caller, server = (both.kernel, both.worker) if side == "kernel" else (both.worker, both.kernel)
    server.serve("work", serve)
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(CancelledError, match="the run was cancelled"):
        caller.call("work", cancel=token)
    assert time.monotonic() - started < 1.1


def test_a_worker_deaf_to_cancel_is_given_up(evil: Hostile) -> None:
    token = CancelToken()
    token.cancel()
    started = time.monotonic()
    outcome = evil.call(cancel=token)
    request = evil.hear()
    assert evil.hear() == [CANCEL, request[1]]
    error = outcome.get(timeout=10)
    assert isinstance(error, CancelledError)
    assert error.plugin == "evil"
    assert time.monotonic() - started < CANCEL_GRACE + 2


def test_a_deadline_gives_up_the_call_and_its_late_answer_is_ignored(both: Both) -> None:
    go = threading.Event()

    def serve(arguments: Any, call: Call) -> np.ndarray:
        go.wait(10)
        return STATE

    both.worker.serve("work", serve)
    with pytest.raises(DeadlineExceededError, match="plugin demo did not answer work") as caught:
        both.kernel.call("work", deadline=time.monotonic() + 0.1)
    assert caught.value.plugin == "demo"
    go.set()
    np.testing.assert_array_equal(both.kernel.call("work"), STATE)
    assert both.kernel.failure is None
    # The late answer may come after the second one.
    until = time.monotonic() + 10
    while both.pool.lent and time.monotonic() < until:
        time.sleep(0.01)
    assert both.pool.lent == 0


def test_calls_given_up_still_count(both: Both) -> None:
    go = threading.Event()
    both.worker.serve("work", lambda arguments, call: go.wait(20))
    with ThreadPoolExecutor(MAX_CALLS) as threads:
        waiting = [threads.submit(both.kernel.call, "work", deadline=time.monotonic() + 0.5) for _ in range(MAX_CALLS)]
        assert all(isinstance(w.exception(timeout=10), DeadlineExceededError) for w in waiting)
    with pytest.raises(DeadlineExceededError, match=f"while {MAX_CALLS} other calls"):
        both.kernel.call("work", deadline=time.monotonic() + 0.05)
    go.set()
    assert both.kernel.call("work", deadline=time.monotonic() + 10) is True


ERRORS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ProximaError)]


@pytest.mark.parametrize("cls", [cls for cls in ERRORS if cls is not CircuitSyntaxError], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("side", ["kernel", "worker"])
def test_errors_of_the_tree_cross_with_message_and_hint(both: Both, cls: type[ProximaError], side: str) -> None:
    def serve(arguments: Any, call: Call) -> None:
        raise cls("what failed", hint="what to do", plugin="somebody-else")

    caller, server = (both.kernel, both.worker) if side == "kernel" else (both.worker, both.kernel)
    server.serve("work", serve)
    with pytest.raises(cls) as caught:
        caller.call("work")
    assert type(caught.value) is cls
    assert (caught.value.message, caught.value.hint) == ("what failed", "what to do")
    if side == "kernel":
        assert caught.value.plugin == "demo"  # whatever the worker says
        assert "in serve" in str(caught.value.__cause__)
        assert isinstance(caught.value.__cause__, RemoteTraceback)
    else:
        assert caught.value.__cause__ is None  # a worker learns nothing of the kernel's inside


def test_a_syntax_error_keeps_its_place(both: Both) -> None:
    def serve(arguments: Any, call: Call) -> None:
        raise CircuitSyntaxError("expected ;", path="a.qasm", line=3, column=7, token="qreg", hint="add one")

    both.worker.serve("work", serve)
    with pytest.raises(CircuitSyntaxError) as caught:
        both.kernel.call("work")
    error = caught.value
    assert (error.path, error.line, error.column, error.token) == ("a.qasm", 3, 7, "qreg")
    assert str(error) == "a.qasm:3:7: expected ; (at 'qreg')"


class Nasty(Exception):
    def __str__(self) -> str:
        return "\ud800" + "x" * 100_000


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(3), KeyboardInterrupt(), Nasty()], ids=repr)
def test_any_other_error_of_a_worker_breaks_the_plugin_not_the_kernel(both: Both, error: BaseException) -> None:
    def serve(arguments: Any, call: Call) -> None:
        raise error

    both.worker.serve("work", serve)
    with pytest.raises(PluginBrokenError, match=f"plugin demo raised {type(error).__name__}") as caught:
        both.kernel.call("work")
    assert "Traceback" in str(caught.value.__cause__)
    assert len(caught.value.message) < 5000
    assert both.kernel.failure is None


def test_an_error_inside_the_kernel_tells_the_worker_nothing(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    both.kernel.serve("broker", lambda arguments, call: {}["the secret"])  # type: ignore[func-returns-value]
    with pytest.raises(RunError, match="the kernel failed to serve broker") as caught:
        both.worker.call("broker")
    assert "secret" not in str(caught.value)
    assert "the secret" in caplog.text


def test_what_cannot_be_sent_is_an_error_of_the_call(both: Both) -> None:
    both.worker.serve("work", lambda arguments, call: object())
    with pytest.raises(UsageError, match="cannot be sent"):
        both.kernel.call("work")
    with pytest.raises(UsageError, match="cannot be sent"):
        both.kernel.call("work", object())
    both.worker.serve("long", lambda arguments, call: "x" * (65 << 20))
    with pytest.raises(ResourceError, match="bytes"):
        both.kernel.call("long")
    both.worker.serve("work", lambda arguments, call: 1)
    assert both.kernel.call("work") == 1


def test_an_unknown_method_is_not_found(both: Both) -> None:
    with pytest.raises(NotFoundError, match="'nothing'"):
        both.kernel.call("nothing")
    with pytest.raises(NotFoundError):
        both.worker.call("nothing")


def test_a_denial_of_the_kernel_reaches_the_plugins_code_as_a_permission_error(both: Both) -> None:
    def broker(arguments: Any, call: Call) -> None:
        raise PermissionDeniedError("network:example.org was not granted", hint="grant it")

    both.kernel.serve("broker", broker)
    with pytest.raises(PermissionError, match=r"network:example\.org"):
        both.worker.call("broker")


def test_descriptors_go_to_a_worker_that_expects_them(both: Both) -> None:
    read, write = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    both.kernel.serve("open", lambda arguments, call: WithFds({"name": "x"}, [os.dup(write)]))
    value, (got,) = both.worker.call_for_fds("open", None, 1)
    assert value == {"name": "x"}
    assert fcntl.fcntl(got, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.write(got, b"hello")
    assert os.read(read, 5) == b"hello"
    os.close(got)
    assert open_fds(before) == before
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("expected", [None, 0, 2])
def test_another_number_of_descriptors_is_refused_and_all_are_closed(both: Both, expected: int | None) -> None:
    read, write = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    both.kernel.serve("open", lambda arguments, call: WithFds(None, [os.dup(write)]))

    def call() -> object:
        return both.worker.call("open") if expected is None else both.worker.call_for_fds("open", None, expected)

    with pytest.raises(ProtocolError):
        call()
    assert both.kernel.wait(5)
    assert both.worker.wait(5)
    assert open_fds(before - 2) == before - 2
    os.close(read)
    os.close(write)


def test_a_worker_cannot_send_descriptors(both: Both) -> None:
    both.worker.serve("open", lambda arguments, call: WithFds(None, [os.dup(0)]))
    with pytest.raises(RunError, match="cannot be sent"):
        both.kernel.call("open")


def test_answers_are_held_to_the_type_that_was_asked_for(both: Both) -> None:
    both.worker.serve("estimate", lambda arguments, call: Probe("available"))
    with pytest.raises(ProtocolError, match=r"plugin demo broke the protocol.*expected Estimate, got Probe") as caught:
        both.kernel.call("estimate", returns=Estimate)
    assert caught.value.plugin == "demo"
    assert both.kernel.wait(5)
    assert [type(reason) for reason in both.reasons] == [ProtocolError]


def test_close_fails_the_calls_in_progress_with_its_reason(both: Both) -> None:
    both.worker.serve("work", lambda arguments, call: time.sleep(1))
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(both.kernel.call, "work") for _ in range(4)]
        time.sleep(0.05)
        both.kernel.close(PluginDisabledError("plugin demo was turned off", plugin="demo"))
        for call in waiting:
            with pytest.raises(PluginDisabledError, match="turned off"):
                call.result(timeout=5)
    with pytest.raises(PluginDisabledError):
        both.kernel.call("work")
    assert both.worker.wait(5)
    both.kernel.close()


def test_the_end_of_a_conversation_cancels_what_is_being_served(both: Both) -> None:
    cancelled = threading.Event()

    def serve(arguments: Any, call: Call) -> None:
        while not call.cancel.cancelled:
            time.sleep(0.005)
        cancelled.set()

    both.kernel.serve("broker", serve)
    outcome: list[ProximaError] = []

    def call() -> None:
        with pytest.raises(ProtocolError) as caught:
            both.worker.call("broker")
        outcome.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.05)
    both.worker.close()
    thread.join(5)
    assert cancelled.wait(5)
    assert outcome


MALFORMED: list[Any] = [
    None,
    5,
    "text",
    {},
    [],
    [REQUEST],
    [0, 1],
    [99, 1],
    [True, 1],
    [1.0, 1, "ping", None, None],
    [REQUEST, "1", "ping", None, None],
    [REQUEST, True, "ping", None, None],
    [REQUEST, 1, b"ping", None, None],
    [REQUEST, 1, ["ping"], None, None],
    [REQUEST, 1, "ping", None],
    [REQUEST, 1, "ping", None, None, None],
    [REQUEST, 1, "ping", {"$": "Nope"}, None],
    [REQUEST, 1, "add", [1, "2"], None],
    [REQUEST, 1, "add", [1, 2, 3], None],
    [REQUEST, 1, "ping", None, [0, 10, False]],
    [REQUEST, 1, "ping", None, [-1, 10, False]],
    [REQUEST, 1, "ping", None, [0, 10, True]],
    [REQUEST, 1, "ping", None, [0, 10]],
    [REQUEST, 1, "ping", None, "0"],
    [REQUEST, 1, LEASE, "much", None],
    [ANSWER, 7, None, None, 0],
    [ANSWER, 1, None, None],
    [ERROR, 7, "UsageError", "m", None, {}, ""],
    [PROGRESS, 7, 0.5, "m"],
    [FREE, 0],
    [FREE, -1],
]


@pytest.mark.parametrize("message", MALFORMED, ids=str)
def test_a_malformed_message_ends_the_conversation_with_the_plugin_named(evil: Hostile, message: object) -> None:
    outcome = evil.call()
    call_id = evil.hear()[1]
    assert call_id == 1
    evil.channel.send(message)
    error = outcome.get(timeout=5)
    assert isinstance(error, ProtocolError)
    assert "plugin evil" in error.message
    assert error.plugin == "evil"
    assert isinstance(evil.reasons.get(timeout=5), ProtocolError)
    assert evil.kernel.wait(5)


BAD_REPLIES: dict[str, Callable[[int], list[list[object]]]] = {
    "answers twice": lambda n: [[ANSWER, n, 1, None, 0], [ANSWER, n, 2, None, 0]],
    "answer then error": lambda n: [[ANSWER, n, 1, None, 0], [ERROR, n, "UsageError", "m", None, {}, ""]],
    "progress after the answer": lambda n: [[ANSWER, n, 1, None, 0], [PROGRESS, n, 0.5, "m"]],
    "announces descriptors": lambda n: [[ANSWER, n, 1, None, 1]],
    "counts descriptors in words": lambda n: [[ANSWER, n, 1, None, "0"]],
    "names a buffer it has not": lambda n: [[ANSWER, n, 1, [3, 100, False], 0]],
    "unknown tag": lambda n: [[ANSWER, n, {"$": "Evil"}, None, 0]],
    "array beside a buffer": lambda n: [[ANSWER, n, {"$": "array", "d": "<f8", "s": [1], "o": 0}, None, 0]],
    "progress of NaN": lambda n: [[PROGRESS, n, float("nan"), "m"]],
    "progress of 2": lambda n: [[PROGRESS, n, 2, "m"]],
    "progress in words": lambda n: [[PROGRESS, n, "half", "m"]],
    "progress without a text": lambda n: [[PROGRESS, n, 0.5, None]],
    "progress with a long text": lambda n: [[PROGRESS, n, 0.5, "x" * 1001]],
    "a flood of progress": lambda n: [[PROGRESS, n, 0.5, "m"]] * 2000,
    "error without text": lambda n: [[ERROR, n, "UsageError", None, None, {}, ""]],
    "error with a long text": lambda n: [[ERROR, n, "UsageError", "x" * 5000, None, {}, ""]],
    "error with a long traceback": lambda n: [[ERROR, n, "UsageError", "x", None, {}, "x" * 20_000]],
    "error with a hint of bytes": lambda n: [[ERROR, n, "UsageError", "x", b"hint", {}, ""]],
    "syntax error nowhere": lambda n: [[ERROR, n, "CircuitSyntaxError", "x", None, {"path": "a"}, ""]],
    "syntax error at line 'x'": lambda n: [
        [ERROR, n, "CircuitSyntaxError", "x", None, {"path": "a", "line": "x", "column": 1, "token": ""}, ""]
    ],
    "one request id twice": lambda n: [[REQUEST, 5, "slow", None, None], [REQUEST, 5, "slow", None, None]],
    "too many requests": lambda n: [[REQUEST, k, "slow", None, None] for k in range(MAX_CALLS + 1)],
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_a_bad_reply_ends_the_conversation(evil: Hostile, name: str) -> None:
    release = threading.Event()
    evil.kernel.serve("slow", lambda arguments, call: release.wait(5))
    first, second = evil.call(), evil.call()
    ids = sorted([evil.hear()[1], evil.hear()[1]])
    try:
        for message in BAD_REPLIES[name](ids[0]):
            evil.channel.send(message)
    except ProtocolError:
        assert evil.kernel.wait(5)  # it hung up in the middle
    outcomes = [first.get(timeout=5), second.get(timeout=5)]
    broken = [error for error in outcomes if isinstance(error, ProtocolError)]
    assert broken
    assert all("plugin evil broke the protocol" in error.message for error in broken)
    assert isinstance(evil.reasons.get(timeout=5), ProtocolError)
    release.set()


@pytest.mark.parametrize(
    "name", ["ProtocolError", "ValueError", "_by_name", "annotations", "__builtins__", "", "ü" * 99]
)
def test_an_error_that_is_not_in_the_tree_breaks_the_plugin(evil: Hostile, name: str) -> None:
    outcome = evil.call()
    evil.channel.send([ERROR, evil.hear()[1], name, "said", "hint", {}, "trace"])
    error = outcome.get(timeout=5)
    assert type(error) is PluginBrokenError
    assert error.message == "plugin evil raised said"


def test_a_shared_buffer_is_good_for_one_message(evil: Hostile) -> None:
    outcome = evil.call(returns=np.ndarray)
    number = evil.hear()[1]
    evil.channel.send([REQUEST, 1, LEASE, 1000, None])
    lease = evil.hear()
    assert lease[:3] == [ANSWER, 1, None]
    ref = [lease[3][0], lease[3][1], False]
    evil.channel.send([ANSWER, number, {"$": "array", "d": "|u1", "s": [5], "o": 0}, ref, 0])
    assert outcome.get(timeout=5).tolist() == [0] * 5
    again = evil.call()
    evil.channel.send([ANSWER, evil.hear()[1], None, ref, 0])
    assert isinstance(again.get(timeout=5), ProtocolError)


def test_leases_are_bounded(evil: Hostile) -> None:
    kinds = []
    for k in range(12):
        evil.channel.send([REQUEST, k, LEASE, 1 << 20, None])
        kinds.append(evil.hear()[0])
    assert kinds == [ANSWER] * 8 + [ERROR] * 4
    assert evil.pool.bytes_made == 8 << 20
    evil.channel.send([FREE, 3])
    evil.channel.send([REQUEST, 99, LEASE, 1 << 20, None])
    assert evil.hear()[0] == ANSWER
    assert evil.kernel.failure is None


def test_descriptors_from_a_worker_end_the_conversation(evil: Hostile) -> None:
    outcome = evil.call()
    number = evil.hear()[1]
    before = len(os.listdir("/proc/self/fd"))
    evil.channel.send([ANSWER, number, None, None, 1], [0])
    assert isinstance(outcome.get(timeout=5), ProtocolError)
    assert evil.kernel.wait(5)
    assert open_fds(before - 1) == before - 1  # the kernel's own end of the channel


def test_a_worker_that_closes_the_channel_breaks_every_call(evil: Hostile) -> None:
    outcomes = [evil.call() for _ in range(5)]
    for _ in outcomes:
        evil.hear()
    evil.channel.close()
    for outcome in outcomes:
        error = outcome.get(timeout=5)
        assert type(error) is PluginBrokenError
        assert error.message == "plugin evil stopped: its process ended"
    with pytest.raises(PluginBrokenError):
        evil.kernel.call("work")


def test_a_worker_that_stops_in_the_middle_of_a_frame_is_cut_off(evil: Hostile) -> None:
    outcome = evil.call()
    evil.hear()
    evil.raw.sendall(b"\x10\x00\x00\x00abc")
    error = outcome.get(timeout=5)
    assert isinstance(error, ProtocolError)
    assert "not finished in time" in error.message


def test_a_worker_that_does_not_read_is_cut_off(evil: Hostile) -> None:
    outcome = evil.call(arguments="x" * (20 << 20))
    error = outcome.get(timeout=10)
    assert isinstance(error, ProtocolError)
    assert "stopped reading" in error.message


def test_a_worker_that_asks_and_does_not_read_the_answers_is_cut_off(evil: Hostile) -> None:
    evil.kernel.serve("long", lambda arguments, call: "x" * (1 << 20))
    for k in range(20):
        evil.channel.send([REQUEST, k, "long", None, None])
    assert isinstance(evil.reasons.get(timeout=10), ProtocolError)


def test_the_next_request_may_come_right_after_an_answer(evil: Hostile) -> None:
    for k in range(300):
        evil.channel.send([REQUEST, k % 2, "add", [k, 1], None])
        assert evil.hear() == [ANSWER, k % 2, k + 1, None, 0]
    assert evil.kernel.failure is None


WORKER = """
import os, socket, sys, time, signal
from proxima.sandbox.channel import Channel
from proxima.sandbox.rpc import Peer
from proxima.sandbox.shm import MappedBuffers
peer = Peer(Channel(socket.socket(fileno=int(sys.argv[1]))), plugin="demo", buffers=MappedBuffers())
peer.serve("pid", lambda arguments, call: os.getpid())
peer.serve("exit", lambda status, call: os._exit(status))
peer.serve("kill", lambda number, call: (os.kill(os.getpid(), number), time.sleep(60)))
peer.serve("sleep", lambda seconds, call: time.sleep(seconds))
peer.run()
"""


@pytest.mark.parametrize(("method", "argument"), [("exit", 0), ("exit", 1), ("kill", 9), ("kill", 11), ("kill", 6)])
def test_a_worker_process_that_ends_in_the_middle_of_a_call(tmp_path: Path, method: str, argument: int) -> None:
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    theirs.close()
    kernel = Peer(Channel(ours), plugin="demo", buffers=BufferPool())
    kernel.start()
    assert kernel.call("pid", returns=int) == worker.pid
    with ThreadPoolExecutor(8) as threads:
        others = [threads.submit(kernel.call, "sleep", 60.0) for _ in range(8)]
        time.sleep(0.05)
        with pytest.raises(PluginBrokenError, match="plugin demo stopped"):
            kernel.call(method, argument)
        for call in others:
            assert isinstance(call.exception(timeout=5), PluginBrokenError)
    assert worker.wait(10) == (argument if method == "exit" else -argument)
    kernel.close()


def test_a_worker_process_ends_with_its_kernel() -> None:
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()
    assert worker.wait(10) == 0


def test_nothing_is_left_after_many_conversations() -> None:
    def once(misbehave: bool) -> None:
        made = Both()
        made.worker.serve("echo", lambda value, call: value)
        made.kernel.call("echo", STATE)
        if misbehave:
            made.worker._channel.send([FREE, 0])
            made.kernel.wait(5)
        made.close()

    for k in range(5):
        once(bool(k % 2))
    gc.collect()
    threads, fds = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for k in range(100):
        once(bool(k % 2))
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= fds


def test_a_result_crosses_both_ways(both: Both) -> None:
    state = np.zeros(2**16, dtype=np.complex128)
    state[0] = 1
    result = RunResult(backend="b", method="m", precision="double", shots=None, seed=0, statevector=state)
    both.worker.serve("run", lambda arguments, call: arguments)
    got = both.kernel.call("run", result, returns=RunResult)
    np.testing.assert_array_equal(got.statevector, state)


def tell(evil: Hostile, number: int, argument: object, *, method: str = "keep", ref: Any = None) -> None:
    evil.channel.send([REQUEST, number, method, argument, ref])


@pytest.mark.parametrize("argument", ["x" * (2 << 20), [[]] * 100_000], ids=["a long text", "many values"])
def test_a_request_that_takes_too_much_memory_is_refused(evil: Hostile, argument: object) -> None:
    evil.kernel.serve("keep", lambda arguments, call: call)
    for number in range(3):
        tell(evil, number, argument)
        kind, _, name, said, *_ = evil.hear()
        assert (kind, name) == (ERROR, "ResourceError")
        assert "plugin evil" in said
        assert f"{MAX_REQUEST:,}" in said
    tell(evil, 3, "a small one", method="ping")
    assert evil.hear() == [ANSWER, 3, "pong", None, 0]


def test_requests_in_progress_take_a_bounded_part_of_the_kernels_memory(evil: Hostile) -> None:
    release = threading.Event()
    evil.kernel.serve("keep", lambda arguments, call: release.wait(20))
    for number in range(MAX_CALLS):
        tell(evil, number, "x" * (MAX_REQUEST // 4 - 1000))
    tell(evil, MAX_CALLS, "one more", method="ping")
    assert isinstance(evil.reasons.get(timeout=10), ProtocolError)
    assert evil.kernel._hearing._held.cost <= MAX_HELD
    release.set()


def test_the_memory_of_a_request_is_free_again_after_its_answer(evil: Hostile) -> None:
    evil.kernel.serve("keep", lambda arguments, call: len(arguments))
    for number in range(2 * MAX_HELD // MAX_REQUEST):
        tell(evil, number, "x" * (900 << 10))
        assert evil.hear() == [ANSWER, number, 900 << 10, None, 0]
    deadline = time.monotonic() + 5
    while evil.kernel._hearing._held.cost and time.monotonic() < deadline:
        time.sleep(0.01)
    assert evil.kernel._hearing._held.cost == 0


def test_an_array_in_a_request_counts_and_its_buffer_comes_back(evil: Hostile) -> None:
    evil.channel.send([REQUEST, 1, LEASE, 8 << 20, None])
    index, size, _ = evil.hear()[3]
    tell(evil, 2, {"$": "array", "d": "|u1", "s": [8 << 20], "o": 0}, ref=[index, size, False])
    assert evil.hear()[:3] == [ERROR, 2, "ResourceError"]
    assert evil.pool.lent == 0
    tell(evil, 3, None, method="ping")
    assert evil.hear()[:3] == [ANSWER, 3, "pong"]


def test_answers_that_wait_take_a_bounded_part_of_the_kernels_memory(evil: Hostile) -> None:
    """Callers that are busy with what they are told do not fetch their answers."""
    busy = threading.Event()

    def stay(fraction: float | None, message: str) -> None:
        busy.wait(30)

    outcomes = [evil.call(progress=stay) for _ in range(9)]
    numbers = [evil.hear()[1] for _ in outcomes]
    for number in numbers:
        evil.channel.send([PROGRESS, number, 0.5, "m"])
    for number in numbers:
        evil.channel.send([ANSWER, number, "x" * (20 << 20), None, 0])
    tell(evil, 1, None, method="ping")
    assert evil.hear()[:3] == [ANSWER, 1, "pong"]
    assert 400 << 20 < evil.kernel._hearing._held.cost <= MAX_HELD
    busy.set()
    got = [outcome.get(timeout=10) for outcome in outcomes]
    refused = [each for each in got if isinstance(each, ResourceError)]
    assert len(refused) == 3
    assert all("plugin evil" in error.message and error.plugin == "evil" for error in refused)
    assert all(len(each) == 20 << 20 for each in got if each not in refused)
    deadline = time.monotonic() + 10
    while evil.kernel._hearing._held.cost and time.monotonic() < deadline:  # an answer is let go after it was fetched
        time.sleep(0.01)
    assert evil.kernel._hearing._held.cost == 0


def test_an_answer_whose_caller_has_just_given_up_is_let_go(both: Both) -> None:
    """The callback raises with the answer queued behind what it was told."""
    both.worker.serve("work", lambda arguments, call: (call.progress(0.5, "m"), STATE)[1])

    def late(fraction: float | None, message: str) -> None:
        time.sleep(0.1)
        raise KeyError(message)

    for _ in range(3):
        with pytest.raises(KeyError):
            both.kernel.call("work", progress=late)
    deadline = time.monotonic() + 5
    while both.pool.lent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert both.pool.lent == 0
    assert both.kernel._hearing._held.cost == 0
