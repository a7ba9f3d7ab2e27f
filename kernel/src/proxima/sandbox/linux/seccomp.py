"""The system calls a locked process may make. Whatever takes a path, process or descriptor and is not needed is out.

A refused call fails with EPERM; `clone3`, `io_uring` and calls newer than the table with ENOSYS, so that libc falls
back to what is allowed; a call of another architecture kills. The list ran numpy, scipy, qsim and Qiskit Aer.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from proxima.sandbox.linux.bpf import ALLOW, Check, assemble, error
from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.syscalls import AUDIT_ARCH, COMMON_LAST, call, numbers

_PLAIN = """
read write close lseek readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 dup dup2 dup3 pipe
fstat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat statfs fstatfs getcwd chdir fchdir
getdents getdents64 mkdir mkdirat rmdir umask
ftruncate fadvise64 fsync fdatasync flock sendfile copy_file_range
munmap mremap brk mprotect madvise msync mincore mlock munlock
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause restart_syscall
poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
futex set_robust_list set_tid_address rseq membarrier sched_yield getcpu get_mempolicy
sched_get_priority_min sched_get_priority_max
nanosleep gettimeofday time times getrusage getrlimit sysinfo uname getrandom
getpid gettid getppid getpgrp getuid geteuid getgid getegid getresuid getresgid getgroups
arch_prctl alarm setitimer getitimer exit exit_group wait4
recvfrom recvmsg shutdown getsockname getpeername
"""
# What subprocess adds. The children are under the same filter, in a process namespace of their own (tier A).
_PROCESSES = "execve fork vfork wait4 waitid kill tgkill tkill setpgid getpgid setsid getsid"
_REMOVING = "unlink unlinkat rename renameat renameat2"
_ABSENT = "clone3 io_uring_setup io_uring_enter io_uring_register"

_CLONE_THREAD = 0x00010400  # with CLONE_FILES: each table of descriptors has a limit of its own
_CLOSE_RANGE_UNSHARE = 2
_CLONE_NEW = 0x7E020080  # namespaces
_MSG_OOB, _MSG_FASTOPEN = 1, 0x20000000
_O_ACCMODE, _O_CREAT, _O_TRUNC, _O_PATH, _O_TMPFILE = 0o3, 0o100, 0o1000, 0o10000000, 0o20000000
_AT_REMOVEDIR = 0x200
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_S_ISUID, _S_ISGID = 0o4000, 0o2000
_MAP_TYPE, _MAP_PRIVATE, _MAP_ANONYMOUS, _MAP_HUGETLB = 0xF, 2, 0x20, 0x40000

_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1033, 1034)  # no F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5460)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_PRCTL = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_SOL_SOCKET, _IPPROTO_TCP = 1, 6
_SOCKET_SET = (2, 7, 8, 9, 13, 20, 21)  # REUSEADDR SNDBUF RCVBUF KEEPALIVE LINGER RCVTIMEO SNDTIMEO
_SOCKET_GET = (*_SOCKET_SET, 3, 4, 30, 38, 39)  # TYPE ERROR ACCEPTCONN PROTOCOL DOMAIN; not PEERPIDFD
_PID = 0x7EDCBA98  # larger than any process id, and nothing else in the program
_TCP_OPTIONS = (1, 4, 5, 6, 12, 18)  # NODELAY KEEPIDLE KEEPINTVL KEEPCNT QUICKACK USER_TIMEOUT


def program(
    machine: str, pid: int, *, subprocess: bool = False, any_ioctl: bool = False, keep_files: bool = False
) -> bytes:
    """The filter as classic BPF.

    Args:
        machine: `x86_64` or `aarch64`.
        pid: The process it is for, as that process sees itself: the only one it may name in a call.
        subprocess: Allow starting programs.
        any_ioctl: Allow every ioctl, which graphics drivers need.
        keep_files: Refuse to remove files, and to rename one over another: a file that is open and in no directory
            would be space that nobody sees. It can be moved; see `proxima.sandbox.worker_removal`.

    Raises:
        OSError: there is no table for the machine.
    """
    found = _template(machine, subprocess, any_ioctl, keep_files)
    return found.replace(_PID.to_bytes(4, "little"), pid.to_bytes(4, "little"))


@functools.cache
def _template(machine: str, subprocess: bool, any_ioctl: bool, keep_files: bool) -> bytes:
    """The program with `_PID` for the process, so that a fork need only fill in its own."""
    table = numbers(machine)
    plain = _PLAIN.split() + (_PROCESSES.split() if subprocess else []) + (["ioctl"] if any_ioctl else [])
    plain += [] if keep_files else _REMOVING.split()[:-1]
    moving = (_RENAME_NOREPLACE, _RENAME_EXCHANGE)  # not RENAME_WHITEOUT, which makes a device node
    own_clock = Check(0, (0,), 0x80000000)  # the clocks of other processes have the sign bit
    verdicts = {table[name]: ALLOW for name in plain if name in table}
    verdicts.update((table[name], error(errno.ENOSYS)) for name in _ABSENT.split())
    verdicts[table["fallocate"]] = error(errno.EOPNOTSUPP)  # it takes a disk at once, beyond RLIMIT_FSIZE too
    own, self_ = Check(0, (_PID,)), Check(0, (0, _PID))
    threads = Check(0, (0 if subprocess else _CLONE_THREAD,), (0 if subprocess else _CLONE_THREAD) | _CLONE_NEW)
    checks = {
        "clone": [[threads]],
        "close_range": [[Check(2, (0,), _CLOSE_RANGE_UNSHARE)]],
        "kill": [[own]],
        "tgkill": [[own]],
        "prlimit64": [[self_]],
        **{f"sched_{name}": [[self_]] for name in ("getaffinity", "setaffinity", "getparam", "getscheduler")},
        "get_robust_list": [[Check(0, (0,))]],
        **{f"clock_{name}": [[own_clock]] for name in ("gettime", "getres", "nanosleep")},
        "open": _opening(1, keep_files),
        "openat": _opening(2, keep_files),
        # Shared memory stays while one page of it is mapped, and RLIMIT_AS counts what is mapped.
        "mmap": [
            [Check(3, (0,), _MAP_HUGETLB | _MAP_ANONYMOUS)],
            [Check(3, (_MAP_PRIVATE,), _MAP_HUGETLB | _MAP_TYPE)],
        ],
        "pipe2": [[Check(1, (0,), 0o200)]],  # not O_NOTIFICATION_PIPE
        "renameat2": [[Check(4, moving if keep_files else (0, *moving))]],
        "unlinkat": [[Check(2, (_AT_REMOVEDIR,))]],
        "fcntl": [[Check(1, _FCNTL)]],
        "ioctl": [[Check(1, _IOCTL)]],
        "prctl": [[Check(0, _PRCTL)]],
        # A unix datagram socket could be sent to any name; a stream can only be written to its other end.
        "socketpair": [[Check(0, (1,)), Check(1, (1,), 0xF)]],
        "sendto": [[Check(3, (0,), _MSG_OOB | _MSG_FASTOPEN), Check(4, (0,)), Check(4, (0,), high=True)]],
        "sendmsg": [[Check(2, (0,), _MSG_OOB | _MSG_FASTOPEN)]],
        "setsockopt": [
            [Check(1, (_SOL_SOCKET,)), Check(2, _SOCKET_SET)],
            [Check(1, (_IPPROTO_TCP,)), Check(2, _TCP_OPTIONS)],
        ],
        "getsockopt": [
            [Check(1, (_SOL_SOCKET,)), Check(2, _SOCKET_GET)],
            [Check(1, (_IPPROTO_TCP,)), Check(2, _TCP_OPTIONS)],
        ],
    }
    return assemble(
        AUDIT_ARCH[machine],
        verdicts,
        {table[name]: each for name, each in checks.items() if name in table and table[name] not in verdicts},
        otherwise=error(errno.EPERM),
        beyond=(COMMON_LAST + 1, error(errno.ENOSYS)),
    )


def _opening(flags: int, keep_files: bool) -> list[list[Check]]:
    """How files may be opened, given which argument has the flags; the mode follows it."""
    # Truncating what is opened for reading passes Landlock before ABI 3. O_PATH keeps a file without opening it.
    watched = _O_ACCMODE | _O_TRUNC | (_O_PATH if keep_files else 0)
    allowed = Check(flags, (0, 1, 2, _O_TRUNC | 1, _O_TRUNC | 2), watched)
    return [
        [allowed, Check(flags, (0,), _O_CREAT | _O_TMPFILE)],
        [allowed, Check(flags + 1, (0,), _S_ISUID | _S_ISGID)],  # a file made so would run as who runs the kernel
    ]


def install(script: Script, instructions: bytes) -> None:
    """Put a filter on the process, for good; no_new_privs must be set."""
    set_mode_filter, every_thread = 1, 1
    filters = struct.pack("<H6xQ", len(instructions) // 8, 0)
    program = script.data(filters, {8: script.data(instructions)})
    script.call("seccomp", set_mode_filter, every_thread, program, wanted=(0,))


@functools.cache
def available() -> bool:
    """Whether the kernel has seccomp filters with the verdicts used here, and this architecture has a table."""
    get_action_avail = 2
    try:
        for verdict in (ALLOW, 0x80000000, 0x00050000):
            call("seccomp", get_action_avail, 0, ctypes.c_uint32(verdict))
        numbers(os.uname().machine)
    except OSError:
        return False
    return True
