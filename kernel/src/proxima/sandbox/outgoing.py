"""`Outgoing`: the calls that this side made, and what it hears of them."""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from proxima.errors import CancelledError, DeadlineExceededError, ProximaError
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.messages import CANCEL, MAX_CALLS, MAX_TOLD, BufferRef
from proxima.sandbox.remote_errors import again

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.execution import Progress

CANCEL_GRACE = 2.0
"""Seconds between cancelling a call and giving up on its answer."""

_QUEUED = 64  # messages of progress; what is told beyond while the caller is busy is dropped
_BURST, _PER_SECOND = 1000, 200.0  # messages of progress; beyond, it is a flood
_POLL = 0.05  # seconds; a `CancelToken` can be looked at, not waited for


class Answer(NamedTuple):
    """What a call was answered with.

    Attributes:
        data: As msgpack read it.
        ref: The shared buffer that came with it, to be given back.
        fds: Descriptors that came with it, to be closed.
        cost: What it takes in memory.
    """

    data: object
    ref: BufferRef
    fds: list[int]
    cost: int


class Told(NamedTuple):
    """How far a call is."""

    fraction: float | None
    message: str


Event = Answer | Told | ProximaError | None
"""What a caller hears; ``None`` where the conversation is over."""

Events = queue.SimpleQueue[Event]


class Pending:
    """A call whose answer is awaited."""

    __slots__ = ("events", "id", "method", "started", "told")

    def __init__(self, call_id: int, method: str) -> None:
        self.id = call_id
        self.method = method
        self.events: Events = queue.SimpleQueue()
        self.started = time.monotonic()
        self.told = 0


class Outgoing:
    """The calls in progress.

    Args:
        other: Who is called, as errors name it.
        plugin: The plugin concerned.
        send: Sends a message, unless the conversation is over or the channel busy.
        attend: Gives the next of a call's events, or raises `queue.Empty` when it is that late.
        drop: Called with an answer that nobody waits for any more.
    """

    def __init__(
        self,
        other: str,
        plugin: str,
        *,
        send: Callable[[list[object]], None],
        attend: Callable[[Events, float], Event],
        drop: Callable[[Answer], None],
    ) -> None:
        self._other = other
        self._plugin = plugin
        self._send = send
        self._attend = attend
        self._drop = drop
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._slots = threading.Semaphore(MAX_CALLS)
        self._pending: dict[int, Pending] = {}
        self._abandoned: set[int] = set()
        self._failure: ProximaError | None = None

    def open(self, method: str, deadline: float | None) -> Pending:
        """A new call, once fewer than `MAX_CALLS` are in progress.

        Raises:
            DeadlineExceededError: The deadline passed before.
            ProximaError: The conversation is over.
        """
        if not self._slots.acquire(timeout=None if deadline is None else max(deadline - time.monotonic(), 0.0)):
            raise DeadlineExceededError(
                f"{method}: the deadline passed while {MAX_CALLS} other calls to {self._other} were in progress",
                plugin=self._plugin,
            )
        pending = Pending(next(self._ids), method)
        with self._lock:
            if self._failure is None:
                self._pending[pending.id] = pending
                return pending
        self._slots.release()
        raise again(self._failure)

    def withdraw(self, pending: Pending) -> None:
        """Forgets a call of which nothing was sent."""
        with self._lock:
            self._pending.pop(pending.id, None)
        self._slots.release()

    def wait(
        self, pending: Pending, deadline: float | None, cancel: CancelToken | None, progress: Progress | None
    ) -> Answer:
        """What the call was answered with.

        Raises:
            DeadlineExceededError, CancelledError: It was given up; its place is taken until the answer comes.
            ProximaError: The call failed, or the conversation is over.
        """
        heard = False
        try:
            event = self._next(pending, deadline, cancel, progress)
            heard = True
        finally:
            if heard:
                self._slots.release()
            else:
                self.abandon(pending)
        if event is None:
            assert self._failure is not None
            raise again(self._failure)
        if isinstance(event, ProximaError):
            raise event
        return event

    def abandon(self, pending: Pending) -> None:
        """Gives up a call whose answer may still come."""
        with self._lock:
            over = self._pending.pop(pending.id, None) is None
            if not over:
                self._abandoned.add(pending.id)
        if over:
            self._drop_all(pending)
            self._slots.release()
        else:
            self._send([CANCEL, pending.id])

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._pending

    def settle(self, call_id: int, event: Answer | ProximaError) -> None:
        """Hands an answer or an error to its caller.

        Raises:
            ProtocolError: No such call is in progress.
        """
        with self._lock:
            pending = self._pending.pop(call_id, None)
            if pending is None:
                if call_id not in self._abandoned:
                    raise ProtocolError(f"an answer to call {call_id}, which is not in progress")
                self._abandoned.remove(call_id)
                self._slots.release()
            else:
                pending.events.put(event)
        if pending is None and isinstance(event, Answer):
            self._drop(event)

    def tell(self, call_id: int, fraction: object, message: object) -> None:
        """Hands progress to its caller.

        Raises:
            ProtocolError: It is malformed, of no call in progress, or one of too many.
        """
        if not (fraction is None or (isinstance(fraction, int | float) and 0 <= fraction <= 1)):
            raise ProtocolError("progress that is not a fraction")
        if not isinstance(message, str) or len(message) > MAX_TOLD:
            raise ProtocolError("progress without a short message")
        with self._lock:
            pending = self._pending.get(call_id)
            if pending is None:
                if call_id not in self._abandoned:
                    raise ProtocolError(f"progress of call {call_id}, which is not in progress")
                return
        pending.told += 1
        if pending.told > _BURST + _PER_SECOND * (time.monotonic() - pending.started):
            raise ProtocolError("a flood of progress messages")
        if pending.events.qsize() < _QUEUED:
            pending.events.put(Told(fraction, message))

    def stop(self, failure: ProximaError) -> None:
        """Ends every call, and those to come, with an error like ``failure``."""
        with self._lock:
            self._failure = failure
            pending = list(self._pending.values())
            self._pending.clear()
            for waiting in pending:
                waiting.events.put(None)

    def _next(
        self, pending: Pending, deadline: float | None, cancel: CancelToken | None, progress: Progress | None
    ) -> Answer | ProximaError | None:
        given_up = math.inf if deadline is None else deadline
        cancelled = False
        while True:
            if cancel is not None and not cancelled and cancel.cancelled:
                cancelled = True
                self._send([CANCEL, pending.id])
                given_up = min(given_up, time.monotonic() + CANCEL_GRACE)
            look_up = given_up
            if cancel is not None and not cancelled:
                look_up = min(given_up, time.monotonic() + _POLL)
            try:
                event = self._attend(pending.events, look_up)
            except queue.Empty:
                if time.monotonic() < given_up:
                    continue
                if cancelled:
                    message = f"{pending.method} was cancelled, and {self._other} did not answer"
                    raise CancelledError(message, plugin=self._plugin) from None
                message = f"{self._other} did not answer {pending.method} before the deadline"
                raise DeadlineExceededError(message, plugin=self._plugin) from None
            if not isinstance(event, Told):
                return event
            if progress is not None:
                progress(event.fraction, event.message)

    def _drop_all(self, pending: Pending) -> None:
        """Drops an answer that came while its caller was about to give up."""
        with suppress(queue.Empty):
            while True:
                event = pending.events.get_nowait()
                if isinstance(event, Answer):
                    self._drop(event)
