"""What a process could make of itself: another user, another lock, more than its limits. Plugin's side."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from typing import Any

from proxima.sandbox.linux.syscalls import call


def be_somebody_else(host: Any) -> None:
    os.setresuid(12345, 12345, 12345)


def set_groups(host: Any) -> None:
    os.setgroups([0])


def take_a_capability(host: Any) -> None:
    call("capset", struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24))


def filter_that_tells(host: Any) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    if not host.locked:
        call("prctl", 38, 1, 0, 0, 0)
    os.close(call("seccomp", 1, 8, Program(1, struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))))


def a_lock_of_ones_own(host: Any) -> None:
    os.close(call("landlock_create_ruleset", struct.pack("QQQ", 1, 0, 0), 24, 0))


def load_into_the_kernel(host: Any) -> None:
    try:
        call("bpf", 5, ctypes.create_string_buffer(128), 128)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.E2BIG):
            raise


def count_events_of_the_host(host: Any) -> None:
    attributes = struct.pack("IIQ", 1, 120, 0) + bytes(104)
    os.close(call("perf_event_open", attributes, -1, 0, -1, 0))


def read_segments(host: Any) -> None:
    call("modify_ldt", 0, ctypes.create_string_buffer(64), 64)


def turn_off_randomisation(host: Any) -> None:
    call("personality", 0x0040000)


def lock_a_mebibyte_of_memory(host: Any) -> None:
    memory = ctypes.create_string_buffer(1 << 20)
    call("mlock", ctypes.addressof(memory), 1 << 20)


def raise_the_limit_of_core_files(host: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))


def call_by_the_x32_door(host: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(0x40000000 + 39)))


def secret_in_own_memory(host: Any) -> str:
    """Search what was on the stack when this interpreter started, and the heap, for the kernel's environment."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = bytes(reversed(b"TERCES_TSET_AMIXORP"))  # what is looked for is not itself in memory, but for the "="
    reading, writing = os.pipe()
    libc.sbrk.restype = libc.getauxval.restype = ctypes.c_long
    read = 0
    top, stack = libc.sbrk(0), libc.getauxval(31)  # AT_EXECFN lies above the environment
    for begin, end in ((stack - (256 << 10), stack + 8192), (top - (32 << 20), top)):
        for page in range(begin & ~4095, end, 4096):
            size = libc.syscall(ctypes.c_long(1), ctypes.c_long(writing), ctypes.c_long(page), ctypes.c_long(4096))
            data = os.read(reading, 4096) if size > 0 else b""
            read += len(data)
            if any(part[:1] == b"=" for part in data.split(name)[1:]):
                return "found"
    if read < 1 << 20:
        raise RuntimeError(f"this tried nothing: {read} bytes of memory were read")
    raise KeyError("not found in all of it")
