"""`Peer`: concurrent calls over a channel, both ways, with progress, cancelling, deadlines and typed errors.

The kernel and a worker run the same code. They differ in this: the kernel owns the shared buffers and may send file
descriptors, so it accepts none; and it does not believe what it hears. Whatever the protocol does not allow ends the
conversation, and every call in progress fails with the plugin's name. A served function knows who called it by the peer
it was registered with, never by a name in a message.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from proxima.contracts.backend import CancelToken
from proxima.contracts.execution import Progress
from proxima.errors import DeadlineExceededError, NotFoundError, PluginBrokenError, ProximaError, RunError
from proxima.sandbox.channel import Channel
from proxima.sandbox.codec import Encoded, decode
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.incoming import Call as Call
from proxima.sandbox.incoming import Incoming, Request
from proxima.sandbox.messages import ANSWER, CANCEL, ERROR, FREE, LEASE, LENGTHS, MAX_FDS, PROGRESS, REQUEST, BufferRef
from proxima.sandbox.outgoing import Outgoing
from proxima.sandbox.remote_errors import again, from_wire, to_wire
from proxima.sandbox.shm import Buffer, BufferPool, MappedBuffers

_NOTICE = 0.2  # seconds that a message nobody waits for may wait for a busy channel


@dataclass(frozen=True, slots=True)
class WithFds:
    """What a served function of the kernel returns to pass descriptors; they are closed here once they are sent."""

    value: Any
    fds: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Lease:
    buffer: Buffer


@dataclass(frozen=True, slots=True)
class _Served:
    function: Callable[[Any, Call], Any]
    takes: Any


class Peer:
    """One end of a conversation.

    Args:
        channel: Taken over.
        plugin: The plugin at the other end, or, in a worker, the worker's own.
        buffers: A `BufferPool` in the kernel, `MappedBuffers` in a worker; taken over.
        on_close: Called once, with the reason, from whichever thread finds it.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        plugin: str,
        buffers: BufferPool | MappedBuffers,
        on_close: Callable[[ProximaError], None] | None = None,
    ) -> None:
        self._channel = channel
        self._buffers = buffers
        self._plugin = plugin
        self._on_close = on_close
        self._in_kernel = isinstance(buffers, BufferPool)
        other = f"plugin {plugin}" if self._in_kernel else "the kernel"
        self._outgoing = Outgoing(other, plugin, self._notify)
        self._incoming = Incoming(channel.send)
        self._served: dict[str, _Served] = {}
        self._failing = threading.Lock()
        self._failure: ProximaError | None = None
        self._over = threading.Event()
        self._reading = threading.Lock()
        self._reader: int | None = None
        self._waiting = 0  # threads that wait to read, the next reader among them
        self._counting = threading.Lock()
        if isinstance(buffers, BufferPool):
            self._served[LEASE] = _Served(lambda size, _: _Lease(buffers.take(size)), int)

    @property
    def failure(self) -> ProximaError | None:
        """Why the conversation ended; ``None`` while it goes on."""
        return self._failure

    def serve(self, method: str, function: Callable[[Any, Call], Any], *, takes: Any = Any) -> None:
        """Answers calls of ``method`` with what ``function(arguments, call)`` returns or raises, each in a thread.

        Args:
            method: Its name.
            function: In the kernel it may return `WithFds`.
            takes: The annotation that the arguments must match.
        """
        self._served[method] = _Served(function, takes)

    def start(self) -> None:
        """Begins to read, in a thread of its own."""
        self._another_thread()

    def run(self) -> None:
        """Reads and serves until the conversation ends."""
        self.start()
        self._over.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the conversation has ended, after at most ``timeout`` seconds."""
        return self._over.wait(timeout)

    def close(self, reason: ProximaError | None = None) -> None:
        """Ends the conversation; calls in progress raise an error like ``reason``. May be called twice."""
        self._fail(reason or self._gone())
        if self._reader is None:
            self._release()
        elif self._reader != threading.get_ident():
            self._over.wait(5.0)

    def call(
        self,
        method: str,
        arguments: Any = None,
        *,
        returns: Any = Any,
        deadline: float | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Calls a method at the other end and waits for its answer.

        Args:
            method: Its name.
            arguments: What the codec can carry.
            returns: The annotation that the answer must match.
            deadline: A `time.monotonic` instant. After it the call is given up; the other end may be busy with it yet.
            cancel: Where it is set, the other end is told, and has two seconds to answer.
            progress: Called in this thread.

        Raises:
            ProximaError: What the method raised, if it is of the kernel's error tree; else `PluginBrokenError`, or, in
                a worker, `RunError`. In the kernel ``__cause__`` holds the worker's traceback as text.
            DeadlineExceededError: There was no answer by the deadline.
            CancelledError: The call was cancelled.
            ProtocolError: The answer is not what the protocol or ``returns`` allows; the conversation is over.
            PluginBrokenError: The worker is gone.
        """
        value, fds = self._call(method, arguments, returns, deadline, cancel, progress)
        if fds:
            _close_all(fds)
            raise self._misbehaved(ProtocolError(f"{method}: file descriptors came that nobody asked for"))
        return value

    def call_for_fds(
        self, method: str, arguments: Any, count: int, *, returns: Any = Any, deadline: float | None = None
    ) -> tuple[Any, list[int]]:
        """Calls a method of the kernel that answers with exactly ``count`` file descriptors, which the caller gets.

        Raises:
            ProtocolError: Another number of them came; they are closed.
        """
        value, fds = self._call(method, arguments, returns, deadline)
        if len(fds) != count:
            _close_all(fds)
            raise self._misbehaved(ProtocolError(f"{method}: {len(fds)} file descriptors came, not {count}"))
        return value, fds

    def _call(
        self,
        method: str,
        arguments: Any,
        returns: Any,
        deadline: float | None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> tuple[Any, list[int]]:
        encoded = Encoded(arguments)
        buffer = self._place(encoded, deadline)
        data, ref, fds = self._exchange(method, encoded.data, buffer, deadline, cancel, progress)
        try:
            return self._decode(data, returns, ref), fds
        except ProximaError:
            _close_all(fds)
            raise

    def _exchange(
        self,
        method: str,
        data: object,
        buffer: Buffer | None,
        deadline: float | None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> tuple[object, BufferRef, list[int]]:
        try:
            pending = self._outgoing.open(method, deadline)
        except ProximaError:
            self._give_back(buffer)
            raise
        try:
            self._send_with([REQUEST, pending.id, method, data], buffer, deadline=deadline)
        except ProximaError as error:
            self._outgoing.withdraw(pending)
            self._give_back(buffer)
            raise self._why(error) from None
        event = self._outgoing.wait(pending, deadline, cancel, progress)
        if event[0] == ERROR:
            raise event[1]
        return event[1], event[2], event[3]

    def _another_thread(self) -> None:
        with self._counting:
            self._waiting += 1
        threading.Thread(target=self._read_and_serve, name=f"proxima-{self._plugin}", daemon=True).start()

    def _read_and_serve(self) -> None:
        """What every thread of the peer does: one reads, and serves the request that comes while another reads on.

        So a request is served without a change of thread on its way, which would cost more than all the rest.
        """
        while True:
            with self._reading:
                with self._counting:
                    self._waiting -= 1
                self._reader = threading.get_ident()
                request = None if self._failure is not None else self._next_request()
                if request is None:
                    self._release()
                    return
                if not self._waiting:
                    self._another_thread()
            if not self._answer(request):
                return
            with self._counting:
                self._waiting += 1

    def _next_request(self) -> Request | None:
        """Reads until a request comes; ``None`` where the conversation is over."""
        try:
            while True:
                message, fds = self._channel.receive(max_fds=0 if self._in_kernel else MAX_FDS + 1)
                if (request := self._hear(message, fds)) is not None:
                    return request
        except ProtocolError as error:
            self._fail(self._gone() if self._channel.ended else self._blame(error))
        except Exception as error:  # a bug here must not leave callers waiting
            self._fail(self._blame(ProtocolError(f"reading failed: {type(error).__name__}: {error}")))
            logging.getLogger("proxima").exception("reading from plugin %s", self._plugin)
        return None

    def _hear(self, message: object, fds: list[int]) -> Request | None:
        """Acts on a message. Never sends and never waits: other calls' answers stand behind this one."""
        request = None
        try:
            if not isinstance(message, list) or len(message) < 2:
                raise ProtocolError("a message that is not one")
            kind, number = message[0], message[1]
            if type(kind) is not int or type(number) is not int:
                raise ProtocolError("a message without a kind and a number")
            if LENGTHS.get(kind) != len(message):
                raise ProtocolError(f"a message of kind {kind} and {len(message)} items")
            if kind == REQUEST:
                request = self._incoming.take(number, message[2], message[3], self._accept(message[4], fds))
            elif kind == ANSWER:
                ref = self._accept(message[3], fds)
                if message[4] != len(fds):
                    raise ProtocolError(f"{len(fds)} file descriptors came, {str(message[4])[:20]} were announced")
                if self._outgoing.settle(number, (ANSWER, message[2], ref, fds[:])):
                    fds.clear()
                elif ref is not None:  # the caller has given up; in a worker this sends, so not in this thread
                    threading.Thread(target=self._free, args=(ref[0],), daemon=True).start()
            elif kind == ERROR:
                self._outgoing.settle(number, (ERROR, self._error(message[2:])))
            elif kind == PROGRESS:
                self._outgoing.tell(number, message[2], message[3])
            elif kind == CANCEL:
                self._incoming.cancel(number)
            elif kind == FREE and isinstance(self._buffers, BufferPool):
                self._buffers.free(number)
            else:
                raise ProtocolError("only a worker gives buffers back")
            if fds and kind != ANSWER:
                raise ProtocolError("file descriptors came that nobody asked for")
            return request
        finally:
            _close_all(fds)

    def _error(self, parts: list[Any]) -> ProximaError:
        return from_wire(parts, plugin=self._plugin if self._in_kernel else None)

    def _accept(self, ref: object, fds: list[int]) -> BufferRef:
        """Checks which shared buffer a message uses, and maps it where it came with the message."""
        if ref is None:
            return None
        if not isinstance(ref, list) or [type(part) for part in ref] != [int, int, bool]:
            raise ProtocolError("a message that names its buffer wrongly")
        index, size, new = ref
        if isinstance(self._buffers, BufferPool):
            self._buffers.get(index)  # made here and lent, or this raises
            if new:
                raise ProtocolError("a worker does not make buffers")
        elif new:
            if not fds:
                raise ProtocolError("a new buffer came without its descriptor")
            self._buffers.add(index, size, fds.pop(0))
        return index, size

    def _answer(self, request: Request) -> bool:
        """Serves a request; False where that ended the conversation."""
        fds: list[int] = []
        buffer: Buffer | None = None
        served = self._served.get(request.method)
        try:
            arguments = self._decode(request.data, Any if served is None else served.takes, request.ref)
        except ProximaError:
            return False
        try:
            if served is None:
                raise NotFoundError(f"there is no method {request.method[:80]!r}")
            result = served.function(arguments, request.call)
            if isinstance(result, _Lease):
                buffer, result = result.buffer, None
            elif isinstance(result, WithFds):
                fds, result = list(result.fds), result.value
                if not self._in_kernel or len(fds) > MAX_FDS:
                    raise RunError(f"{request.method}: {len(fds)} file descriptors cannot be sent")
            encoded = Encoded(result)
            buffer = buffer or self._place(encoded, None)
        except BaseException as error:  # noqa: BLE001 - it is told to the caller, who decides what to do
            _close_all(fds)
            return self._answer_error(request, error)
        try:
            self._incoming.finish(request)
            self._send_with([ANSWER, request.id, encoded.data], buffer, fds)
        except (ProtocolError, DeadlineExceededError) as error:
            return self._unsent(error)
        except ProximaError as error:  # it is too large, and nothing was sent
            self._give_back(buffer)
            return self._answer_error(request, error)
        finally:
            _close_all(fds)
        return True

    def _answer_error(self, request: Request, error: BaseException) -> bool:
        if self._in_kernel and not isinstance(error, ProximaError):
            # What went wrong inside the kernel is no business of the plugin.
            logging.getLogger("proxima").error("serving %s to plugin %s", request.method, self._plugin, exc_info=error)
            error = RunError(f"the kernel failed to serve {request.method}")
        self._incoming.finish(request)
        try:
            self._channel.send([ERROR, request.id, *to_wire(error, with_traceback=not self._in_kernel)])
        except (ProtocolError, DeadlineExceededError) as failed:
            return self._unsent(failed)
        return True

    def _unsent(self, error: ProximaError) -> bool:
        """An answer that cannot be sent ends the conversation, for its caller would wait for ever."""
        self._why(error if isinstance(error, ProtocolError) else ProtocolError("it does not read its answers"))
        return False

    def _decode(self, data: object, expected: Any, ref: BufferRef) -> Any:
        """The value in a message; the buffer it lies in is free afterwards."""
        try:
            if ref is None:
                return decode(data, expected)
            value = decode(data, expected, self._buffers.get(ref[0]).memory)
            self._free(ref[0])
        except ProtocolError as error:
            raise self._misbehaved(error) from None
        return value

    def _place(self, encoded: Encoded, deadline: float | None) -> Buffer | None:
        """Copies large arrays into a shared buffer, if there are any."""
        if not encoded.size:
            return None
        if isinstance(self._buffers, BufferPool):
            buffer = self._buffers.take(encoded.size)
        else:
            _, ref, _ = self._exchange(LEASE, encoded.size, None, deadline)
            if ref is None:
                raise ProtocolError("the kernel lent no buffer")
            buffer = self._buffers.get(ref[0])
        encoded.place(buffer.memory)
        return buffer

    def _free(self, index: int) -> None:
        if isinstance(self._buffers, BufferPool):
            self._buffers.free(index)
        else:
            with suppress(ProtocolError):  # the reading thread sees the end
                self._channel.send([FREE, index])

    def _give_back(self, buffer: Buffer | None) -> None:
        if buffer is not None:
            with suppress(ProtocolError):  # there are no buffers any more once the conversation has ended
                self._free(buffer.index)

    def _send_with(
        self, message: list[object], buffer: Buffer | None, fds: Sequence[int] = (), *, deadline: float | None = None
    ) -> None:
        """Sends a request or an answer with its buffer, whose descriptor goes along the first time."""
        # Taken before it is sent: the other side may be done with the buffer before this side goes on.
        fd = self._buffers.take_fd(buffer) if buffer and isinstance(self._buffers, BufferPool) else -1
        message.append(None if buffer is None else [buffer.index, buffer.size, fd >= 0])
        if message[0] == ANSWER:
            message.append(len(fds))
        try:
            self._channel.send(message, fds if fd < 0 else [fd, *fds], deadline=deadline)
        except ProximaError:
            if fd >= 0 and buffer is not None and isinstance(self._buffers, BufferPool):
                self._buffers.put_fd(buffer, fd)
            raise
        if fd >= 0:
            os.close(fd)

    def _notify(self, message: list[object]) -> None:
        with suppress(ProtocolError, DeadlineExceededError):
            self._channel.send(message, deadline=time.monotonic() + _NOTICE)

    def _fail(self, error: ProximaError) -> None:
        with self._failing:
            if self._failure is not None:
                return
            self._failure = error
        self._channel.shutdown()
        self._outgoing.stop(error)
        self._incoming.stop()
        if self._on_close is not None:
            self._on_close(error)

    def _release(self) -> None:
        self._channel.close()
        self._buffers.close()
        self._over.set()

    def _why(self, error: ProximaError) -> ProximaError:
        """Why sending failed: the reading thread sees whether the other end is gone or does not read."""
        if isinstance(error, ProtocolError):
            self._over.wait(1.0)
            return self._misbehaved(error)
        if isinstance(error, DeadlineExceededError):
            error.plugin = self._plugin
        return error

    def _misbehaved(self, error: ProtocolError) -> ProximaError:
        self._fail(self._blame(error))
        assert self._failure is not None
        return again(self._failure)

    def _blame(self, error: ProximaError) -> ProximaError:
        who = f"plugin {self._plugin} broke the protocol" if self._in_kernel else "the channel to the kernel broke"
        return ProtocolError(f"{who}: {error.message}", plugin=self._plugin)

    def _gone(self) -> ProximaError:
        if self._in_kernel:
            return PluginBrokenError(f"plugin {self._plugin} stopped: its process ended", plugin=self._plugin)
        return ProtocolError("the kernel closed the channel", plugin=self._plugin)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
