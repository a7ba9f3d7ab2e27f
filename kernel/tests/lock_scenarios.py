"""What a lock's life looks like from outside: `lock_scenarios.py TIER UID`; prints the name of each scenario passed."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import locked_child
import pytest

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux.lock import fork, lock
from proxima.sandbox.linux.selftest import verify, verify_namespaces, verify_one_thread
from proxima.sandbox.policy import SandboxPolicy, Tier, runtime_paths


class Worker:
    """A locked child that answers once and then waits to be told to end."""

    def __init__(
        self,
        policy: SandboxPolicy,
        body: Callable[[], str],
        before: Callable[[], object],
        canary: str | None = None,
    ) -> None:
        reading, writing = os.pipe()
        waiting, self.go = os.pipe()
        parent = os.getpid()
        birth = fork() if policy.tier == "A" else None
        self.pid = os.fork() if birth is None else birth.pid
        if self.pid == 0:
            os.close(self.go)
            try:
                before()

                def seen() -> None:
                    os.write(writing, b"?")
                    os.read(waiting, 1)

                lock(policy, [writing, waiting, 2], parent_pid=parent, birth=birth, canary=canary, seen=seen)
                answer = body()
            except LockError as error:
                answer = f"LockError {error.step}: {error.reason}"
            except Exception as error:  # noqa: BLE001 - told to the parent, which fails
                answer = repr(error)
            os.write(writing, answer.encode())
            os.read(waiting, 1)
            os._exit(7)
        os.close(writing)
        os.close(waiting)
        if birth is not None:
            birth.close()
        self.answer = os.read(reading, 1 << 16).decode()
        if self.answer == "?":
            verify_one_thread(self.pid, policy)
            if policy.tier == "A":
                verify_namespaces(self.pid, policy)
            os.write(self.go, b"!")
            self.answer = os.read(reading, 1 << 16).decode()
        os.close(reading)

    def end(self) -> int:
        os.close(self.go)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False


def main() -> None:
    tier: Tier = sys.argv[1]  # type: ignore[assignment]
    uid = int(sys.argv[2])
    if uid:
        locked_child.open_up()
        locked_child.become(uid)
    base = tempfile.mkdtemp(dir="/tmp", prefix="proxima-lock-")
    try:
        play(tier, base)
    finally:
        shutil.rmtree(base)


def play(tier: Tier, base: str) -> None:
    scratch, canary = f"{base}/scratch", f"{base}/canary"
    os.mkdir(scratch)
    with open(canary, "w") as file:
        file.write("secret")
    policy = SandboxPolicy(plugin="scenarios", tier=tier, scratch=scratch, read=runtime_paths())
    me = os.getpid()

    def nothing() -> None: ...

    worker = Worker(policy, lambda: "locked", nothing, canary)
    assert worker.answer == "locked", worker.answer
    print("self-test")
    verify(worker.pid, policy)
    if tier == "A":
        with pytest.raises(LockError, match="verify: "):  # only until it was seen
            verify_namespaces(worker.pid, policy)
    assert worker.end() == 7
    print("verify")

    idle = os.fork()
    if idle == 0:
        time.sleep(30)
        os._exit(0)
    with pytest.raises(LockError, match="verify: "):
        verify(idle, policy)
    os.kill(idle, signal.SIGKILL)
    os.waitpid(idle, 0)
    with pytest.raises(LockError, match="verify: "):
        verify(me, policy)
    print("unlocked")

    def start_a_thread() -> None:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()

    worker = Worker(policy, lambda: "locked", start_a_thread)
    assert worker.answer.startswith("LockError single thread"), worker.answer
    worker.end()
    print("thread")

    directory = os.open("/", os.O_RDONLY)
    child = os.fork()
    if child == 0:
        try:
            lock(policy, [directory], parent_pid=me)  # refused before it asks for namespaces
        except LockError as error:
            os._exit(3 if error.step == "descriptors" else 4)
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    os.close(directory)
    print("directory")

    # Another plugin may have put a link, by renaming one, where the policy names a directory.
    os.mkdir(f"{base}/workspace")
    os.symlink(base, f"{base}/workspace/sub")
    swapped = replace(policy, read=(*policy.read, f"{base}/workspace/sub"))
    worker = Worker(swapped, lambda: os.listdir(f"{base}/workspace/sub").__repr__(), nothing)
    assert worker.answer.startswith("LockError") == (tier != "C"), worker.answer
    worker.end()
    os.unlink(f"{base}/workspace/sub")
    print("link")

    if tier == "A":
        os.makedirs(f"{base}/workspace/.venv/lib")
        open(f"{base}/workspace/.venv/lib/module.py", "w").close()
        covered = replace(policy, covered=(f"{base}/workspace/.venv",), write=(f"{base}/workspace",))

        def write_in_the_environment() -> str:
            met = []
            for attempt in (
                lambda: open(f"{base}/workspace/.venv/lib/evil.pth", "w").close(),
                lambda: os.rename(f"{base}/workspace/.venv", f"{base}/workspace/moved"),
                lambda: os.rmdir(f"{base}/workspace/.venv/lib"),
                lambda: open(f"{base}/workspace/fine", "w").close(),
                lambda: open(f"{base}/workspace/.venv/lib/module.py").close(),
            ):
                try:
                    attempt()
                    met.append("done")
                except OSError as error:
                    met.append(errno.errorcode[error.errno or 0])
            return " ".join(met)

        worker = Worker(covered, write_in_the_environment, nothing)
        assert worker.answer == "EROFS EBUSY EROFS done EACCES", worker.answer
        worker.end()
    print("covered")

    # The process that forked the worker is killed: nothing of the worker remains within a second.
    reading, writing = os.pipe()
    zygote = os.fork()
    if zygote == 0:
        worker = Worker(policy, lambda: "locked", nothing)
        assert worker.answer == "locked", worker.answer
        os.write(writing, str(worker.pid).encode())
        time.sleep(30)
        os._exit(0)
    os.close(writing)
    assert select.select([reading], [], [], 20)[0]
    pid = int(os.read(reading, 100))
    assert is_alive(pid)
    os.kill(zygote, signal.SIGKILL)
    os.waitpid(zygote, 0)
    deadline = time.monotonic() + 1
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} outlived the process that forked it"
        time.sleep(0.01)
    print("orphan")


if __name__ == "__main__":
    main()
