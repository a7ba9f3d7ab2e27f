"""System calls that take a process, a descriptor or nothing: one by one, and whole families. Plugin's side."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import signal
import socket
import struct
import time
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


def connect_by_the_call_itself(host: Any) -> None:
    descriptor = call("socket", 2, 1, 0)
    call("connect", descriptor, struct.pack("<HH4s8x", 2, socket.htons(host.tcp), bytes([127, 0, 0, 1])), 16)


def name_the_peer_of_the_channel(host: Any) -> int:
    left, _right = socket.socketpair()
    return int(struct.unpack("iii", left.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def pass_credentials(host: Any) -> None:
    left, _right = socket.socketpair()
    left.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def datagram_pair(host: Any) -> None:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        left, right = socket.socketpair(socket.AF_UNIX, kind)
        left.close()
        right.close()


def send_to_a_name_from_a_stream(host: Any) -> int:
    left, _right = socket.socketpair()
    try:
        return left.sendto(b"x", host.unix)
    except OSError as error:
        if error.errno in (errno.EISCONN, errno.EOPNOTSUPP):  # past the filter, if to no end
            return -1
        raise


def listen_on_a_pair(host: Any) -> None:
    left, _right = socket.socketpair()
    try:
        name = f"{host.workspace}/s".encode()
        call("bind", left.fileno(), b"\1\0" + name + b"\0", 3 + len(name))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def many_messages_at_once(host: Any) -> int:
    left, _right = socket.socketpair()
    return call("sendmmsg", left.fileno(), ctypes.create_string_buffer(64), 0, 0)


def notification_pipe(host: Any) -> None:
    ends = (ctypes.c_int * 2)()
    try:
        call("pipe2", ends, 0o200)
    except OSError as error:
        if error.errno in (errno.ENOPKG, errno.EINVAL):
            return  # past the filter; this kernel has none
        raise


def large_pipe(host: Any) -> None:
    reading, _writing = os.pipe()
    call("fcntl", reading, 1031, 1 << 20)


def lock_a_mebibyte_of_memory(host: Any) -> None:
    memory = ctypes.create_string_buffer(1 << 20)
    call("mlock", ctypes.addressof(memory), 1 << 20)


def memory_file(host: Any) -> None:
    os.close(os.memfd_create("x"))


def secret_memory(host: Any) -> None:
    try:
        os.close(call("memfd_secret", 0))
    except OSError as error:
        if host.locked or error.errno != errno.ENOSYS:
            raise


def zero_copy_into_a_pipe(host: Any) -> None:
    _reading, writing = os.pipe()
    data = ctypes.create_string_buffer(b"x", 8)
    call("vmsplice", writing, struct.pack("QQ", ctypes.addressof(data), 8), 1, 0)


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


def timer_that_signals(host: Any) -> None:
    call("timer_create", 1, None, ctypes.create_string_buffer(8))


def raise_the_limit_of_core_files(host: Any) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and host.locked:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    else:
        resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))


def call_by_the_x32_door(host: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(0x40000000 + 39)))


def secret_in_own_memory(host: Any) -> str:
    """Search what was on the stack when this interpreter started, and the heap, for the kernel's environment."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = bytes(reversed(b"TERCES_TSET_AMIXORP"))  # what is looked for is not itself in memory, but for the "="
    reading, writing = os.pipe()
    libc.sbrk.restype = libc.getauxval.restype = ctypes.c_long
    top, stack = libc.sbrk(0), libc.getauxval(31)  # AT_EXECFN lies above the environment
    for begin, end in ((stack - (256 << 10), stack + 8192), (top - (32 << 20), top)):
        for page in range(begin & ~4095, end, 4096):
            size = libc.syscall(ctypes.c_long(1), ctypes.c_long(writing), ctypes.c_long(page), ctypes.c_long(4096))
            data = os.read(reading, 4096) if size > 0 else b""
            if any(part[:1] == b"=" for part in data.split(name)[1:]):
                return "found"
    raise KeyError("not found")


def hold_descriptors_in_flight(host: Any) -> int:
    """Send descriptors that nobody receives, to have more than the limit; how many hold."""
    import array

    pairs = [socket.socketpair() for _ in range(20)]
    spare = os.open("/dev/null", os.O_RDONLY)
    held = 0
    for left, _right in pairs:
        try:
            while True:
                message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [spare] * 250))]
                left.sendmsg([b"x"], message, socket.MSG_DONTWAIT)
                held += 250
                if held >= 5000:
                    break
        except OSError:
            continue
    if held > 600:
        return held
    raise OSError(errno.ETOOMANYREFS, f"{held} hold")


def wait_for_all_children(host: Any) -> None:
    try:
        call("waitid", 0, 0, None, 5, None)
    except ChildProcessError:
        return  # past the filter


def leave_the_poll(host: Any) -> None:
    """Signals on readiness, from any descriptor to any process."""
    import fcntl

    left, _right = socket.socketpair()
    fcntl.fcntl(left, 15, struct.pack("ii", 1, host.victim))
    select.select([], [], [], 0)
