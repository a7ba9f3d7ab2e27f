"""Memory: what a plugin changes in it, learns from it, and how much it fills. Judged outside the worker."""

from __future__ import annotations

import mmap
import os
import resource
import threading
from pathlib import Path
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
    """Ten requests of 60 MiB each at once, which the kernel would hold until each is answered."""
    body = """
import struct
from conversation import keep_open, peer
def act(arguments):
    kernel, size = peer(), 60 << 20
    keep_open(kernel)
    text = b"A" * size
    for number in range(1000, 1010):
        head = b"\\x95\\x01\\xcd" + struct.pack(">H", number)
        head += b"\\xabsecrets.get\\x91\\xdb" + struct.pack(">I", size)
        for part in (struct.pack("<I", len(head) + size + 1), head, text, b"\\xc0"):
            kernel._channel._socket.sendall(part)
    return "sent"
"""
    arena.plugin("feeder", body)
    tool = arena.tool("feeder")
    with Resident() as resident:
        said = str(tool.call({}).text)
    arena.end("feeder")
    grown = resident.most >> 20
    tried(said == "sent" and grown > 32, f"{grown} MiB; {said}")
    return through(grown > 256, f"{grown} MiB")  # four messages of the largest size that there is


def memory_that_ends_the_kernel_first(arena: Any) -> str:
    """Where memory runs out, Linux ends the process with the highest score."""
    arena.call("other")
    worker, kernel = map(_score, (arena.supervisor.running("other").pid, os.getpid()))
    return through(worker <= kernel, f"the worker's score is {worker}, the kernel's {kernel}")


def control_memory_that_ends_the_kernel_first(arena: Any) -> str:
    worker, kernel = map(_score, (arena.host.victim, os.getpid()))
    return through(worker <= kernel, f"a child's score is {worker}, its parent's {kernel}")


def _score(pid: int) -> int:
    with open(f"/proc/{pid}/oom_score_adj") as file:
        return int(file.read())


def policies_of_other_plugins(arena: Any) -> str:
    """What the process that workers are forked from read for the plugins that came before, in inherited memory."""

    def places(number: int, count: int) -> tuple[str, ...]:
        found = [Path(arena.host.workspace) / f"known-only-to-{number}-{n}.example.org" for n in range(count)]
        for place in found:
            place.mkdir()
        return tuple(f"file_read:{place}" for place in found)

    for number in range(2):
        arena.plugin(f"earlier{number}", "def act(arguments): return 'x'", permissions=places(number, 20))
        arena.call(f"earlier{number}")
    body = """
def act(arguments):
    import gc
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_long
    reading, writing = os.pipe()
    top = libc.sbrk(0)
    parts = {(top - (64 << 20), top)} | {(n, n + (1 << 20)) for n in {id(o) >> 20 << 20 for o in gc.get_objects()}}
    found = set()
    for begin, end in parts:
        for page in range(begin & ~4095, end, 4096):
            size = libc.syscall(ctypes.c_long(1), ctypes.c_long(writing), ctypes.c_long(page), ctypes.c_long(4096))
            data = os.read(reading, 4096) if size > 0 else b''
            for part in data.split(b'known-' + b'only-to-')[1:]:
                if b'example.org' in part[:40]: found.add(part[:1].decode('latin-1'))
    return ''.join(sorted(found))
"""
    arena.plugin("later", body, permissions=places(9, 1))
    found = arena.call("later")
    for name in ("earlier0", "earlier1", "later"):
        arena.end(name)
    tried("9" in found, f"it finds not even its own policy: {found!r}")
    return through(found != "9", f"it found the policies of {found}")


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
