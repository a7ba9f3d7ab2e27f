"""Whole families of system calls, tried one by one. Plugin's side."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import Any

from proxima.sandbox.linux.syscalls import call

# What a worker may call, on x86_64, written down apart from the filter: from the design, with what it gained since.
_MAY_CALL = """
    read write close fstat stat lstat newfstatat statx lseek mmap mprotect munmap mremap brk madvise msync mincore
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2
    open openat access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd chdir fchdir mkdir mkdirat
    rmdir unlink unlinkat rename renameat renameat2 ftruncate fallocate fsync fdatasync flock fcntl statfs fstatfs
    umask sendfile copy_file_range dup dup2 dup3 pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1
    epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
    close_range futex set_robust_list get_robust_list set_tid_address rseq membarrier sched_yield getcpu get_mempolicy
    sched_get_priority_min sched_get_priority_max clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday
    time times getrusage getrlimit sysinfo uname getrandom getpid gettid getppid getpgrp getuid geteuid getgid getegid
    getresuid getresgid getgroups arch_prctl alarm setitimer getitimer pause restart_syscall exit exit_group wait4
    mlock munlock recvfrom recvmsg shutdown getsockname getpeername getsockopt setsockopt
    clone kill tgkill prlimit64 sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler socketpair ioctl
    prctl sendto sendmsg
    fadvise64 rt_sigpending rt_sigsuspend rt_sigtimedwait
"""
MAY_CALL = frozenset(_MAY_CALL.split())
_HARMLESS = ("ptrace", "mount", "bpf", "openat2", "move_mount", "process_vm_readv", "mq_open", "add_key", "capset")
_LAST_NUMBER = 600
_NEVER_FILTERED = (335, 336)  # uretprobe and uprobe: Linux shows them to no filter, and kills whoever makes them


def every_other_system_call(host: Any) -> list[str]:
    """Make each call that is not on the list, with arguments that mean nothing; whatever the kernel itself answers to
    is one that came through the filter."""
    from proxima.sandbox.linux.syscalls import numbers

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    table = numbers("x86_64")
    names = {number: name for name, number in table.items()}
    wanted = (
        [n for n in range(_LAST_NUMBER) if names.get(n) not in MAY_CALL and n not in _NEVER_FILTERED]
        if host.locked
        else map(table.get, _HARMLESS)
    )
    through = []
    for number in wanted:
        ctypes.set_errno(0)
        answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
        if answer != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
            through.append(f"{names.get(number, number)}: {answer} {errno.errorcode.get(ctypes.get_errno())}")
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through


def every_prctl(host: Any) -> list[int]:
    through = []
    for option in (*range(1, 15), *range(17, 80), 0x59616D61, 0x53564D41):
        if option in (22, 35, 38, 1, 12) and not host.locked:
            continue  # they would change the process that the control is
        try:
            call("prctl", option, 0, 0, 0, 0)
        except OSError as error:
            if error.errno == errno.EPERM:
                continue
        through.append(option)
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through


def every_fcntl(host: Any) -> list[int]:
    allowed = {0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1033, 1034}
    reading, _writing = os.pipe()
    through = []
    for command in {*range(60), *range(1024, 1048)} - allowed:
        try:
            call("fcntl", reading, command, 0)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EINVAL) and (error.errno == errno.EPERM or not host.locked):
                continue
        through.append(command)
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through


def every_ioctl(host: Any) -> list[str]:
    """Requests that act on more than a descriptor's own bytes, on every descriptor there is."""
    requests = (
        0x5412, 0x541C, 0x540E, 0x5422, 0x5452, 0x8901, 0x8902, 0x8905, 0x5411, 0x8912, 0x8915, 0x8927, 0x80086601,
        0x40086602, 0x40049409, 0xC0189436, 1, 2, 0xC0045877, 0xC0045878, 0xC0185879, 0x80045200, 0x40045201,
        0x40085203, 0xB701, 0xB702, 0xC020660B, 0x801C581F, 0x401C5820, 0xAE00, 0xC00CAA00, 0x4B33,
    )  # fmt: skip
    through = []
    descriptors = [os.open("/dev/urandom", os.O_RDONLY), os.open(f"{host.scratch}/f", os.O_CREAT | os.O_RDWR)]
    left, _right = socket.socketpair()
    for descriptor in (*descriptors, left.fileno(), *os.pipe()):
        for request in requests:
            if request in (0x40045201, 0x40085203, 0x40086602, 0xC0045877, 0xC0045878, 0xC0185879) and not host.locked:
                continue
            try:
                call("ioctl", descriptor, request, ctypes.create_string_buffer(256))
            except OSError as error:
                if error.errno == errno.EPERM or not host.locked:
                    continue
            through.append(f"{descriptor}: {request:#x}")
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through


def every_socket_option(host: Any) -> list[tuple[int, int]]:
    """Options beyond the few that sockets need; some name processes, some run programs in the kernel."""
    allowed = {(1, each) for each in (2, 7, 8, 9, 13, 20, 21, 3, 4, 30, 38, 39)} | {
        (6, n) for n in (1, 4, 5, 6, 12, 18)
    }
    left, _right = socket.socketpair()
    through = []
    for level in (0, 1, 6, 17, 41, 263, 270, 279, 280, 282, 284):
        for option in range(1, 90):
            if (level, option) in allowed:
                continue
            try:
                left.getsockopt(level, option, 64)
            except OSError as error:
                if error.errno == errno.EPERM or not host.locked:
                    continue
            through.append((level, option))
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through


def every_socket_family(host: Any) -> list[str]:
    """By the system call itself: what Python's own socket module says is not what holds a plugin."""
    through = []
    for family in range(1, 48):
        for kind in (1, 2, 3, 5):
            try:
                os.close(call("socket", family, kind, 0))
                through.append(f"{family}/{kind}")
            except OSError as error:
                if error.errno != errno.EPERM and host.locked:
                    through.append(f"{family}/{kind}")
    if not through:
        raise PermissionError(errno.EPERM, "every one was refused")
    return through
