"""Whoever waits for an answer reads it, and nothing is left unread however the threads come and go."""

from __future__ import annotations

import queue
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError, DeadlineExceededError, PluginBrokenError, ProximaError
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.rpc import Call, Peer
from proxima.sandbox.shm import BufferPool, MappedBuffers

SOON = 0.5  # seconds; some hundred times what it should take, on a busy machine


class Both:
    """A kernel's and a worker's peer in one process, each of which notes the threads it served in."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.pool = BufferPool()
        self.reasons: queue.Queue[ProximaError] = queue.Queue()
        self.kernel = Peer(Channel(ours), plugin="demo", buffers=self.pool, on_close=self.reasons.put)
        self.worker = Peer(Channel(theirs), plugin="demo", buffers=MappedBuffers())
        for peer in (self.kernel, self.worker):
            peer.serve("echo", lambda value, call: value)
            peer.start()

    def close(self) -> None:
        self.kernel.close()
        self.worker.close()


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.close()


def take_the_place(both: Both) -> None:
    """Calls until the caller itself is the one who reads, which the first calls need not find so."""
    for k in range(20):
        assert both.kernel.call("echo", k) == k


def test_a_series_of_calls_changes_threads_for_none_of_them(both: Both) -> None:
    heard_by: list[int] = []
    hear = both.kernel._hearing.hear

    def noting(message: object, fds: list[int], cost: int) -> object:
        heard_by.append(threading.get_ident())
        return hear(message, fds, cost)

    both.kernel._hearing.hear = noting  # type: ignore[assignment,method-assign]
    for k in range(300):
        assert both.kernel.call("echo", k) == k
    assert heard_by.count(threading.get_ident()) > 150


@pytest.mark.parametrize("side", ["kernel", "worker"])
def test_what_comes_after_a_call_is_served_though_nobody_waits(both: Both, side: str) -> None:
    caller, other = (both.kernel, both.worker) if side == "kernel" else (both.worker, both.kernel)
    for k in range(30):
        assert caller.call("echo", k) == k
        started = time.monotonic()
        assert other.call("echo", "x", deadline=started + 5) == "x"
        assert time.monotonic() - started < SOON


def test_a_busy_server_keeps_no_other_request_waiting(both: Both) -> None:
    release = threading.Event()
    both.worker.serve("work", lambda arguments, call: release.wait(20))
    with ThreadPoolExecutor(10) as threads:
        busy = []
        for _ in range(10):
            busy.append(threads.submit(both.kernel.call, "work"))
            started = time.monotonic()
            take_the_place(both)
            assert time.monotonic() - started < SOON
        release.set()
        assert [each.result(5) for each in busy] == [True] * 10


def test_a_call_may_be_made_while_being_told_of_another(both: Both) -> None:
    def serve(arguments: object, call: Call) -> str:
        call.progress(0.5, "half")
        return "done"

    both.worker.serve("work", serve)
    nested: list[object] = []
    for _ in range(20):
        assert both.kernel.call("work", progress=lambda f, m: nested.append(both.kernel.call("echo", m))) == "done"
        time.sleep(0.011)
    assert nested == ["half"] * 20


def test_a_caller_that_reads_keeps_its_own_deadline(both: Both) -> None:
    """Also where another's message is on its way all the time."""
    stop = threading.Event()
    both.worker.serve("work", lambda arguments, call: stop.wait(20))
    take_the_place(both)
    raw = both.worker._channel._socket
    started = time.monotonic()
    drip = threading.Thread(target=lambda: [raw.send(b"\x40"), raw.send(b"\0"), stop.wait(5)])
    drip.start()
    with pytest.raises(DeadlineExceededError):
        both.kernel.call("work", deadline=started + 0.2)
    assert time.monotonic() - started < 0.2 + SOON
    stop.set()
    drip.join()


def test_the_end_is_noticed_though_nobody_waits(both: Both) -> None:
    take_the_place(both)
    both.worker._channel.shutdown()
    assert isinstance(both.reasons.get(timeout=SOON), PluginBrokenError)
    assert both.kernel.wait(5)


def test_the_end_is_told_in_a_thread_of_the_peers_own() -> None:
    """A caller holds locks that who is told may want."""
    ours, theirs = socket.socketpair()
    told: queue.Queue[int] = queue.Queue()
    kernel = Peer(
        Channel(ours), plugin="demo", buffers=BufferPool(), on_close=lambda _: told.put(threading.get_ident())
    )
    kernel.start()
    threading.Timer(0.1, theirs.close).start()
    with pytest.raises(PluginBrokenError):
        kernel.call("work")
    assert told.get(timeout=5) != threading.get_ident()
    kernel.close()


def test_an_interrupted_caller_leaves_the_conversation_to_the_others(both: Both) -> None:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    caller, interrupted = threading.get_ident(), threading.Event()

    def serve(arguments: object, call: Call) -> None:
        time.sleep(0.02)  # until the caller waits, and no message is on its way
        signal.pthread_kill(caller, signal.SIGALRM)
        interrupted.wait(SOON)

    both.worker.serve("work", serve)
    try:
        for _ in range(10):
            take_the_place(both)
            with pytest.raises(KeyboardInterrupt):
                both.kernel.call("work")
            interrupted.set()
            assert both.kernel.call("echo", 1) == 1
            interrupted.clear()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert both.kernel.failure is None


def test_callers_of_every_kind_at_once(both: Both) -> None:
    """Calls, calls back, arrays, progress, cancelling and deadlines from 24 threads on both sides."""
    state = np.arange(2**14, dtype=np.complex128)

    def serve(arguments: tuple[int, float], call: Call) -> int:
        k, seconds = arguments
        until = time.monotonic() + seconds
        while time.monotonic() < until and not call.cancel.cancelled:
            call.progress(0.5, "on the way")
            time.sleep(0.001)
        if call.cancel.cancelled:
            raise CancelledError("stopped")
        return int(both.worker.call("triple", k))  # the kernel's, from within the worker

    both.worker.serve("work", serve)
    both.kernel.serve("triple", lambda k, call: 3 * k)
    counts: dict[str, int] = dict.fromkeys(("answers", "arrays", "cancelled", "late", "back"), 0)
    lock = threading.Lock()

    def count(what: str) -> None:
        with lock:
            counts[what] += 1

    def one(rng: random.Random) -> None:
        k, choice = rng.randrange(1 << 30), rng.random()
        if choice < 0.4:
            told: list[float | None] = []
            assert both.kernel.call("work", (k, 0.002), progress=lambda f, m: told.append(f)) == 3 * k
            assert set(told) <= {0.5}
            count("answers")
        elif choice < 0.55:
            np.testing.assert_array_equal(both.kernel.call("echo", state + k), state + k)
            count("arrays")
        elif choice < 0.7:
            token = CancelToken()
            threading.Timer(0.01, token.cancel).start()
            with pytest.raises(CancelledError):
                both.kernel.call("work", (k, 20.0), cancel=token)
            count("cancelled")
        elif choice < 0.85:
            with pytest.raises(DeadlineExceededError):
                both.kernel.call("work", (k, 20.0), deadline=time.monotonic() + 0.01)
            count("late")
        else:
            assert both.worker.call("echo", k, deadline=time.monotonic() + 20) == k
            count("back")

    def many(seed: int) -> None:
        rng, until = random.Random(seed), time.monotonic() + 3
        while time.monotonic() < until:
            one(rng)

    with ThreadPoolExecutor(24) as threads:
        for done in [threads.submit(many, seed) for seed in range(24)]:
            done.result(60)
    assert all(counts.values())
    assert both.kernel.failure is None
    assert both.worker.failure is None
    deadline = time.monotonic() + 5
    while (both.pool.lent or both.kernel._outgoing._abandoned) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert both.pool.lent == 0
    assert both.kernel._hearing._held.cost == 0
    assert not both.kernel._outgoing._abandoned
    # Every slot came back: as many calls as may be can still be made at once.
    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(lambda k: both.kernel.call("echo", k), range(64))) == list(range(64))


@pytest.mark.parametrize("who", ["kernel", "worker", "wire"])
def test_an_end_in_the_middle_of_everything_reaches_every_caller(who: str) -> None:
    for seed in range(5):
        end_in_the_middle(Both(), who, random.Random(seed).uniform(0.01, 0.1))


def end_in_the_middle(both: Both, who: str, seconds: float) -> None:
    both.worker.serve("work", lambda k, call: both.worker.call("echo", k))
    ends: list[type[BaseException] | None] = []

    def many() -> None:
        try:
            for k in range(100_000):
                assert both.kernel.call("work", k) == k
            ends.append(None)
        except ProximaError as error:
            ends.append(type(error))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    if who == "wire":
        both.worker._channel.shutdown()
    else:
        getattr(both, who).close()
    for thread in threads:
        thread.join(10)
    assert len(ends) == 8
    assert set(ends) <= {PluginBrokenError, ProtocolError}
    assert both.kernel.wait(5)
    assert both.worker.wait(5)
    assert both.reasons.qsize() == 1
    both.close()


def test_a_peer_that_runs_in_a_thread_has_no_other_until_a_request_that_is_not_served_alone() -> None:
    ours, theirs = socket.socketpair()
    kernel = Peer(Channel(ours), plugin="demo", buffers=BufferPool())
    worker = Peer(Channel(theirs), plugin="worker-of-demo", buffers=MappedBuffers())
    served: list[tuple[str, int]] = []

    def note(value: str, call: Call) -> list[str]:
        served.append((value, threading.get_ident()))
        return [thread.name for thread in threading.enumerate()]

    worker.serve("load", note, alone=True)
    worker.serve("call", note)
    kernel.start()
    running = threading.Thread(target=worker.run)
    running.start()
    for _ in range(3):
        assert not any("worker-of-demo" in name for name in kernel.call("load", "load"))
    assert served == [("load", running.ident)] * 3
    assert any("worker-of-demo" in name for name in kernel.call("call", "call"))
    assert kernel.call("load", "again")
    kernel.close()
    running.join(5)
    assert not running.is_alive()
    assert worker.failure is not None


def test_a_request_waits_while_one_is_served_alone() -> None:
    ours, theirs = socket.socketpair()
    kernel = Peer(Channel(ours), plugin="demo", buffers=BufferPool())
    worker = Peer(Channel(theirs), plugin="demo", buffers=MappedBuffers())
    release, order = threading.Event(), []

    def load(value: None, call: Call) -> None:
        release.wait(5)
        order.append("load")

    worker.serve("load", load, alone=True)
    worker.serve("call", lambda value, call: order.append("call"))
    kernel.start()
    threading.Thread(target=worker.run).start()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(kernel.call, "load")
        time.sleep(0.1)
        second = pool.submit(kernel.call, "call")
        time.sleep(0.1)
        release.set()
        first.result(5)
        second.result(5)
    kernel.close()
    assert order == ["load", "call"]
