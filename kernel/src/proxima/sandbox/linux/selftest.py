"""What a worker tries right after the lock, and what the kernel sees of it from outside; both must agree."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import signal
import socket
from collections.abc import Callable

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import limits
from proxima.sandbox.linux.lock import LockReport
from proxima.sandbox.linux.namespaces import NAMESPACES
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import SandboxPolicy

_HIDDEN = (errno.EACCES, errno.EPERM, errno.ENOENT)
_FILTERED = (errno.EPERM,)
_AT_FDCWD = -100


def selftest(policy: SandboxPolicy, report: LockReport, canary: str, parent_pid: int) -> dict[str, str]:
    """Try to break out in a dozen plain ways, from inside the lock.

    Args:
        policy: The policy that the lock was given.
        report: What it answered.
        canary: A file outside the policy that this process could read before the lock.
        parent_pid: A process outside, by its number there.

    Returns:
        Each attempt to the name of the error it met.

    Raises:
        LockError: an attempt succeeded, or failed for another reason than the lock.
    """
    if report.tier == "C":
        return {}
    path = canary.encode()
    remote = ctypes.create_string_buffer(64)
    attempts: dict[str, tuple[Callable[[], object], tuple[int, ...]]] = {
        "read a hidden file": (lambda: os.close(os.open(canary, os.O_RDONLY)), _HIDDEN),
        "write a hidden file": (lambda: os.close(os.open(canary, os.O_WRONLY)), _HIDDEN),
        "chmod a hidden file": (lambda: call("fchmodat", _AT_FDCWD, path, 0o600), _FILTERED),
        "list the root": (lambda: os.listdir("/"), _HIDDEN),
        "network socket": (lambda: call("socket", socket.AF_INET, socket.SOCK_STREAM, 0), _FILTERED),
        "unix socket": (lambda: call("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), _FILTERED),
        "netlink socket": (lambda: call("socket", 16, socket.SOCK_RAW, 0), _FILTERED),
        "connect": (lambda: call("connect", -1, None, 0), _FILTERED),
        "io_uring": (lambda: call("io_uring_setup", 1, None), (errno.ENOSYS,)),
        "user namespace": (lambda: call("unshare", 0x10000000), _FILTERED),
        "ptrace": (lambda: call("ptrace", 16, parent_pid, 0, 0), _FILTERED),
        "memory of another process": (lambda: call("process_vm_readv", parent_pid, remote, 1, remote, 1, 0), _FILTERED),
        "signal another process": (lambda: os.kill(parent_pid, 0), (errno.EPERM, errno.ESRCH)),
        "limits of another process": (lambda: call("prlimit64", parent_pid, 7, None, None), _FILTERED),
        "mount": (lambda: call("mount", None, None, None, 0, None), _FILTERED),
    }
    if report.tier == "A":
        attempts["stat a hidden file"] = (lambda: os.stat(canary), (errno.ENOENT,))
    if not policy.subprocess:
        attempts["fork"] = (_fork, _FILTERED)
        attempts["exec"] = (lambda: call("execve", None, None, None), _FILTERED)
    return {name: _fails(name, attempt, expected, policy) for name, (attempt, expected) in attempts.items()}


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


def _fails(name: str, attempt: Callable[[], object], expected: tuple[int, ...], policy: SandboxPolicy) -> str:
    try:
        attempt()
    except OSError as error:
        if error.errno in expected:
            return errno.errorcode[error.errno]
        raise LockError("self-test", f"{name}: failed for another reason: {error}", plugin=policy.plugin) from error
    raise LockError("self-test", f"{name}: it was possible", plugin=policy.plugin)


def _fork() -> None:
    child = call("clone", signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
