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

_VALUE = 80  # bytes that a value takes in memory, about
_CHARACTER = 4  # bytes that each character of a text takes where a single one is beyond 16 bits
_UNCOUNTED = 16 << 10  # a frame this small is taken to hold a value in each byte
_INT_SIZE = 4
_PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_AWAKE = 50e-6 if _PROCESSORS > 1 else 0.0
"""Seconds; with a single processor the other side could not answer meanwhile."""

# As plain numbers: to combine members of an enumeration takes longer than the system call.
_SEND = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_AT_ONCE = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_WAITING = int(socket.MSG_CMSG_CLOEXEC)
_CUT = int(socket.MSG_CTRUNC)


class _Frame:
    """What has come of a frame so far: four bytes of length, then as many as they say."""

    __slots__ = ("data", "fds", "left", "limit", "whole")

    def __init__(self) -> None:
        self.data = bytearray(4)
        self.left = memoryview(self.data)
        self.whole = False
        self.limit = math.inf
        self.fds: list[int] = []

    def body(self) -> None:
        """Goes on from the length to what follows it."""
        length = int.from_bytes(self.data, "little")
        if length > MAX_FRAME:
            raise ProtocolError(f"a message of {length:,} bytes; at most {MAX_FRAME:,} are allowed")
        self.data = bytearray(length)
        self.left = memoryview(self.data)
        self.whole = True


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
        self._frame = _Frame()
        self._torn = False  # bytes were taken from the socket that are not in the frame yet
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self.ended = False
        """Whether the other side closed the channel between two messages."""
        self.cost = 0
        """How much memory the last message may take: four times its bytes, and 80 bytes for each value."""

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

        Where it gives up waiting, what has come of a message is kept, and the next call goes on from there.

        Args:
            deadline: A `time.monotonic` instant by which the whole message must be there; by default it may be long in
                coming. Once it has started it must in any case end within ``frame_seconds``.
            max_fds: How many descriptors may come with it. They arrive with close-on-exec set and belong to the caller.

        Raises:
            DeadlineExceededError: The message was not there by the deadline. The channel can still be used.
            ProtocolError: Anything malformed, too large, too slow or with too many descriptors; the channel's end.
        """
        frame = self._frame
        try:
            while frame.left or not frame.whole:
                if frame.left:
                    self._read(frame, deadline, max_fds)
                else:
                    frame.body()
            message = self._unpack(frame.data)
            self._frame = _Frame()
            return message, frame.fds
        except DeadlineExceededError:
            raise
        except BaseException as error:
            if self._torn or isinstance(error, Exception):  # else Ctrl-C interrupted it, and nothing is lost
                close_all(frame.fds)
                self.shutdown()
            raise

    def ready(self) -> bool:
        """Whether `receive` would not wait, or not long."""
        return bool(self._readable.poll(0))

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
                    sent = self._socket.sendmsg(parts, control, _SEND)
                except BlockingIOError:
                    if self._wait_to_write(deadline):
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
        except DeadlineExceededError:
            raise
        except OSError as error:
            self.shutdown()
            raise ProtocolError(f"the channel is closed: {error.strerror}") from None
        except BaseException as error:
            if started or isinstance(error, Exception):
                self.shutdown()
            raise

    def _read(self, frame: _Frame, deadline: float | None, max_fds: int) -> None:
        """Reads on in a frame, once.

        Descriptors are accepted with the first byte of a frame alone: that is where `send` puts them.
        """
        first = not frame.whole and len(frame.left) == 4
        if first and not self._soon() and deadline is not None:
            self._wait_to_read(deadline, math.inf)
        space = socket.CMSG_LEN(max_fds * _INT_SIZE) if first and max_fds else 0
        # Without a deadline an idle channel blocks in recvmsg itself: one system call fewer for each message.
        flags = _WAITING if first and deadline is None else _AT_ONCE
        self._torn = True
        try:
            count, ancillary, answer, _ = self._socket.recvmsg_into([frame.left], space, flags)
        except BlockingIOError:
            self._torn = False
            self._wait_to_read(math.inf if deadline is None else deadline, frame.limit)
            return
        except OSError as error:
            raise self._end(first) from error
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                frame.fds.extend(array.array("i", data[: len(data) - len(data) % _INT_SIZE]))
        if answer & _CUT:
            raise ProtocolError(f"more file descriptors came than the {max_fds if first else 0} expected")
        if count == 0:
            raise self._end(first)
        now = time.monotonic()
        if first:
            frame.limit = now + self._frame_seconds
        elif now >= frame.limit:
            raise _late()
        frame.left = frame.left[count:]
        self._torn = False

    def _soon(self) -> bool:
        """Looks for a message without sleeping, for a moment: to be woken takes longer than most answers."""
        until = time.perf_counter() + _AWAKE
        while not (ready := self._readable.poll(0)) and time.perf_counter() < until:
            pass
        return bool(ready)

    def _wait_to_read(self, deadline: float, limit: float) -> None:
        """Until something can be read.

        Raises:
            DeadlineExceededError: Not by the deadline.
            ProtocolError: Not by the limit of the frame that has begun.
        """
        until = min(deadline, limit)
        if until == math.inf:
            ready = self._readable.poll()
        else:
            ready = self._readable.poll(max(math.ceil((until - time.monotonic()) * 1000), 0))
        if ready:
            return
        if time.monotonic() >= limit:
            raise _late()
        raise DeadlineExceededError("no message came before the deadline")

    def _end(self, idle: bool) -> ProtocolError:
        if self._stalled:
            return ProtocolError("the other side stopped reading in the middle of a message")
        self.ended = idle
        return ProtocolError("the channel is closed" if idle else "the channel closed in the middle of a message")

    def _wait_to_write(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        writable = select.poll()
        writable.register(self._socket, select.POLLOUT)
        return left > 0 and bool(writable.poll(math.ceil(left * 1000)))

    def _unpack(self, data: bytearray) -> object:
        values = _values(data) if len(data) > _UNCOUNTED else len(data)
        if values > MAX_OBJECTS:
            raise ProtocolError(f"a message of more than {MAX_OBJECTS:,} values")
        self.cost = _CHARACTER * len(data) + _VALUE * values
        try:
            # Extension types are refused: the length limit stops all but the empty ones, the hook those.
            return msgpack.unpackb(data, max_ext_len=0, ext_hook=_refuse_extension)
        except (ValueError, msgpack.UnpackException, MemoryError, RecursionError) as error:
            raise ProtocolError(f"a message that is not msgpack: {error or type(error).__name__}") from None


def _pack(message: object) -> bytes:
    try:
        data: bytes = msgpack.packb(message, strict_types=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"this cannot be sent to another process: {error}") from None
    if len(data) > MAX_FRAME:
        raise ResourceError(f"a message of {len(data):,} bytes cannot be sent; at most {MAX_FRAME:,} are allowed")
    if len(data) > _UNCOUNTED and _values(data) > MAX_OBJECTS:
        raise ResourceError(f"a message of more than {MAX_OBJECTS:,} values cannot be sent")
    return data


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


def _values(data: bytes | bytearray) -> int:
    """How many values are in ``data``, as its headers promise them; no longer counted beyond `MAX_OBJECTS`.

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
            break
    return count + due


def _late() -> ProtocolError:
    return ProtocolError("a message was begun and not finished in time")


def close_all(fds: Sequence[int]) -> None:
    """Closes descriptors that came or were to go with a message."""
    for fd in fds:
        os.close(fd)
