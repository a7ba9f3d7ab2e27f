"""`Incoming`: the calls that the other side made."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from proxima.errors import ProximaError
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.messages import MAX_CALLS, MAX_TOLD, PROGRESS, BufferRef

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken

_TOLD_EVERY = 0.01  # seconds; far below the rate that counts as a flood at the other end
_MAX_UNSENT = 4 * MAX_CALLS  # whose answers are not read; a side that reads them has at most `MAX_CALLS` open


class Call:
    """A call that is being served."""

    __slots__ = ("_cancel", "_finished", "_id", "_lock", "_send", "_told")

    def __init__(self, call_id: int, send: Callable[[list[object]], None]) -> None:
        self._cancel: CancelToken | None = None  # made when it is needed: it costs as much as the rest of the call
        self._id = call_id
        self._send = send
        self._lock = threading.Lock()
        self._finished = False
        self._told = -math.inf

    @property
    def cancel(self) -> CancelToken:
        """Set when the caller cancels, and when the conversation ends."""
        from proxima.contracts.backend import CancelToken

        with self._lock:
            if self._cancel is None:
                self._cancel = CancelToken()
            return self._cancel

    def progress(self, fraction: float | None, message: str) -> None:
        """Tells the caller how far the call is; what comes within 10 ms of the last is dropped."""
        now = time.monotonic()
        with self._lock:  # nothing may be told after the answer
            if self._finished or now - self._told < _TOLD_EVERY:
                return
            self._told = now
            if fraction is not None:
                fraction = min(max(float(fraction), 0.0), 1.0) if math.isfinite(fraction) else None
            text = str(message)[:MAX_TOLD].encode("utf-8", "replace").decode()
            self._send([PROGRESS, self._id, fraction, text])

    def finish(self) -> None:
        """Lets no progress out from here on."""
        with self._lock:
            self._finished = True


class Request(NamedTuple):
    """What the other side asked.

    Attributes:
        data: The arguments, as msgpack read them.
        ref: The shared buffer that came with them, to be given back.
        cost: What they take in memory.
        refused: Why it is not served.
    """

    id: int
    call: Call
    method: str
    data: object
    ref: BufferRef
    cost: int
    refused: ProximaError | None = None


class Incoming:
    """The requests in progress.

    Args:
        send: Sends a message.
    """

    def __init__(self, send: Callable[[list[object]], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._calls: dict[int, Call] = {}
        self._unsent = 0  # requests that are off the list and whose answers are on their way

    def take(self, call_id: int, method: object, data: object, ref: BufferRef, cost: int) -> Request:
        """A new request.

        Raises:
            ProtocolError: Its id is in use, or too many are in progress.
        """
        if not isinstance(method, str):
            raise ProtocolError("a request without a method")
        call = Call(call_id, self._send)
        with self._lock:
            if call_id in self._calls:
                raise ProtocolError(f"request {call_id} came twice")
            if len(self._calls) >= MAX_CALLS or self._unsent >= _MAX_UNSENT:
                raise ProtocolError(f"more than {MAX_CALLS} requests at once")
            self._calls[call_id] = call
        return Request(call_id, call, method, data, ref, cost)

    def cancel(self, call_id: int) -> None:
        """Cancels a request; one that is not in progress has its answer on the way already."""
        with self._lock:
            call = self._calls.get(call_id)
        if call is not None:
            call.cancel.cancel()

    def finish(self, request: Request) -> None:
        """Takes a request off the list. Before its answer leaves, for the next request may come right after that."""
        request.call.finish()
        with self._lock:
            if self._calls.get(request.id) is request.call:  # else it was finished, and the id may be in use anew
                del self._calls[request.id]
                self._unsent += 1

    def done(self) -> None:
        """Says that the answer to a finished request has left, or never will."""
        with self._lock:
            self._unsent -= 1

    def stop(self) -> None:
        """Cancels every request."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.cancel.cancel()
