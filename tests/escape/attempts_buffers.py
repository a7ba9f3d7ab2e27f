"""The memory that the kernel lends for arrays. Plugin's side."""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any

from conversation import peer


def shared_buffer() -> int:
    """A descriptor of a buffer that the kernel lent; a control makes one as a careless kernel would."""
    from proxima.sandbox.shm import MappedBuffers

    kernel = peer()
    if kernel is None:
        made = os.memfd_create("buffer", os.MFD_ALLOW_SEALING)
        os.ftruncate(made, 1 << 20)
        return made
    kept: list[int] = []
    original = MappedBuffers.add

    def keep(self: Any, index: int, size: int, descriptor: int) -> Any:
        kept.append(os.dup(descriptor))
        return original(self, index, size, descriptor)

    MappedBuffers.add = keep  # type: ignore[method-assign]
    kernel._exchange("$lease", 1 << 20, None, time.monotonic() + 5)
    return kept[0]


def shrink_a_shared_buffer(host: Any) -> None:
    os.ftruncate(shared_buffer(), 0)


def grow_a_shared_buffer(host: Any) -> None:
    os.ftruncate(shared_buffer(), (1 << 20) + 4096)


def seal_a_shared_buffer(host: Any) -> None:
    """Seal it against the kernel's own next write, which mappings that there are do not hinder."""
    fcntl.fcntl(shared_buffer(), fcntl.F_ADD_SEALS, 0x10)  # F_SEAL_FUTURE_WRITE


def borrow_all_memory(host: Any) -> int:
    """Lease shared buffers until the kernel says no; how much that was, if it is more than it should lend."""
    kernel = peer()
    held = 0
    while held <= 8 << 30:
        kernel._exchange("$lease", 1 << 30, None, time.monotonic() + 5)
        held += 1 << 30
    return held
