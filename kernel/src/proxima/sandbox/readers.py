"""`Readers`: which thread reads a channel. One at a time, and if none then only for a moment.

A thread that waits for an answer reads it itself, and a thread that has read a request serves it: waking another one
for a message would cost more than all the rest of a call. So a thread that stops reading leaves the place empty, as the
next to want it is most likely itself. Should nobody take it, a thread that stands by does, within two moments.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from proxima.errors import DeadlineExceededError
from proxima.sandbox.incoming import Request

_MOMENT = 0.002


class Readers:
    """The threads of one end of a conversation, and the callers that lend it theirs.

    At least one thread reads or stands by until the end, besides those that serve.

    Args:
        name: What the threads are called.
        hear: Reads a message, waiting until an instant if one is given, and acts on it; gives the request if it is one.
        serve: Answers a request.
        alone: Whether nobody needs to read while a request is served, but whoever serves it.
        more: Whether the next message is there already.
        quiet: Whether no caller waits for an answer.
        finish: Called once by one of the threads when the conversation is over and nobody reads any more.
    """

    def __init__(
        self,
        name: str,
        *,
        hear: Callable[[float | None], Request | None],
        serve: Callable[[Request], object],
        alone: Callable[[Request], bool],
        more: Callable[[], bool],
        quiet: Callable[[], bool],
        finish: Callable[[], object],
    ) -> None:
        self._name = name
        self._hear = hear
        self._serve = serve
        self._alone = alone
        self._more = more
        self._quiet = quiet
        self._finish = finish
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._reader: int | None = None
        self._following: set[int] = set()  # callers that wait for what the reader hears
        self._requests: deque[Request] = deque()  # read by callers, who have no time to serve them
        self._standing = 0  # threads that stand by
        self._watching = False  # one of them looks after each moment whether somebody reads
        self._hurry = False  # somebody must read now
        self._left = 0  # how often the place was left
        self._started = False
        self._over = False
        self._finished = False

    @property
    def reading(self) -> bool:
        """Whether it is this thread that reads."""
        return self._reader == threading.get_ident()

    def start(self) -> None:
        """Begins to read."""
        self._started = True
        self._thread(patient=False).start()

    def run(self) -> None:
        """Begins to read, and is one of the threads until the end."""
        self._started = True
        self._live(patient=False)

    def end(self) -> None:
        """Has one of the threads finish. The channel must be shut down, or whoever reads would go on."""
        with self._lock:
            self._over = True
            self._changed.notify_all()
            alone, self._started = not self._started, True
        if alone:
            self._finish()

    def attend(self, events: queue.SimpleQueue[Any], until: float) -> Any:
        """The next of a caller's events; this thread reads as long as it waits, unless another does.

        Raises:
            queue.Empty: None came by ``until``.
        """
        try:
            if not self._take():
                return events.get(timeout=None if until == math.inf else max(until - time.monotonic(), 0.0))
            while events.empty():  # whoever reads is the one who fills it
                try:
                    request = self._hear(until)
                except DeadlineExceededError:
                    raise queue.Empty from None
                if request is not None:
                    with self._lock:
                        self._requests.append(request)
                        self._changed.notify()
            return events.get_nowait()
        finally:
            self._leave()

    def _take(self) -> bool:
        me = threading.get_ident()
        with self._lock:
            if self._reader is None and not self._over:
                self._reader, self._hurry = me, False
                return True
            self._following.add(me)
            return False

    def _leave(self, *, hurry: bool = False) -> None:
        """Stops reading, or waiting for what another reads."""
        me = threading.get_ident()
        with self._lock:
            if self._reader != me:
                self._following.discard(me)
                return
            self._reader = None
            self._left += 1
            if self._over:
                self._changed.notify_all()
            elif hurry or (self._following and not self._quiet()):  # who has its answer may not be awake yet
                self._hurry = True
                self._changed.notify()
            elif not self._watching:
                self._changed.notify()

    def _thread(self, *, patient: bool) -> threading.Thread:
        return threading.Thread(target=self._live, args=(patient,), name=self._name, daemon=True)

    def _another(self) -> None:
        """Has another thread stand by while this one serves; where the system allows none, this one reads on later."""
        with suppress(RuntimeError):
            self._thread(patient=True).start()

    def _live(self, patient: bool) -> None:
        while True:
            request = self._stand_by(patient)
            if request is None:
                if not self.reading:
                    return
                request = self._read()
            if request is not None:
                self._serve(request)
            patient = request is None  # who asked once is likely to ask again

    def _read(self) -> Request | None:
        """Reads until a request comes, or the end, or until others had better read."""
        request = None
        hurry = False
        try:
            while not self._over and request is None:
                request = self._hear(None)
                if request is not None:
                    hurry = self._more()
                elif self._quiet():
                    break
            if self._over and request is None:
                self._end()
        finally:
            self._leave(hurry=hurry)
        if request is not None and not self._standing and not self._alone(request):
            self._another()
        return request

    def _end(self) -> None:
        try:
            self._finish()
        finally:
            self._finished = True  # the others are told when this thread leaves the place

    def _stand_by(self, patient: bool) -> Request | None:
        """Waits for a request that a caller read, or for the place, which this thread has then, or for the end.

        Args:
            patient: Whether to leave an empty place to others for a moment.
        """
        seen = -1
        with self._lock:
            self._standing += 1
            while not self._requests and not self._finished:
                if self._reader is None and (self._hurry or self._over or not patient):
                    self._reader, self._hurry = threading.get_ident(), False
                    self._standing -= 1
                    return None
                if self._watching or seen == self._left:  # another looks, or whoever reads does so for long
                    self._changed.wait()
                    patient = True
                    continue
                seen, self._watching = self._left, True
                self._changed.wait(_MOMENT)
                self._watching = False
                patient = seen != self._left
            self._standing -= 1
            if self._finished:
                return None
            request = self._requests.popleft()
            alone = not self._standing
            if not self._watching:
                self._changed.notify()
        if alone:
            self._another()
        return request
