"""What a worker may use up, and the rights and identity it gives up for good."""

from __future__ import annotations

import errno
import functools
import os
import resource
import select
import struct

from proxima.sandbox.linux.script import Script
from proxima.sandbox.policy import SandboxPolicy

UNPRIVILEGED = 65534  # the id "nobody" has everywhere; a worker of root becomes it

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 24, 28
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
# No rights from uid 0, none kept or regained by changing uid, no ambient ones, and all of that locked.
_SECUREBITS = 0xEF
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_SETS = 24  # bytes: effective, permitted and inheritable, in two halves
_SIGKILL = 9
_THREADS = 256  # room for thread pools as large as the machine


def die_with_parent(script: Script, parent: int, *, pidfd: int) -> None:
    """Have the kernel kill this process when its parent ends; the program fails if it has ended already.

    Args:
        script: Where it is written.
        parent: Its number, where this process is in the same namespace of numbers.
        pidfd: A process descriptor of it, where this one is not; else -1.
    """
    script.call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if pidfd < 0:
        script.call("getppid", wanted=(parent,), about="the parent process has ended")
    else:  # readable once it has ended
        poll, at_once = struct.pack("<ihh", pidfd, select.POLLIN, 0), bytes(16)
        script.call("ppoll", poll, 1, at_once, None, 0, wanted=(0,), about="the parent process has ended")


def set_limits(script: Script, policy: SandboxPolicy, tasks: int) -> None:
    """Set every resource limit, soft and hard.

    Args:
        script: Where it is written.
        policy: What it may use up.
        tasks: How many tasks its user id may already have elsewhere, because the kernel counts them together.
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
        script.call("prlimit64", 0, kind, struct.pack("<qq", value, value), None)


def tasks_on_host() -> int:
    """The number of threads on this machine, an upper bound of those that any one user has."""
    descriptor = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 256).split()[3].partition(b"/")[2])
    finally:
        os.close(descriptor)


def drop_capabilities(script: Script, *, all_held: bool) -> None:
    """Give up every capability in every set, and the ways to regain one.

    Args:
        script: Where it is written.
        all_held: Whether the process has them all. The bounding set can only be emptied by who has CAP_SETPCAP; for
            others no_new_privs makes it meaningless.
    """
    script.call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    may_fail = () if all_held else (-errno.EPERM,)
    for capability in range(_last_capability() + 1):
        script.call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0, wanted=(0, *may_fail))
    script.call("prctl", _PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0, wanted=(0, *may_fail))
    script.call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    script.call("capset", struct.pack("<Ii", _CAPABILITY_VERSION_3, 0), bytes(_CAPABILITY_SETS))


@functools.cache
def _last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return int(file.read())


def hide(script: Script) -> None:
    """Let no other process of this user inspect this one, and leave no core file."""
    script.call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def become(script: Script, uid: int, gid: int) -> None:
    """Change every user and group id, for good."""
    script.call("setresgid", gid, gid, gid)
    script.call("setresuid", uid, uid, uid)
    for name, wanted in (("getuid", uid), ("geteuid", uid), ("getgid", gid), ("getegid", gid)):
        script.call(name, wanted=(wanted,), about="the identity did not change")


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
