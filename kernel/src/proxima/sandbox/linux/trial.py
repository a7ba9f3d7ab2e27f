"""One trial of the lock, for `probe`: prints as JSON what came of it. Run in an interpreter of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import landlock, seccomp
from proxima.sandbox.linux.lock import fork, lock
from proxima.sandbox.linux.namespaces import Birth
from proxima.sandbox.policy import SandboxPolicy, Tier


def main(arguments: Sequence[str]) -> None:
    """Lock a child at a tier, test it and print the outcome.

    Args:
        arguments: The tier, a directory to work in, and what every worker reads, as JSON.
    """
    tier: Tier = "A" if arguments[0] == "A" else "B"
    directory = os.path.realpath(arguments[1])
    facts = {"landlock_abi": landlock.abi(), "seccomp": seccomp.available()}
    reading, writing = os.pipe()
    me = os.getpid()
    try:
        birth = fork() if tier == "A" else None
    except LockError as error:
        json.dump({**facts, **_failed(error)}, sys.stdout)
        return
    child = os.fork() if birth is None else birth.pid
    if child == 0:
        try:
            answer = _outcome(tier, directory, json.loads(arguments[2]), writing, me, birth)
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    json.dump({**facts, **(json.loads(told) if told else {"error": "it was killed"})}, sys.stdout)


def _outcome(
    tier: Tier, directory: str, read: Sequence[str], writing: int, parent: int, birth: Birth | None
) -> dict[str, object]:
    scratch, canary = os.path.join(directory, "scratch"), os.path.join(directory, "canary")
    os.mkdir(scratch)
    os.chmod(directory, 0o711)  # a worker of root is another user
    with open(canary, "w", encoding="ascii") as file:
        file.write("canary")
    policy = SandboxPolicy(plugin="probe", tier=tier, scratch=scratch, read=tuple(read))
    try:
        lock(policy, [writing], parent_pid=parent, birth=birth, canary=canary)
    except LockError as error:
        return _failed(error)
    return {"locked": True, "namespaces": tier == "A"}


def _failed(error: LockError) -> dict[str, object]:
    return {"step": error.step, "error": error.reason, "hint": error.hint}
