"""Shared buffers: sealed, limited, used again, and accepted from the kernel alone."""

from __future__ import annotations

import fcntl
import mmap
import os

import pytest

from proxima.errors import ResourceError
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.shm import MIN_BUFFER, BufferPool, MappedBuffers


def test_worker_cannot_resize_or_unseal_a_buffer() -> None:
    pool = BufferPool()
    buffer = pool.take(100)
    fd = os.dup(buffer.fd)
    for size in (0, 1, buffer.size - 1, buffer.size + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", buffer.size)
    assert bytes(buffer.memory[-1:]) == b"\0"
    os.close(fd)
    pool.close()


def test_both_sides_see_the_same_bytes() -> None:
    pool, mapped = BufferPool(), MappedBuffers()
    buffer = pool.take(5)
    theirs = mapped.add(buffer.index, buffer.size, os.dup(buffer.fd))
    buffer.memory[:5] = b"hello"
    assert theirs.memory[:5] == b"hello"
    assert mapped.get(buffer.index) is theirs
    pool.close()
    mapped.close()


def test_a_free_buffer_is_used_again_and_a_lent_one_is_not() -> None:
    pool = BufferPool()
    first, second = pool.take(10), pool.take(10)
    assert first.index != second.index
    pool.free(first.index)
    assert pool.take(MIN_BUFFER) is first
    assert pool.take(MIN_BUFFER + 1).size == 2 * MIN_BUFFER
    assert pool.bytes_made == 4 * MIN_BUFFER
    pool.close()


def test_limits_hold_for_everything_a_worker_was_ever_given() -> None:
    pool = BufferPool(max_bytes=4 * MIN_BUFFER, max_buffers=3)
    taken = [pool.take(1) for _ in range(3)]
    with pytest.raises(ResourceError, match="at most 3"):
        pool.take(1)
    pool.free(taken[0].index)
    with pytest.raises(ResourceError):
        pool.take(MIN_BUFFER + 1)
    pool.close()
    pool = BufferPool(max_bytes=4 * MIN_BUFFER)
    pool.take(4 * MIN_BUFFER)
    with pytest.raises(ResourceError):
        pool.take(1)
    pool.close()


@pytest.mark.parametrize(("size", "limit"), [(2**62, 2**63), (2**62, 4 << 30), (2**200, 4 << 30)])
def test_refuses_an_absurd_size(size: int, limit: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    pool = BufferPool(max_bytes=limit)
    with pytest.raises(ResourceError):
        pool.take(size)
    pool.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("index", [-1, 0, 1, 2**70])
def test_only_lent_buffers_are_found_or_freed(index: int) -> None:
    pool = BufferPool()
    pool.free(pool.take(1).index)
    with pytest.raises(ProtocolError):
        pool.get(index)
    with pytest.raises(ProtocolError):
        pool.free(index)
    pool.close()


def test_worker_refuses_what_the_kernel_did_not_make(tmp_path: os.PathLike[str]) -> None:
    mapped = MappedBuffers()
    unsealed = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(unsealed, 4096)
    regular = os.open(os.path.join(tmp_path, "f"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(regular, 4096)
    pipe, write = os.pipe()
    for fd in (unsealed, regular, pipe):
        with pytest.raises(ProtocolError):
            mapped.add(0, 4096, fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    os.close(write)
    pool = BufferPool()
    buffer = pool.take(1)
    with pytest.raises(ProtocolError, match="not of"):
        mapped.add(0, 4096, os.dup(buffer.fd))
    mapped.add(0, buffer.size, os.dup(buffer.fd))
    with pytest.raises(ProtocolError, match="twice"):
        mapped.add(0, buffer.size, os.dup(buffer.fd))
    with pytest.raises(ProtocolError, match="never sent"):
        mapped.get(7)
    pool.close()


def test_closing_returns_every_descriptor_and_mapping() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        pool, mapped = BufferPool(), MappedBuffers()
        for _ in range(3):
            buffer = pool.take(1)
            mapped.add(buffer.index, buffer.size, os.dup(buffer.fd))
        os.close(pool.take_fd(buffer))
        assert pool.take_fd(buffer) == -1
        del buffer
        pool.close()
        mapped.close()
        pool.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert "memfd:proxima" not in maps.read()


def test_a_descriptor_that_was_not_sent_is_closed_with_the_pool() -> None:
    before = len(os.listdir("/proc/self/fd"))
    pool = BufferPool()
    buffer = pool.take(1)
    fd = pool.take_fd(buffer)
    pool.put_fd(buffer, fd)
    assert pool.take_fd(buffer) == fd
    pool.close()
    pool.put_fd(buffer, fd)
    del buffer
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_view_outlives_the_pool() -> None:
    pool = BufferPool()
    memory: mmap.mmap = pool.take(1).memory
    view = memoryview(memory)
    pool.close()
    view[0] = 7
    assert view[0] == 7
