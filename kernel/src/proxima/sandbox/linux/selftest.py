"""What a worker tries right after the lock, and what the kernel sees of it from outside; both must agree."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import struct
from collections.abc import Sequence
from typing import Any

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import limits
from proxima.sandbox.linux.namespaces import NAMESPACES
from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.syscalls import AT_FDCWD
from proxima.sandbox.policy import SandboxPolicy

_HIDDEN = (errno.EACCES, errno.EPERM, errno.ENOENT)
_FILTERED = (errno.EPERM,)


def write_selftest(script: Script, policy: SandboxPolicy, canary: str, parent_pid: int) -> None:
    """Have the process try to break out in a dozen plain ways, from inside the lock.

    Args:
        script: Where it is written.
        policy: The policy that the lock was given.
        canary: A file outside the policy that the process could read before the lock.
        parent_pid: A process outside, by its number there.
    """
    if policy.tier == "C":
        return
    path = canary.encode()
    remote = struct.pack("<QQ", 0, 8)
    attempts: list[tuple[str, Sequence[int], tuple[Any, ...]]] = [
        ("read a hidden file", _HIDDEN, ("openat", AT_FDCWD, path, os.O_RDONLY | os.O_CLOEXEC)),
        ("write a hidden file", _HIDDEN, ("openat", AT_FDCWD, path, os.O_WRONLY | os.O_CLOEXEC)),
        ("chmod a hidden file", _FILTERED, ("fchmodat", AT_FDCWD, path, 0o600)),
        ("list the root", _HIDDEN, ("openat", AT_FDCWD, b"/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)),
        ("network socket", _FILTERED, ("socket", socket.AF_INET, socket.SOCK_STREAM, 0)),
        ("unix socket", _FILTERED, ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)),
        ("netlink socket", _FILTERED, ("socket", socket.AF_NETLINK, socket.SOCK_RAW, 0)),
        ("connect", _FILTERED, ("connect", -1, None, 0)),
        ("io_uring", (errno.ENOSYS,), ("io_uring_setup", 1, None)),
        ("user namespace", _FILTERED, ("unshare", 0x10000000)),
        ("ptrace", _FILTERED, ("ptrace", 16, parent_pid, 0, 0)),
        ("memory of another process", _FILTERED, ("process_vm_readv", parent_pid, remote, 1, remote, 1, 0)),
        ("signal another process", (errno.EPERM, errno.ESRCH), ("kill", parent_pid, 0)),
        ("limits of another process", _FILTERED, ("prlimit64", parent_pid, 7, None, None)),
        ("mount", _FILTERED, ("mount", None, None, None, 0, None)),
    ]
    if policy.tier == "A":
        attempts.append(("stat a hidden file", (errno.ENOENT,), ("newfstatat", AT_FDCWD, path, bytes(256), 0)))
    if not policy.subprocess:
        attempts.append(("fork", _FILTERED, ("clone", signal.SIGCHLD, 0, 0, 0, 0)))
        attempts.append(("exec", _FILTERED, ("execve", None, None, None)))
    with script.step("self-test"):
        for what, refusals, (name, *arguments) in attempts:
            script.call(name, *arguments, wanted=[-each for each in refusals], about=f"to {what} was not refused")


def verify_one_thread(pid: int, policy: SandboxPolicy) -> None:
    """Check from outside that a worker has one thread, as Landlock would bind no other.

    Args:
        pid: The worker, which waits between the two halves of its lock.
        policy: The policy it was given.

    Raises:
        LockError: it has more, or it cannot be told.
    """
    try:
        _expect(policy, "Threads", _status(pid)["Threads"], "1")
    except (OSError, KeyError) as error:
        raise _unverified(policy, str(error)) from error


def verify_namespaces(pid: int, policy: SandboxPolicy) -> None:
    """Check from outside that a worker shares no namespace with this process, while it lets itself be looked at.

    Once they are verified they stay: a worker without capabilities can enter no others.

    Args:
        pid: The worker, which waits in `lock` until it has been seen.
        policy: The policy it was given.

    Raises:
        LockError: it shares one, or it cannot be told.
    """
    try:
        for name in NAMESPACES:
            if _namespace(pid, name) == _own_namespace(name):
                raise _unverified(policy, f"it shares the {name} namespace with the kernel")
    except OSError as error:
        raise _unverified(policy, str(error)) from error


def verify(pid: int, policy: SandboxPolicy) -> None:
    """Check from outside that a worker is locked, without asking it.

    Landlock cannot be seen from outside, which is why `selftest` is needed too; namespaces only earlier, with
    `verify_namespaces`.

    Args:
        pid: The worker.
        policy: The policy it was given.

    Raises:
        LockError: something is not as the policy's tier promises, or the process is gone.
    """
    try:
        status = _status(pid)
        _check_status(status, policy)
        if policy.tier == "A":
            _expect(policy, "CapBnd", int(status["CapBnd"], 16), 0)
            _expect(policy, "number in its namespace", status["NSpid"].split()[1:], ["1"])
    except (OSError, KeyError, ValueError) as error:
        raise _unverified(policy, str(error)) from error


@functools.cache
def _own_namespace(name: str) -> tuple[int, int]:
    return _namespace(os.getpid(), name)


def _namespace(pid: int, name: str) -> tuple[int, int]:
    found = os.stat(f"/proc/{pid}/ns/{name}")
    return found.st_dev, found.st_ino


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _check_status(status: dict[str, str], policy: SandboxPolicy) -> None:
    _expect(policy, "NoNewPrivs", status["NoNewPrivs"], "1")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        _expect(policy, name, int(status[name], 16), 0)
    if policy.tier != "C":
        _expect(policy, "Seccomp", status["Seccomp"], "2")
    if policy.tier != "C" and limits.is_root() and "0" in status["Uid"].split() + status["Gid"].split():
        raise _unverified(policy, f"it is still root: Uid {status['Uid']}, Gid {status['Gid']}")


def _expect(policy: SandboxPolicy, name: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise _unverified(policy, f"{name} is {found}, not {wanted}")


def _unverified(policy: SandboxPolicy, reason: str) -> LockError:
    return LockError("verify", reason, plugin=policy.plugin)
