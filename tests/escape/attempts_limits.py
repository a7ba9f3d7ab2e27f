"""Memory, disk space and descriptors beyond what is counted. Plugin's side."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import threading
from typing import Any

from proxima.sandbox.linux.syscalls import call

MIB = 1 << 20


def memory_that_outlives_its_mapping(host: Any) -> str:
    """Pages of shared memory stay while any page of it is mapped, and only what is mapped counts as address space."""
    kept = []
    for _ in range(8):
        memory = mmap.mmap(-1, 16 * MIB, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
        view = (ctypes.c_char * 1).from_buffer(memory)
        call("munmap", ctypes.addressof(view) + mmap.PAGESIZE, len(memory) - mmap.PAGESIZE)
        kept.append((view, memory))
    return f"{16 * len(kept)} MiB held in {len(kept)} pages of address space"


def memory_of_the_zero_device(host: Any) -> str:
    """The same by /dev/zero, whose shared mappings are shared memory too."""
    zero = os.open("/dev/zero", os.O_RDWR)
    mmap.mmap(zero, MIB, flags=mmap.MAP_SHARED)
    return "mapped"


def huge_pages(host: Any) -> None:
    """They come from a pool of the whole host, and count as no locked memory."""
    try:
        mmap.mmap(-1, 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
    except OSError as error:
        if host.locked or error.errno != errno.ENOMEM:  # an empty pool is no refusal
            raise


def second_table_of_descriptors(host: Any) -> int:
    """A thread that no longer shares its descriptors may have as many again."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1000)
    held: list[int] = []
    refused: list[OSError] = []
    ready, done = threading.Event(), threading.Event()

    def fill(number: int) -> None:
        with contextlib.suppress(OSError):
            held.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(number))

    def hold() -> None:
        try:
            call("close_range", 1 << 20, 1 << 20, 2)  # CLOSE_RANGE_UNSHARE
            fill(most)
        except OSError as error:
            refused.append(error)
        ready.set()
        done.wait(10)

    threading.Thread(target=hold, daemon=True).start()
    ready.wait(10)
    fill(most)
    done.set()
    if refused:
        raise refused[0]
    if len(held) <= most:
        raise OSError(errno.EMFILE, "all of them count together")
    return len(held)


def thread_with_descriptors_of_its_own(host: Any) -> str:
    """The flags of a thread without CLONE_FILES; without CLONE_SIGHAND the kernel itself makes none of it."""
    try:
        call("clone", 0x00010000 | 0x100, 0, 0, 0, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return "past the filter"


def disk_at_once(host: Any) -> int:
    return _allocate(host, 0, 64 * MIB)


def disk_at_once_behind_a_files_end(host: Any) -> int:
    """Blocks there are no part of a file's size, which alone has a limit: this is half as much again."""
    return _allocate(host, 1, 1536 * MIB)


def _allocate(host: Any, mode: int, size: int) -> int:
    descriptor = os.open(f"{host.scratch}/large", os.O_CREAT | os.O_RDWR)
    os.unlink(f"{host.scratch}/large")
    try:
        call("fallocate", descriptor, mode, 0, size)
        return os.fstat(descriptor).st_blocks * 512
    finally:
        os.close(descriptor)
