"""System calls that name another process. Plugin's side."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import time
from typing import Any

from proxima.sandbox.linux.syscalls import call


def group_of_a_process(host: Any) -> int:
    return os.getpgid(host.victim)


def session_of_a_process(host: Any) -> int:
    return os.getsid(host.victim)


def priority_of_a_process(host: Any) -> int:
    return os.getpriority(os.PRIO_PROCESS, host.victim)


def disk_priority_of_a_process(host: Any) -> int:
    return call("ioprio_set", 1, host.victim, 0)


def scheduler_of_a_process(host: Any) -> None:
    call("sched_setscheduler", host.victim, 3, struct.pack("i", 0))


def scheduling_of_a_process(host: Any) -> None:
    call("sched_getattr", host.victim, ctypes.create_string_buffer(56), 56, 0)


def time_slice_of_a_process(host: Any) -> None:
    call("sched_rr_get_interval", host.victim, ctypes.create_string_buffer(16))


def pages_of_a_process(host: Any) -> None:
    call("move_pages", host.victim, 0, None, None, None, 0)


def write_memory_of_a_process(host: Any) -> None:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    mine = ctypes.create_string_buffer(b"secret in memory")
    local, remote = Vector(ctypes.addressof(mine), 16), Vector(host.secret_address, 16)
    call("process_vm_writev", host.parent, local, 1, remote, 1, 0)


def descriptor_of_a_process(host: Any) -> None:
    os.close(call("pidfd_open", host.victim, 0))


def signal_a_task(host: Any) -> None:
    call("tkill", host.victim, signal.SIGCONT)


def signal_everybody(host: Any) -> None:
    os.kill(-1, 0)


def signal_own_group(host: Any) -> None:
    os.kill(0, 0)


def signal_another_worker(host: Any) -> None:
    os.kill(host.other_pid, 0)


def lock_list_of_a_process(host: Any) -> None:
    call("get_robust_list", host.victim, ctypes.create_string_buffer(8), ctypes.create_string_buffer(8))


def be_traced(host: Any) -> None:
    call("ptrace", 0, 0, 0, 0)


def processor_time_of_a_process(host: Any) -> float:
    return time.clock_gettime((~host.victim << 3) | 2)


def sleep_on_a_process_clock(host: Any) -> None:
    """Learn that a process is there: a clock of one that is not cannot be waited for."""
    call("clock_getres", (~host.victim << 3) | 2, ctypes.create_string_buffer(16))


def existence_of_a_process_by_futex(host: Any) -> None:
    """A lock that claims to be held by another process; the kernel looks whether that one exists."""
    word = ctypes.c_uint32(host.victim)
    try:
        call("futex", word, 8 | 128, 0, None, None, 0)  # FUTEX_TRYLOCK_PI
    except OSError as error:
        if error.errno == errno.ESRCH:
            raise


def wait_for_all_children(host: Any) -> None:
    try:
        call("waitid", 0, 0, None, 5, None)
    except ChildProcessError:
        return  # past the filter


def timer_that_signals(host: Any) -> None:
    call("timer_create", 1, None, ctypes.create_string_buffer(8))
