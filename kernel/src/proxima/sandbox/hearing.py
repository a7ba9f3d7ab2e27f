"""`Hearing`: what each message does. What the protocol does not allow raises `ProtocolError`, whatever it holds."""

from __future__ import annotations

import threading

from proxima.errors import ResourceError
from proxima.sandbox.channel import close_all
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.held import Held
from proxima.sandbox.incoming import Incoming, Request
from proxima.sandbox.lending import Lending
from proxima.sandbox.messages import (
    ANSWER,
    CANCEL,
    ERROR,
    FREE,
    LENGTHS,
    MAX_HELD,
    MAX_REQUEST,
    PROGRESS,
    REQUEST,
    BufferRef,
)
from proxima.sandbox.outgoing import Answer, Outgoing
from proxima.sandbox.remote_errors import from_wire


class Hearing:
    """Hands each message to whom it concerns, once it is what it says.

    Args:
        plugin: The plugin concerned.
        held: What the plugin's messages take of the kernel's memory; ``None`` in a worker, which believes the kernel.
    """

    def __init__(
        self, plugin: str, outgoing: Outgoing, incoming: Incoming, lending: Lending, *, held: Held | None
    ) -> None:
        self._plugin = plugin
        self._outgoing = outgoing
        self._incoming = incoming
        self._lending = lending
        self._held = held

    def hear(self, message: object, fds: list[int], cost: int) -> Request | None:
        """Acts on a message. Never sends and never waits: other calls' answers stand behind this one.

        Args:
            message: As msgpack read it.
            fds: The descriptors that came with it; they are closed here, or belong to the answer.
            cost: What it takes in memory.

        Raises:
            ProtocolError: It is not allowed, now or ever.
        """
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
                request = self._request(number, message[2], message[3], self._lending.accept(message[4], fds), cost)
            elif kind == ANSWER:
                ref = self._lending.accept(message[3], fds)
                if message[4] != len(fds):
                    raise ProtocolError(f"{len(fds)} file descriptors came, {str(message[4])[:20]} were announced")
                self._answer(number, Answer(message[2], ref, fds[:], cost))
                fds.clear()
            elif kind == ERROR:
                self._outgoing.settle(number, from_wire(message[2:], plugin=self._plugin if self._held else None))
            elif kind == PROGRESS:
                self._outgoing.tell(number, message[2], message[3])
            elif kind == CANCEL:
                self._incoming.cancel(number)
            elif kind == FREE:
                self._lending.freed(number)
            if fds:
                raise ProtocolError("file descriptors came that nobody asked for")
            return request
        finally:
            close_all(fds)

    def done(self, cost: int) -> None:
        """Says that a request was served or an answer fetched."""
        if self._held is not None:
            self._held.give(cost)

    def drop(self, answer: Answer) -> None:
        """Lets go of an answer that nobody fetches."""
        self.done(answer.cost)
        close_all(answer.fds)
        if answer.ref is None:
            return
        if self._held is not None:
            self._lending.free(answer.ref[0])
        else:  # which sends, so not in a thread that reads
            threading.Thread(target=self._lending.free, args=(answer.ref[0],), daemon=True).start()

    def _request(self, number: int, method: object, data: object, ref: BufferRef, cost: int) -> Request:
        if ref is not None and self._held is not None:
            cost += self._lending.get(ref).size
        request = self._incoming.take(number, method, data, ref, cost)
        if self._held is None or (cost <= MAX_REQUEST and self._held.take(cost)):
            return request
        if ref is not None:
            self._lending.free(ref[0])
        return request._replace(data=None, refused=self._too_much())

    def _answer(self, number: int, answer: Answer) -> None:
        if self._held is None or self._held.take(answer.cost):
            self._outgoing.settle(number, answer)
        else:
            self._outgoing.settle(number, self._too_much())
            self.drop(answer._replace(cost=0))

    def _too_much(self) -> ResourceError:
        return ResourceError(
            f"plugin {self._plugin}: a request may take at most {MAX_REQUEST:,} bytes of the kernel's memory, and all "
            f"that wait, with the answers, {MAX_HELD:,}",
            hint="Send less at once.",
            plugin=self._plugin,
        )
