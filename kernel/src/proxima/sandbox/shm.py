"""Shared memory for arrays: the kernel makes the buffers, one worker maps them, and both use them again and again.

A buffer is a memfd that is sealed against shrinking and growing before anybody else sees it, so that reading it never
raises SIGBUS because the worker cut it short. The worker can write to it at any time: what is read from a buffer is
copied out first and checked then. A fresh memfd costs a page fault for each 4 KiB, so buffers are kept, not made anew.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from dataclasses import dataclass, field

from proxima.errors import ResourceError
from proxima.sandbox.errors import ProtocolError

MIN_BUFFER = 1 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_MFD_NOEXEC_SEAL = 8  # Linux 6.3; os has no name for it


@dataclass(slots=True, eq=False)
class Buffer:
    """A mapped buffer.

    Attributes:
        index: Its number in its pool.
        size: In bytes.
        memory: The mapping, writable.
    """

    index: int
    size: int
    memory: mmap.mmap
    fd: int = field(default=-1, repr=False)


class BufferPool:
    """The kernel's side: the buffers of one worker.

    A buffer is free or lent. Buffers are never given up while the worker lives, because the worker may keep what it was
    given: so the sum of their sizes bounds what a worker can hold of the machine's memory this way.

    Args:
        max_bytes: Sum of the sizes.
        max_buffers: How many; each takes one descriptor in the worker.
    """

    def __init__(self, *, max_bytes: int = 4 << 30, max_buffers: int = 32) -> None:
        self._max_bytes = max_bytes
        self._max_buffers = max_buffers
        self._buffers: list[Buffer] = []
        self._lent: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def bytes_made(self) -> int:
        """Sum of the sizes of all buffers."""
        return sum(buffer.size for buffer in self._buffers)

    @property
    def lent(self) -> int:
        """How many buffers are in use."""
        return len(self._lent)

    def take(self, size: int) -> Buffer:
        """Lends the smallest free buffer of at least ``size`` bytes; makes one where there is none.

        Raises:
            ResourceError: The pool's limits do not allow another.
        """
        with self._lock:
            if self._closed:
                raise ResourceError("the buffer pool is closed")
            free = [b for b in self._buffers if b.size >= size and b.index not in self._lent]
            buffer = min(free, key=lambda b: b.size, default=None) or self._make(size)
            self._lent.add(buffer.index)
            return buffer

    def get(self, index: int) -> Buffer:
        """A buffer that is lent.

        Raises:
            ProtocolError: There is no such buffer, or it is not lent.
        """
        with self._lock:
            if index not in self._lent:
                raise ProtocolError(f"buffer {index} is not in use")
            return self._buffers[index]

    def free(self, index: int) -> None:
        """Takes a lent buffer back.

        Raises:
            ProtocolError: There is no such buffer, or it is not lent.
        """
        with self._lock:
            if index not in self._lent:
                raise ProtocolError(f"buffer {index} is not in use")
            self._lent.remove(index)

    def take_fd(self, buffer: Buffer) -> int:
        """The descriptor to send a new buffer with, -1 where that was done; now the caller's to close."""
        with self._lock:
            fd, buffer.fd = buffer.fd, -1
            return fd

    def put_fd(self, buffer: Buffer, fd: int) -> None:
        """Takes a descriptor back that was not sent after all."""
        with self._lock:
            if self._closed:
                os.close(fd)
            else:
                buffer.fd = fd

    def close(self) -> None:
        """Lets every buffer go; each is unmapped once the last copy out of it is done. May be called twice."""
        with self._lock:
            self._closed = True
            self._lent.clear()
            for buffer in self._buffers:
                if buffer.fd >= 0:
                    os.close(buffer.fd)
                    buffer.fd = -1
            self._buffers.clear()

    def _make(self, size: int) -> Buffer:
        size = max(MIN_BUFFER, 1 << (size - 1).bit_length())
        if len(self._buffers) >= self._max_buffers or self.bytes_made + size > self._max_bytes:
            raise ResourceError(
                f"no shared buffer of {size:,} bytes: {len(self._buffers)} buffers of {self.bytes_made:,} bytes "
                f"exist, at most {self._max_buffers} of {self._max_bytes:,} bytes are allowed",
                hint="ask for less at once, or give the plugin a higher memory limit",
            )
        fd = -1
        try:
            fd = _memfd()
            os.ftruncate(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
            buffer = Buffer(len(self._buffers), size, mmap.mmap(fd, size), fd)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise ResourceError(f"no shared buffer of {size:,} bytes: {error.strerror}") from None
        self._buffers.append(buffer)
        return buffer


class MappedBuffers:
    """The worker's side: the buffers it was sent, mapped once."""

    def __init__(self) -> None:
        self._buffers: dict[int, Buffer] = {}
        self._lock = threading.Lock()

    def add(self, index: int, size: int, fd: int) -> Buffer:
        """Maps a buffer and closes ``fd``.

        Raises:
            ProtocolError: It is not a sealed memfd of that size, or the index is taken.
        """
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            if seals & _SEALS != _SEALS or os.fstat(fd).st_size != size:
                raise ProtocolError(f"buffer {index} is not sealed or not of {size:,} bytes")
            with self._lock:
                if index in self._buffers:
                    raise ProtocolError(f"buffer {index} came twice")
                self._buffers[index] = buffer = Buffer(index, size, mmap.mmap(fd, size))
                return buffer
        except OSError as error:
            raise ProtocolError(f"buffer {index} cannot be mapped: {error.strerror}") from None
        finally:
            os.close(fd)

    def get(self, index: int) -> Buffer:
        """A buffer that has been added.

        Raises:
            ProtocolError: It has not.
        """
        with self._lock:
            if index not in self._buffers:
                raise ProtocolError(f"buffer {index} was never sent")
            return self._buffers[index]

    def close(self) -> None:
        """Lets every buffer go; each is unmapped once the last copy out of it is done."""
        with self._lock:
            self._buffers.clear()


def _memfd() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("proxima", flags | _MFD_NOEXEC_SEAL)
    except OSError:
        return os.memfd_create("proxima", flags)  # an older kernel; there the lock alone forbids running it
