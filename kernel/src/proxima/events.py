"""Events: immutable, published from any thread, delivered in one order to weakly held listeners."""

from __future__ import annotations

import inspect
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

E = TypeVar("E", bound="Event")

BUFFER_SIZE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; a subclass's own fields are its payload.

    Attributes:
        timestamp: Seconds since the epoch.
        source: The id of the plugin it comes from, or `kernel`.
        sequence: Its place in the bus's order, from 1; the bus sets it.
    """

    timestamp: float = field(default_factory=time.time)
    source: str = "kernel"
    run_id: str | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted(Event):
    """A process was started."""

    process_id: int
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine(Event):
    """A process wrote a line to its standard output; `text` has no line end and may hold terminal escapes."""

    process_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine(Event):
    """A process wrote a line to its standard error; `text` has no line end and may hold terminal escapes."""

    process_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCompleted(Event):
    """A process ended; a negative exit code is the signal that ended it."""

    process_id: int
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressUpdate(Event):
    """How far something is: a fraction from 0 to 1, or None where that is not known."""

    fraction: float | None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChanged(Event):
    """A run entered a stage, such as `import`, `select` or `execute`."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began; `circuit` is the circuit's name."""

    circuit: str
    backend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(Event):
    """A run ended; `status` is `completed`, `failed` or `cancelled`, `detail` says why where it is not the first."""

    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStateChanged(Event):
    """A plugin went to another state of its life, such as `running` or `disabled`."""

    plugin: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionUsed(Event):
    """A plugin used a permission, or was kept from it; `outcome` is `used` or `blocked`."""

    plugin: str
    permission: str
    target: str | None = None
    outcome: str = "used"


class Subscription:
    """One listener's place on the bus; it does not keep the listener alive."""

    def __init__(self, bus: EventBus, callback: Callable[[Any], object], types: tuple[type[Event], ...]) -> None:
        self._bus = bus
        self._types = types or Event
        self._cancelled = False
        self._callback: weakref.ref[Callable[[Any], object]] = (
            weakref.WeakMethod(callback) if inspect.ismethod(callback) else weakref.ref(callback)
        )
        self.name = f"{getattr(callback, '__module__', '?')}.{getattr(callback, '__qualname__', repr(callback))}"

    @property
    def active(self) -> bool:
        """Whether it still receives events: not cancelled, and its listener still lives."""
        return not self._cancelled and self._callback() is not None

    def cancel(self) -> None:
        """Receive nothing more; an event that another thread is delivering right now may still arrive."""
        self._cancelled = True
        self._bus._prune()

    def _deliver(self, event: Event) -> None:
        callback = self._callback()
        if callback is None or self._cancelled or not isinstance(event, self._types):
            return
        try:
            callback(event)
        except Exception:
            logging.getLogger(__name__).exception("listener %s raised on %s", self.name, type(event).__name__)


class EventBus:
    """Delivers events to listeners in one order and remembers the latest.

    Every listener sees every event of its types in the order of their sequence numbers. An event that a listener
    publishes is delivered after the one it is handling. What must not be lost belongs in a database: the bus
    remembers `BUFFER_SIZE` events.
    """

    def __init__(self) -> None:
        self._buffer: deque[Event] = deque(maxlen=BUFFER_SIZE)
        self._incoming: deque[Event] = deque()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._sequence = 0
        self._delivering = threading.Lock()
        # Re-entrant: a signal handler or a finaliser may publish while its own thread is in here.
        self._state = threading.RLock()

    def publish(self, event: Event) -> None:
        """Deliver an event, from any thread.

        The thread that comes first delivers; others, and listeners that publish, leave theirs to it and return at
        once. So a slow listener delays whoever delivers: listeners hand long work to someone else.
        """
        self._incoming.append(event)
        # Asked again after each release: an event may have come in after the last look at the queue.
        while self._incoming and self._delivering.acquire(blocking=False):
            try:
                while self._incoming:
                    self._deliver(self._incoming.popleft())
            finally:
                self._delivering.release()

    def _deliver(self, event: Event) -> None:
        with self._state:
            self._sequence += 1
            event = replace(event, sequence=self._sequence)
            self._buffer.append(event)
        for subscription in self._subscriptions:
            subscription._deliver(event)

    def subscribe(self, callback: Callable[[E], object], *types: type[E]) -> Subscription:
        """Call `callback` with each event of these types, or with every event.

        The bus holds the callback weakly, so a listener needs no clean-up: a method lives as long as its object, a
        function as long as someone holds it. A lambda, a `functools.partial` or `some_list.append` that nobody else
        holds is gone at once. A callback that raises is logged under its name and the others go on.

        To join without a gap, subscribe first, then `replay`, and skip what has a sequence number already seen.
        """
        subscription = Subscription(self, callback, types)
        with self._state:
            self._subscriptions = (*self._subscriptions, subscription)
            self._prune()
        return subscription

    def _prune(self) -> None:
        # Not done by a weakref callback: the garbage collector may run one while this thread holds the lock.
        with self._state:
            self._subscriptions = tuple(each for each in self._subscriptions if each.active)

    def replay(self, *types: type[Event], since: int = 0) -> list[Event]:
        """The remembered events of these types with a sequence number above `since`, oldest first."""
        with self._state:
            remembered = tuple(self._buffer)
        return [each for each in remembered if each.sequence > since and isinstance(each, types or Event)]

    def stream(self, *types: type[Event], capacity: int = 1000) -> EventStream:
        """The events from now on, as an async iterator on the running asyncio loop.

        Up to `capacity` events wait for the consumer; when it falls behind further the oldest are dropped and
        counted in `EventStream.dropped`, so a slow consumer never slows the publisher.
        """
        return EventStream(self, types, capacity)


class EventStream:
    """An async iterator over events for one consumer; `close` ends it, and so does dropping it."""

    def __init__(self, bus: EventBus, types: tuple[type[Event], ...], capacity: int) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._waiting: deque[Event] = deque(maxlen=capacity)
        self._received = self._taken = 0
        self._subscription = bus.subscribe(self._receive, *types)

    @property
    def dropped(self) -> int:
        """How many events were dropped because the consumer was slow."""
        return self._received - self._taken - len(self._waiting)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if not self._subscription.active:
                raise StopAsyncIteration
            self._ready.clear()  # what arrives from here on sets it, since `_wake` runs on this loop
            await self._ready.wait()
        self._taken += 1
        return self._waiting.popleft()

    def close(self) -> None:
        """Receive nothing more; what already waits is still iterated over. From any thread."""
        self._subscription.cancel()
        self._wake()

    def _receive(self, event: Event) -> None:
        self._waiting.append(event)
        self._received += 1
        if len(self._waiting) == 1:  # otherwise the consumer has been woken and has not come yet
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop is closed, so nobody will come
            self._subscription.cancel()
