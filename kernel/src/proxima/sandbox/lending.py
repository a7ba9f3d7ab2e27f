"""`Lending`: the shared buffers of a conversation, from the message that brings one to the side that gives it back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from proxima.errors import ProximaError
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.messages import ANSWER, FREE, BufferRef
from proxima.sandbox.shm import Buffer, BufferPool, MappedBuffers


class Lending:
    """What both sides do with buffers; the kernel makes and lends them, a worker maps what it is sent.

    Args:
        buffers: A `BufferPool` in the kernel, `MappedBuffers` in a worker.
    """

    def __init__(self, buffers: BufferPool | MappedBuffers, channel: Channel) -> None:
        self._buffers = buffers
        self._channel = channel

    def accept(self, ref: object, fds: list[int]) -> BufferRef:
        """Checks which buffer a message uses, and maps it where its descriptor came with the message.

        Raises:
            ProtocolError: It is not lent, or not sent as it must be.
        """
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

    def get(self, ref: BufferRef) -> Buffer:
        """The buffer of an accepted message.

        Raises:
            ProtocolError: There is none, or it is not lent any more.
        """
        if ref is None:
            raise ProtocolError("no buffer was lent")
        return self._buffers.get(ref[0])

    def take(self, size: int) -> Buffer:
        """Lends a buffer; the kernel's side alone."""
        assert isinstance(self._buffers, BufferPool)
        return self._buffers.take(size)

    def free(self, index: int) -> None:
        """Says that a buffer was read."""
        if isinstance(self._buffers, BufferPool):
            self._buffers.free(index)
        else:
            with suppress(ProtocolError):  # whoever reads sees the end
                self._channel.send([FREE, index])

    def freed(self, index: int) -> None:
        """Hears that the other side has read a buffer.

        Raises:
            ProtocolError: It was not lent, or this is not the kernel.
        """
        if not isinstance(self._buffers, BufferPool):
            raise ProtocolError("only a worker gives buffers back")
        self._buffers.free(index)

    def give_back(self, buffer: Buffer | None) -> None:
        """Says that a buffer was not used after all."""
        if buffer is not None:
            with suppress(ProtocolError):  # there are no buffers any more once the conversation has ended
                self.free(buffer.index)

    def send(
        self, message: list[Any], buffer: Buffer | None, fds: Sequence[int] = (), *, deadline: float | None = None
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

    def close(self) -> None:
        """Lets every buffer go."""
        self._buffers.close()
