"""`Peer`: concurrent calls over a channel, both ways, with progress, cancelling, deadlines and typed errors.

The kernel and a worker run the same code. They differ in this: the kernel owns the shared buffers and may send file
descriptors, so it accepts none; and it does not believe what it hears. Whatever the protocol does not allow ends the
conversation, and every call in progress fails with the plugin's name. A served function knows who called it by the peer
it was registered with, never by a name in a message.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from proxima.errors import DeadlineExceededError, NotFoundError, PluginBrokenError, ProximaError, RunError
from proxima.sandbox.channel import Channel, close_all
from proxima.sandbox.codec import Encoded, decode
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.hearing import Hearing
from proxima.sandbox.held import Held
from proxima.sandbox.incoming import Call as Call
from proxima.sandbox.incoming import Incoming, Request
from proxima.sandbox.lending import Lending
from proxima.sandbox.messages import ANSWER, ERROR, LEASE, MAX_FDS, MAX_HELD, REQUEST, BufferRef
from proxima.sandbox.outgoing import Answer, Outgoing
from proxima.sandbox.readers import Readers
from proxima.sandbox.remote_errors import again, to_wire
from proxima.sandbox.shm import Buffer, BufferPool, MappedBuffers

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.execution import Progress

_NOTICE = 0.2  # seconds that a message nobody waits for may wait for a busy channel


class WithFds(NamedTuple):
    """What a served function of the kernel returns to pass descriptors; they are closed here once they are sent."""

    value: Any
    fds: Sequence[int]


class _Lease(NamedTuple):
    buffer: Buffer


class _Served(NamedTuple):
    function: Callable[[Any, Call], Any]
    takes: Any
    alone: bool = False


class Peer:
    """One end of a conversation.

    Args:
        channel: Taken over.
        plugin: The plugin at the other end, or, in a worker, the worker's own.
        buffers: A `BufferPool` in the kernel, `MappedBuffers` in a worker; taken over.
        on_close: Called once, with the reason, in a thread of the peer's own.
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
        self._plugin = plugin
        self._on_close = on_close
        self._in_kernel = isinstance(buffers, BufferPool)
        self._max_fds = 0 if self._in_kernel else MAX_FDS + 1
        self._lending = Lending(buffers, channel)
        self._readers = Readers(
            f"proxima-{plugin}",
            hear=self._next,
            serve=self._answer,
            alone=lambda request: request.method in self._served and self._served[request.method].alone,
            more=channel.ready,
            quiet=lambda: self._outgoing.idle,
            finish=self._finish,
        )
        self._outgoing = Outgoing(
            f"plugin {plugin}" if self._in_kernel else "the kernel",
            plugin,
            send=self._notify,
            attend=self._readers.attend,
            drop=lambda answer: self._hearing.drop(answer),
        )
        self._incoming = Incoming(channel.send)
        self._hearing = Hearing(
            plugin, self._outgoing, self._incoming, self._lending, held=Held(MAX_HELD) if self._in_kernel else None
        )
        self._served: dict[str, _Served] = {}
        self._failing = threading.Lock()
        self._failure: ProximaError | None = None
        self._over = threading.Event()
        if self._in_kernel:
            self._served[LEASE] = _Served(lambda size, _: _Lease(self._lending.take(size)), int)

    @property
    def failure(self) -> ProximaError | None:
        """Why the conversation ended; ``None`` while it goes on."""
        return self._failure

    def serve(
        self, method: str, function: Callable[[Any, Call], Any], *, takes: Any = Any, alone: bool = False
    ) -> None:
        """Answers calls of ``method`` with what ``function(arguments, call)`` returns or raises, each in a thread.

        Args:
            method: Its name.
            function: In the kernel it may return `WithFds`.
            takes: The annotation that the arguments must match.
            alone: Whether what else comes may wait meanwhile, so that no further thread is needed.
        """
        self._served[method] = _Served(function, takes, alone)

    def start(self) -> None:
        """Begins to read, in a thread of its own."""
        self._readers.start()

    def run(self) -> None:
        """Reads and serves, also in this thread, until the conversation ends."""
        self._readers.run()
        self._over.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the conversation has ended, after at most ``timeout`` seconds."""
        return self._over.wait(timeout)

    def close(self, reason: ProximaError | None = None) -> None:
        """Ends the conversation; calls in progress raise an error like ``reason``. May be called twice."""
        self._fail(reason or self._gone())
        if not self._readers.reading:
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
            close_all(fds)
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
            close_all(fds)
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
        answer = self._ask(method, encoded.data, buffer, deadline, cancel, progress)
        try:
            return self._decode(answer.data, returns, answer.ref), answer.fds
        except BaseException:
            close_all(answer.fds)
            raise
        finally:
            self._hearing.done(answer.cost)

    def _exchange(
        self, method: str, data: object, buffer: Buffer | None, deadline: float | None
    ) -> tuple[object, BufferRef, list[int]]:
        """Asks for plain data."""
        answer = self._ask(method, data, buffer, deadline)
        self._hearing.done(answer.cost)
        return answer.data, answer.ref, answer.fds

    def _ask(
        self,
        method: str,
        data: object,
        buffer: Buffer | None,
        deadline: float | None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        try:
            pending = self._outgoing.open(method, deadline)
        except ProximaError:
            self._lending.give_back(buffer)
            raise
        try:
            self._lending.send([REQUEST, pending.id, method, data], buffer, deadline=deadline)
        except ProximaError as error:
            self._outgoing.withdraw(pending)
            self._lending.give_back(buffer)
            raise self._why(error) from None
        except BaseException:  # Ctrl-C: it may have been sent
            self._outgoing.abandon(pending)
            raise
        return self._outgoing.wait(pending, deadline, cancel, progress)

    def _next(self, until: float | None) -> Request | None:
        """Reads a message and acts on it; where that fails, the conversation is over.

        Raises:
            DeadlineExceededError: No message came by ``until``.
        """
        message = None
        try:
            message, fds = self._channel.receive(deadline=until, max_fds=self._max_fds)
            return self._hearing.hear(message, fds, self._channel.cost)
        except DeadlineExceededError:
            raise
        except ProtocolError as error:
            self._fail(self._gone() if self._channel.ended else self._blame(error))
        except Exception as error:  # a bug here must not leave callers waiting
            self._fail(self._blame(ProtocolError(f"reading failed: {type(error).__name__}: {error}")))
            logging.getLogger("proxima").exception("reading from plugin %s", self._plugin)
        except BaseException:
            if message is not None:  # somebody may have waited for it
                self._fail(RunError("the conversation was interrupted in the middle of a message", plugin=self._plugin))
            raise
        return None

    def _answer(self, request: Request) -> None:
        """Serves a request."""
        try:
            if request.refused is None:
                self._serve(request)
            else:
                self._answer_error(request, request.refused)
        except ProximaError as error:
            # What cannot be decoded has ended the conversation. So does an answer that cannot be sent, for its caller
            # would wait for ever.
            self._why(error if isinstance(error, ProtocolError) else ProtocolError("it does not read its answers"))
        finally:
            self._incoming.finish(request)
            self._incoming.done()
            if request.refused is None:
                self._hearing.done(request.cost)

    def _serve(self, request: Request) -> None:
        fds: list[int] = []
        buffer: Buffer | None = None
        served = self._served.get(request.method)
        arguments = self._decode(request.data, Any if served is None else served.takes, request.ref)
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
            close_all(fds)
            self._answer_error(request, error)
            return
        try:
            self._incoming.finish(request)
            self._lending.send([ANSWER, request.id, encoded.data], buffer, fds)
        except (ProtocolError, DeadlineExceededError):
            raise
        except ProximaError as error:  # it is too large, and nothing was sent
            self._lending.give_back(buffer)
            self._answer_error(request, error)
        finally:
            close_all(fds)

    def _answer_error(self, request: Request, error: BaseException) -> None:
        if self._in_kernel and not isinstance(error, ProximaError):
            # What went wrong inside the kernel is no business of the plugin.
            logging.getLogger("proxima").error("serving %s to plugin %s", request.method, self._plugin, exc_info=error)
            error = RunError(f"the kernel failed to serve {request.method}")
        self._incoming.finish(request)
        self._channel.send([ERROR, request.id, *to_wire(error, with_traceback=not self._in_kernel)])

    def _decode(self, data: object, expected: Any, ref: BufferRef) -> Any:
        """The value in a message; the buffer it lies in is free afterwards."""
        try:
            if ref is None:
                return decode(data, expected)
            value = decode(data, expected, self._lending.get(ref).memory)
            self._lending.free(ref[0])
        except ProtocolError as error:
            raise self._misbehaved(error) from None
        return value

    def _place(self, encoded: Encoded, deadline: float | None) -> Buffer | None:
        """Copies large arrays into a shared buffer, if there are any."""
        if not encoded.size:
            return None
        if self._in_kernel:
            buffer = self._lending.take(encoded.size)
        else:
            buffer = self._lending.get(self._exchange(LEASE, encoded.size, None, deadline)[1])
        encoded.place(buffer.memory)
        return buffer

    def _notify(self, message: list[object]) -> None:
        with suppress(ProtocolError, DeadlineExceededError):
            self._channel.send(message, deadline=time.monotonic() + _NOTICE)

    def _fail(self, error: ProximaError) -> None:
        with self._failing:
            if self._failure is not None:
                return
            self._failure = error
        self._outgoing.stop(error)
        self._incoming.stop()
        self._channel.shutdown()
        self._readers.end()

    def _finish(self) -> None:
        try:
            if self._on_close is not None and self._failure is not None:
                self._on_close(self._failure)
        finally:
            self._channel.close()
            self._lending.close()
            self._over.set()

    def _why(self, error: ProximaError) -> ProximaError:
        """Why sending failed: whoever reads sees whether the other end is gone or does not read."""
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
