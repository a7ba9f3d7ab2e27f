"""What a worker may use up, and the rights and identity it gives up for good."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import resource
from typing import Any

from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import SandboxPolicy

UNPRIVILEGED = 65534  # the id "nobody" has everywhere; a worker of root becomes it

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 24, 28
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
# No rights from uid 0, none kept or regained by changing uid, no ambient ones, and all of that locked.
_SECUREBITS = 0xEF
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SETPCAP = 8
_SIGKILL = 9
_THREADS = 256  # room for thread pools as large as the machine


def die_with_parent(parent: int, status: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Args:
        parent: Its number in the namespace that `status` was opened in.
        status: A descriptor of /proc/self/stat, opened before its directory was given up.

    Raises:
        OSError: the parent has ended already.
    """
    call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if int(os.pread(status, 1024, 0).rpartition(b")")[2].split()[1]) != parent:
        raise OSError(errno.ESRCH, f"the parent process {parent} has ended")


def set_limits(policy: SandboxPolicy, tasks: int) -> None:
    """Set every resource limit, soft and hard.

    Args:
        policy: What it may use up.
        tasks: How many tasks its user id may already have elsewhere, because the kernel counts them together.

    Raises:
        OSError: the system refused one.
    """
    limits = policy.limits
    threads = _THREADS + 4 * (os.cpu_count() or 1) + policy.threads + limits.processes + tasks
    wanted = {
        resource.RLIMIT_AS: resource.RLIM_INFINITY if policy.gpu else limits.memory_bytes,  # drivers reserve the world
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 << 10,
        resource.RLIMIT_NPROC: threads,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,  # the user's other programs share the queue
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
            value = hard
        resource.setrlimit(kind, (value, value))


def tasks_on_host() -> int:
    """The number of threads on this machine, an upper bound of those that any one user has."""
    descriptor = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 256).split()[3].partition(b"/")[2])
    finally:
        os.close(descriptor)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = tuple((f"{name}{half}", ctypes.c_uint32) for half in (0, 1) for name in "epi")


def drop_capabilities() -> None:
    """Give up every capability in every set, and the ways to regain one.

    The bounding set can only be emptied by who has CAP_SETPCAP; for others no_new_privs makes it meaningless.

    Raises:
        OSError: the kernel refused.
    """
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    current = _Data()
    call("capget", _Header(_CAPABILITY_VERSION_3, 0), current)
    if current.e0 >> _CAP_SETPCAP & 1:
        prctl = prctl_of_libc()
        for capability in range(64):
            if prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                if (number := ctypes.get_errno()) != errno.EINVAL:
                    raise OSError(number, f"prctl: {os.strerror(number)}")
                break  # past the last one that this kernel knows
        call("prctl", _PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0)
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    call("capset", _Header(_CAPABILITY_VERSION_3, 0), _Data())


@functools.cache
def prctl_of_libc() -> Any:
    """Libc's `prctl`, for one call after another."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return prctl


def become(uid: int, gid: int) -> None:
    """Change every user and group id, for good.

    Raises:
        OSError: the system refused, or the old identity could be taken back.
    """
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise OSError(errno.EPERM, "the user id did not change")


def first_closed(path: str) -> str | None:
    """The first of the directories above a path, or the path itself, that not every user may pass through.

    One that is not there yet counts as closed, since Proxima makes directories for their owner alone.
    """
    parts = path.split("/")
    for above in ("/".join(parts[:count]) for count in range(2, len(parts) + 1)):
        try:
            if not os.stat(above).st_mode & 1:
                return above
        except OSError:
            return above
    return None


@functools.cache
def is_root() -> bool:
    """Whether this process is root with other users beside it; the only user of a container of one is not.

    The first answer stays, for the process and those it forks: asked before a worker gives up its identity.
    """
    return os.geteuid() == 0 and all(_maps_unprivileged(f"/proc/self/{name}") for name in ("uid_map", "gid_map"))


def _maps_unprivileged(path: str) -> bool:
    with open(path, encoding="ascii") as file:
        ranges = [[int(number) for number in line.split()] for line in file]
    return any(first <= UNPRIVILEGED < first + count for first, _outside, count in ranges)


def set_dumpable(value: bool) -> None:
    """Whether other processes of this user may inspect this one, and whether it may leave a core file.

    Raises:
        OSError: the kernel refused.
    """
    call("prctl", _PR_SET_DUMPABLE, int(value), 0, 0, 0)
