"""`Channel`: length-capped msgpack messages and file descriptors between the kernel and a worker.

A frame is a length (uint32, little-endian) and that many bytes of msgpack. What arrives may come from a hostile
process, so a frame's length and its number of objects are checked before memory is taken for them.
"""

from __future__ import annotations

import array
import math
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgpack

from proxima.errors import DeadlineExceededError, ResourceError, UsageError
from proxima.sandbox.errors import ProtocolError as ProtocolError

MAX_FRAME = 64 << 20
MAX_OBJECTS = 1 << 20
"""Most values in one frame, at any depth: an empty list is one byte on the wire and eighty in memory."""

_UNCOUNTED = 64 << 10  # a frame this small cannot hold enough objects to hurt
_INT_SIZE = 4


class Channel:
    """One end of a connected ``AF_UNIX`` stream socket, which it takes over.

    Any thread may send; one thread at a time may receive. After a `ProtocolError` the channel is shut down.

    Args:
        frame_seconds: How long one frame may take from its first byte to its last, in either direction.
    """

    def __init__(self, sock: socket.socket, *, frame_seconds: float = 30.0) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._frame_seconds = frame_seconds
        self._sending = threading.Lock()
        self._stalled = False
        self.ended = False
        """Whether the other side closed the channel between two messages."""

    def fileno(self) -> int:
        """The socket's descriptor, -1 once closed."""
        return self._socket.fileno()

    def send(self, message: object, fds: Sequence[int] = (), *, deadline: float | None = None) -> None:
        """Sends a message and copies of file descriptors.

        Args:
            message: Of None, bool, int, float, str, bytes, and lists and dicts of them.
            fds: They stay open here.
            deadline: A `time.monotonic` instant by which the last byte must have left.

        Raises:
            UsageError: The message holds something else. Nothing was sent.
            ResourceError: It is larger than a frame may be. Nothing was sent.
            DeadlineExceededError: The channel stayed busy until the deadline. Nothing was sent.
            ProtocolError: The other side is gone, or stopped reading in the middle.
        """
        data = _pack(message)
        now = time.monotonic()
        deadline = now + self._frame_seconds if deadline is None else min(deadline, now + self._frame_seconds)
        if not self._sending.acquire(timeout=max(deadline - now, 0.0)):
            raise DeadlineExceededError("a message was not sent before its deadline: the channel is busy")
        try:
            self._send_all(data, fds, deadline)
        finally:
            self._sending.release()

    def receive(self, *, deadline: float | None = None, max_fds: int = 0) -> tuple[object, list[int]]:
        """Waits for a message.

        Args:
            deadline: A `time.monotonic` instant by which the whole message must be there; by default it may be long in
                coming, but once it has started it must end within ``frame_seconds``.
            max_fds: How many descriptors may come with it. They arrive with close-on-exec set and belong to the caller.

        Raises:
            DeadlineExceededError: No message had started by the deadline. The channel can still be used.
            ProtocolError: Anything malformed, too large, too slow or with too many descriptors; the channel's end.
        """
        fds: list[int] = []
        try:
            header = bytearray(4)
            deadline = self._fill(memoryview(header), 0, deadline, fds, max_fds)
            (length,) = struct.unpack("<I", header)
            if length > MAX_FRAME:
                raise ProtocolError(f"a message of {length:,} bytes; at most {MAX_FRAME:,} are allowed")
            data = bytearray(length)
            self._fill(memoryview(data), 4, deadline, fds, 0)
            return _unpack(data), fds
        except BaseException as error:
            for fd in fds:
                os.close(fd)
            if not isinstance(error, DeadlineExceededError):
                self.shutdown()
            raise

    def shutdown(self) -> None:
        """Ends the conversation both ways: threads that wait in `send` or `receive` fail. May be called twice."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster, or it is closed already

    def close(self) -> None:
        """Gives the socket back, once no thread receives any more."""
        self.shutdown()
        with self._sending:  # else a sender could be inside a system call on a descriptor that is used anew
            self._socket.close()

    def _send_all(self, data: bytes, fds: Sequence[int], deadline: float) -> None:
        parts: list[memoryview] = [memoryview(struct.pack("<I", len(data))), memoryview(data)]
        control: list[tuple[int, int, Any]] = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        started = False
        try:
            while parts:
                try:
                    sent = self._socket.sendmsg(parts, control, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    if self._wait(select.POLLOUT, deadline):
                        continue
                    if started:
                        self._stalled = True
                        raise ProtocolError("the other side stopped reading in the middle of a message") from None
                    raise DeadlineExceededError("a message was not sent before its deadline: nobody reads it") from None
                started, control = True, []
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if sent:
                    parts[0] = parts[0][sent:]
        except ProtocolError:
            self.shutdown()
            raise
        except OSError as error:
            self.shutdown()
            raise ProtocolError(f"the channel is closed: {error.strerror}") from None

    def _fill(self, view: memoryview, before: int, deadline: float | None, fds: list[int], max_fds: int) -> float:
        """Reads until `view` is full, with ``before`` bytes of the frame read already; returns the frame's deadline.

        Descriptors are accepted with the first byte of a frame alone: that is where `send` puts them.
        """
        got, limit = 0, deadline if before else None
        while got < len(view):
            idle = before + got == 0
            space = socket.CMSG_LEN(max_fds * _INT_SIZE) if idle and max_fds else 0
            # Without a deadline an idle channel blocks in recvmsg itself: one system call fewer for each message.
            flags = socket.MSG_CMSG_CLOEXEC | (0 if idle and deadline is None else socket.MSG_DONTWAIT)
            try:
                count, ancillary, answer, _ = self._socket.recvmsg_into([view[got:]], space, flags)
            except BlockingIOError:
                if self._wait(select.POLLIN, deadline if limit is None else limit):
                    continue
                if idle:
                    raise DeadlineExceededError("no message came before the deadline") from None
                raise ProtocolError("a message was begun and not finished in time") from None
            except OSError as error:
                raise self._end(idle) from error
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.extend(array.array("i", data[: len(data) - len(data) % _INT_SIZE]))
            if answer & socket.MSG_CTRUNC:
                raise ProtocolError(f"more file descriptors came than the {max_fds if idle else 0} expected")
            if count == 0:
                raise self._end(idle)
            if limit is None:
                end = time.monotonic() + self._frame_seconds
                limit = end if deadline is None else min(deadline, end)
            got += count
        return math.inf if limit is None else limit  # None for an empty frame alone, which takes no time

    def _end(self, idle: bool) -> ProtocolError:
        if self._stalled:
            return ProtocolError("the other side stopped reading in the middle of a message")
        self.ended = idle
        return ProtocolError("the channel is closed" if idle else "the channel closed in the middle of a message")

    def _wait(self, event: int, deadline: float | None) -> bool:
        """Whether the socket became ready before the deadline."""
        poll = select.poll()
        poll.register(self._socket, event)
        if deadline is None:
            return bool(poll.poll())
        left = deadline - time.monotonic()
        return left > 0 and bool(poll.poll(math.ceil(left * 1000)))


def _pack(message: object) -> bytes:
    try:
        data: bytes = msgpack.packb(message, strict_types=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"this cannot be sent to another process: {error}") from None
    if len(data) > MAX_FRAME:
        raise ResourceError(f"a message of {len(data):,} bytes cannot be sent; at most {MAX_FRAME:,} are allowed")
    if len(data) > _UNCOUNTED and _too_many_objects(data):
        raise ResourceError(f"a message of more than {MAX_OBJECTS:,} values cannot be sent")
    return data


def _unpack(data: bytearray) -> object:
    if len(data) > _UNCOUNTED and _too_many_objects(data):
        raise ProtocolError(f"a message of more than {MAX_OBJECTS:,} values")
    try:
        # Extension types are refused: the length limit stops all but the empty ones, the hook those.
        return msgpack.unpackb(data, max_ext_len=0, ext_hook=_refuse_extension)
    except (ValueError, msgpack.UnpackException, MemoryError, RecursionError) as error:
        raise ProtocolError(f"a message that is not msgpack: {error or type(error).__name__}") from None


def _refuse_extension(code: int, _: bytes) -> object:
    raise ValueError(f"extension type {code}")


# First bytes 0xc4 to 0xdf: how many bytes of length follow, and what the length counts.
_SIZED = {
    **{code: (width, "bytes") for code, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4))},
    **{code: (width, "extension") for code, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4))},
    **{code: (width, "items") for code, width in ((0xDC, 2), (0xDD, 4))},
    **{code: (width, "pairs") for code, width in ((0xDE, 2), (0xDF, 4))},
}
# fmt: off
_FIXED = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}
# fmt: on


def _too_many_objects(data: bytes | bytearray) -> bool:
    """Whether the values in ``data``, counted as its headers promise them, exceed `MAX_OBJECTS`.

    Whether the bytes are well-formed is for msgpack to find out: what is cut short simply ends here.
    """
    position, count, due, size = 0, 0, 1, len(data)
    while due and position < size:
        first = data[position]
        position += 1
        due -= 1
        count += 1
        if first < 0x80 or first >= 0xE0:
            continue
        if first < 0x90:
            due += 2 * (first & 15)
        elif first < 0xA0:
            due += first & 15
        elif first < 0xC0:
            position += first & 31
        elif first in _SIZED:
            width, counts = _SIZED[first]
            number = int.from_bytes(data[position : position + width], "big")
            position += width
            if counts == "bytes":
                position += number
            elif counts == "extension":
                position += number + 1
            else:
                due += number * (2 if counts == "pairs" else 1)
        else:
            position += _FIXED.get(first, 0)
        if count + due > MAX_OBJECTS:
            return True
    return False
