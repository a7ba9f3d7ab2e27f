"""What the other files of attempts do not try: memory and descriptors that no limit counts, and what leaks by the way.

Plugin's side; each returns what it got, or raises.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import mmap
import os
import resource
import socket
import struct
import threading
import time
from typing import Any

from proxima.sandbox.linux.syscalls import call

MIB = 1 << 20


def memory_that_outlives_its_mapping(host: Any) -> str:
    """Pages of shared memory stay while any page of it is mapped, and only what is mapped counts as address space."""
    kept = []
    for _ in range(8):
        memory = mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
        view = (ctypes.c_char * 1).from_buffer(memory)
        call("munmap", ctypes.addressof(view) + mmap.PAGESIZE, len(memory) - mmap.PAGESIZE)
        kept.append((view, memory))
    return f"{64 * len(kept)} MiB held in {len(kept)} pages of address space"


def memory_of_the_zero_device(host: Any) -> str:
    """The same by /dev/zero, whose shared mappings are shared memory too."""
    zero = os.open("/dev/zero", os.O_RDWR)
    mmap.mmap(zero, MIB, flags=mmap.MAP_SHARED)
    return "mapped"


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


def disk_at_once_beyond_the_largest_file(host: Any) -> int:
    """Blocks behind a file's end are no part of its size."""
    descriptor = os.open(f"{host.scratch}/large", os.O_CREAT | os.O_RDWR)
    try:
        call("fallocate", descriptor, 1, 0, 1536 * MIB)
        return os.fstat(descriptor).st_blocks * 512
    finally:
        os.unlink(f"{host.scratch}/large")
        os.close(descriptor)


def disk_at_once(host: Any) -> int:
    descriptor = os.open(f"{host.scratch}/large", os.O_CREAT | os.O_RDWR)
    try:
        call("fallocate", descriptor, 0, 0, 512 * MIB)
        return os.fstat(descriptor).st_blocks * 512
    finally:
        os.unlink(f"{host.scratch}/large")
        os.close(descriptor)


def urgent_byte(host: Any) -> int:
    """Out-of-band data between unix sockets: rarely used code of the kernel that a renderer has escaped through."""
    left, _right = socket.socketpair()
    return left.send(b"x", socket.MSG_OOB)


def huge_pages(host: Any) -> None:
    """They come from a pool of the whole host, and count as no locked memory."""
    try:
        mmap.mmap(-1, 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
    except OSError as error:
        if host.locked or error.errno != errno.ENOMEM:  # an empty pool is no refusal
            raise


def read(path: str) -> str:
    with open(path) as file:
        return file.read(200)


def read_the_list_of_mounts(host: Any) -> str:
    return read("/proc/self/mountinfo")


def read_own_control_group(host: Any) -> str:
    return read("/proc/self/cgroup")


def read_facts_of_a_descriptor(host: Any) -> str:
    return read("/proc/self/fdinfo/0")


def read_the_symbols_of_the_kernel(host: Any) -> str:
    return read("/proc/kallsyms")


def list_processes(host: Any) -> list[str]:
    return os.listdir("/proc")


def make_others_be_killed_first(host: Any) -> None:
    """When memory runs out, Linux ends the process with the highest score."""
    with open("/proc/self/oom_score_adj", "r+") as file:
        file.write(file.read())


def ask_whether_a_path_is_a_link(host: Any) -> str:
    """Two paths that are refused alike, but for what the refusal says of one that leads elsewhere."""
    if (kernel := _peer()) is None:
        return os.readlink(f"{host.home}/link")
    said = []
    for name in ("link", "none"):
        try:
            kernel.call_for_fds("files.open", (f"{host.home}/{name}", "r"), 1, returns=None)
        except PermissionError as error:
            said.append(str(error).replace(name, "") + str(getattr(error, "hint", "")))
    if said[0] != said[1]:
        return " | ".join(said)
    raise PermissionError(errno.EPERM, "the same is said of both")


# What is said to the kernel.


def _peer() -> Any:
    from proxima.sandbox.rpc import Peer

    return next((each for each in gc.get_objects() if isinstance(each, Peer)), None)


def _say(*message: object) -> None:
    import msgpack

    data = msgpack.packb(list(message))
    _peer()._channel._socket.sendall(struct.pack("<I", len(data)) + data)
    time.sleep(5)


def _request(method: str, arguments: list[object]) -> None:
    _say(1, 999, method, arguments, None)


def _answer(value: object) -> None:
    """Answers call 2, the first after `load`, which is the one that is being served."""
    _say(2, 2, {"$": "ToolResult", "text": "x", "data": value, "failed": False}, None, 0)


def wire_port_of_a_truth_value(host: Any) -> None:
    _request("network.connect", ["localhost", True, None])


def wire_seconds_that_are_no_number(host: Any) -> None:
    _request("network.connect", ["localhost", host.granted, float("nan")])


def wire_keys_that_collide(host: Any) -> None:
    """Tuples of -1 and -2, which have one hash: each must be compared with all that came before."""
    import itertools

    keys = itertools.islice(itertools.product((-1, -2), repeat=16), 3000)
    _answer({"$": "dict", "v": [[list(key), None] for key in keys]})


def wire_circuit_whose_offsets_wrap(host: Any) -> None:
    """Differences of int32 wrap: these rise by two thousand million twice, and 32 GiB are to be made for it."""
    _answer({"$": "Circuit", "v": _circuit([64] * 4, [0, 2**31 - 1, -(2**31), -1, 1], [0])})


def wire_circuit_with_a_header_without_end(host: Any) -> None:
    """A hundred mebibytes of empty lists are six gibibytes of objects; this is a fifth of it."""
    head = b'{"num_qubits":0,"metadata":[' + b"[]," * (20 * MIB // 3) + b"[]]}"
    _answer({"$": "Circuit", "v": b"PXCIRC\x00\x01" + struct.pack("<I", len(head)) + head})


def _circuit(ops: list[int], offsets: list[int], qubits: list[int]) -> bytes:
    rows = len(ops)
    columns = (
        *(bytes(ops), struct.pack(f"<{rows + 1}i", *offsets), struct.pack(f"<{len(qubits)}i", *qubits)),
        *(bytes(4 * rows + 4), b"", b"", *[b"\xff" * 4 * rows] * 3),
    )
    head = json.dumps({
        "num_qubits": 1, "num_clbits": 0, "lengths": [rows, rows + 1, len(qubits), rows + 1, 0, 0, rows, rows, rows],
        "qregs": [], "cregs": [], "parameters": [], "conditions": [], "payloads": [], "name": "", "metadata": {},
    }).encode()  # fmt: skip
    data = b"PXCIRC\x00\x01" + struct.pack("<I", len(head)) + head
    for column in columns:
        data += bytes(-len(data) % 8) + column
    return data
