"""The kernel's memory: what a plugin changes in it, and how much it fills. Judged outside the worker."""

from __future__ import annotations

import mmap
import os
import resource
import threading
from typing import Any

from outside import Stopped, through, tried


def buffer_changed_after_the_check(arena: Any) -> str:
    """A worker writes to a shared buffer again and again after it answered with what was there."""
    body = """
import gc, numpy
from proxima.sandbox.shm import MappedBuffers
writes = 0
def scribble():
    global writes
    mapped = [each for each in gc.get_objects() if isinstance(each, MappedBuffers)]
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        for buffer in [buffer for each in mapped for buffer in list(each._buffers.values())]:
            buffer.memory[:8192] = b"\\x41" * 8192
            writes += 1
        time.sleep(0)
def act(arguments):
    if arguments.get("count"): return str(writes)
    threading.Thread(target=scribble, daemon=True).start()
    return ToolResult("x", data=numpy.zeros(1 << 18))
"""
    arena.plugin("scribbler", body)
    tool = arena.tool("scribbler")
    array = tool.call({}).data
    checked = array.copy()
    writes = int(tool.call({"count": True}).text)
    threading.Event().wait(0.2)
    more = int(tool.call({"count": True}).text) - writes
    tried(more > 0, "nothing was written after the answer")
    if (array != checked).any():
        return f"changed under the kernel by one of {more} writes"
    raise Stopped(f"the kernel has a copy of its own; {more} writes")


def control_buffer_changed_after_the_check(arena: Any) -> str:
    descriptor = os.memfd_create("x")
    os.ftruncate(descriptor, 4096)
    memory = mmap.mmap(descriptor, 4096)
    checked = memory[0]
    child = os.fork()
    if child == 0:
        memory[0] = 65
        os._exit(0)
    os.waitpid(child, 0)
    return through(memory[0] != checked, f"{checked} became {memory[0]}")


def memory_of_the_kernel_by_large_requests(arena: Any) -> str:
    """Sixty requests of 60 MiB each at once, which the kernel must hold until each is answered."""
    from proxima.errors import ProximaError

    body = """
import struct
from conversation import keep_open, peer
def act(arguments):
    kernel, size = peer(), 60 << 20
    keep_open(kernel)
    text = b"A" * size
    for number in range(1000, 1060):
        head = b"\\x95\\x01\\xcd" + struct.pack(">H", number)
        head += b"\\xabsecrets.get\\x91\\xdb" + struct.pack(">I", size)
        for part in (struct.pack("<I", len(head) + size + 1), head, text, b"\\xc0"):
            kernel._channel._socket.sendall(part)
    return "sent"
"""
    arena.plugin("feeder", body)
    arena.limits = {"wall_seconds": 3.0}
    tool = arena.tool("feeder")
    with Resident() as resident:
        try:
            said = str(tool.call({}).text)
        except ProximaError as error:
            said = str(error)
    arena.limits = {}
    arena.end("feeder")
    grown = resident.most >> 20
    if grown > 256:  # four messages of the largest size that there is
        return f"{grown} MiB; {said}"
    raise Stopped(f"{grown} MiB; {said}")


class Resident:
    """By how much this process grew at most, in bytes, while it was watched."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Resident:
        self._before = self._now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, self._now() - self._before)

    @staticmethod
    def _now() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
