"""`Zygote`: the kernel's side of the process that workers are forked from."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxima.errors import DeadlineExceededError
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import LockError, ProtocolError, SandboxError
from proxima.sandbox.exits import Exit
from proxima.sandbox.imports import host_homes
from proxima.sandbox.linux.view import beyond_base
from proxima.sandbox.policy import SandboxPolicy

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0

# Isolated, without site-packages and their .pth files, writing no bytecode.
_COMMAND = (sys.executable, "-I", "-S", "-B", "-X", "utf8")


@dataclass(slots=True)
class Process:
    """A process that the zygote forked, alive or not yet reaped; so its pid is nobody else's.

    Attributes:
        pid: As the kernel sees it.
        pidfd: Becomes readable when it ends.
    """

    pid: int
    pidfd: int

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(max(seconds, 0.0) * 1000))

    def kill(self) -> None:
        """Ends it, at once and for sure."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended already


@dataclass(slots=True)
class Forked:
    """A worker that was forked and has not said anything yet: its process and the kernel's ends of its three pipes."""

    process: Process
    channel: socket.socket
    stdout: int
    stderr: int


class Zygote:
    """Starts the zygote process on first use, and again when it has died.

    Args:
        on_start: Called with the reading end of its standard error, and its pid, when it is first asked for something;
            may be set until then.
        numpy: Whether its workers have numpy from the host.
    """

    def __init__(
        self, on_start: Callable[[int, int], object] = lambda stderr, pid: os.close(stderr), *, numpy: bool = True
    ) -> None:
        self.on_start = on_start
        self._numpy = numpy
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: Channel | None = None
        self._untold = -1  # its standard error, until `on_start` has it
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts it, if it does not run; the first worker waits until it is ready.

        Raises:
            SandboxError: It cannot be started.
        """
        with self._lock:
            self._launched()

    def address_space(self) -> int:
        """The bytes of address space that a worker has from its start.

        Raises:
            SandboxError: The zygote could not be started.
        """
        with self._lock:
            self._running()
            assert self._process is not None
            with open(f"/proc/{self._process.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def spawn(self, policy: SandboxPolicy, canary: str, nonce: str, serves: str = "plugin") -> Forked:
        """Forks a worker, which starts to lock itself.

        Args:
            policy: What the worker may do.
            canary: A file that the policy does not show, for the self-test.
            nonce: The worker repeats it.
            serves: A plugin, or ``expressions``.

        Raises:
            LockError: It could not be forked into namespaces of its own.
            SandboxError: No process could be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fds: list[int] = []
        try:
            for _ in range(2):
                fds += os.pipe()
            out_read, out_write, err_read, err_write = fds
            request = {"policy": policy.to_json(), "canary": canary, "nonce": nonce, "serves": serves}
            # No more: what the zygote reads, every later worker has in its memory.
            start = {"tier": policy.tier, "plain": policy.tier == "A" and beyond_base(policy) is not None}
            try:
                answer, passed = self._ask(start, (theirs.fileno(), out_write, err_write))
            except ProtocolError:
                # It died since it was last used; a new one is as good.
                answer, passed = self._ask(start, (theirs.fileno(), out_write, err_write))
            if "failed" in answer:
                raise LockError(answer["failed"], answer["reason"], hint=answer["hint"], plugin=policy.plugin)
            if not passed:
                raise SandboxError(f"no worker for {policy.plugin} could be started: {answer.get('error')}")
            process = Process(answer["pid"], passed[0])
            try:
                Channel(ours).send(request, deadline=time.monotonic() + ANSWER_SECONDS)
            except BaseException:
                process.kill()
                process.wait(ANSWER_SECONDS)
                self.reap(process)
                raise
        except BaseException:
            ours.close()
            for fd in fds[0::2]:
                os.close(fd)
            raise
        finally:
            theirs.close()
            for fd in fds[1::2]:
                os.close(fd)
        return Forked(process, ours, out_read, err_read)

    def reap(self, process: Process) -> Exit:
        """How a process ended, which is forgotten by this."""
        try:
            with self._lock:
                control = self._control
                if control is None:
                    return Exit(None)
                deadline = time.monotonic() + ANSWER_SECONDS
                control.send({"reap": process.pid}, deadline=deadline)
                answer, _ = control.receive(deadline=deadline)
        except (SandboxError, DeadlineExceededError):
            return Exit(None)
        finally:
            os.close(process.pidfd)
            process.pidfd = -1
        assert isinstance(answer, dict)
        return Exit(answer.get("status"), answer.get("cpu_seconds", 0.0))

    def close(self) -> None:
        """Ends the zygote and with it every worker."""
        with self._lock:
            self._closed = True
            self._discard()

    def _ask(self, request: dict[str, Any], fds: tuple[int, ...]) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            control = self._running()
            deadline = time.monotonic() + ANSWER_SECONDS
            try:
                control.send(request, fds, deadline=deadline)
                answer, passed = control.receive(deadline=deadline, max_fds=1)
            except Exception:
                self._discard()
                raise
            assert isinstance(answer, dict)
            return answer, passed

    def _running(self) -> Channel:
        """The control socket of a zygote that is ready."""
        control = self._launched()
        if self._untold < 0:
            return control
        assert self._process is not None
        error_read, self._untold = self._untold, -1
        self.on_start(error_read, self._process.pid)
        try:
            control.receive(deadline=time.monotonic() + START_SECONDS)
        except Exception as error:
            self._discard()
            raise SandboxError(
                f"the process that workers are forked from did not start: {error}",
                hint="What it printed is in the log; `proxima doctor` shows what this host lacks.",
            ) from error
        return control

    def _launched(self) -> Channel:
        if self._closed:
            raise SandboxError("the kernel is closing; no worker is started")
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._discard()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        error_read, error_write = os.pipe()
        homes = {name: home for name, home in host_homes().items() if name != "numpy" or self._numpy}
        try:
            script = os.path.join(os.path.dirname(__file__), "zygote.py")
            self._process = subprocess.Popen(
                [*_COMMAND, script, str(theirs.fileno()), str(os.getpid()), json.dumps(homes)],
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=error_write,
                stderr=error_write,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(error_read)
            raise SandboxError(f"no process for sandboxed plugins could be started: {error}") from error
        finally:
            theirs.close()
            os.close(error_write)
        self._control, self._untold = Channel(ours), error_read
        return self._control

    def _discard(self) -> None:
        if self._untold >= 0:
            os.close(self._untold)
            self._untold = -1
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            # It ends by itself when the control socket closes; nothing in it is worth waiting for.
            self._process.kill()
            self._process.wait()
            self._process = None
