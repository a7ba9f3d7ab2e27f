"""`Zygote`: the kernel's side of the process that workers are forked from."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import LockError, ProtocolError, SandboxError
from proxima.sandbox.exits import Exit
from proxima.sandbox.launching import Launched, launch
from proxima.sandbox.linux.lock import BARE, Lock, environment, worker_holder, write_lock
from proxima.sandbox.linux.view import beyond_base
from proxima.sandbox.own import own_part
from proxima.sandbox.policy import SandboxPolicy
from proxima.sandbox.zygote import ANSWER, APART, PLAIN, READY, REAP, REQUEST, UNLOCKED

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
_MAX_ANSWER = 4096


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
    """A worker that was forked and has not said anything yet: its process and the kernel's ends of its three pipes.

    Attributes:
        lock: What it was told to do first.
    """

    process: Process
    lock: Lock
    channel: socket.socket
    stdout: int
    stderr: int


class Zygote:
    """Starts the zygote process on first use, and again when it has died.

    Args:
        on_start: Called with the reading end of its standard error, and its pid, when it is first asked for something;
            may be set until then.
        numpy: Whether its workers have numpy from the host.
        once: Whether it forks one worker and no more: it is ready sooner, and each worker has more to import.
        launched: One that was launched so beforehand, taken over.
    """

    def __init__(
        self,
        on_start: Callable[[int, int], object] = lambda stderr, pid: os.close(stderr),
        *,
        numpy: bool = True,
        once: bool = False,
        launched: Launched | None = None,
    ) -> None:
        self.on_start = on_start
        self._numpy = numpy
        self.once = once
        self._lock = threading.Lock()
        self._launched = launched
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        launched = self._launched
        return launched.pid if launched is not None and launched.alive else None

    def start(self) -> None:
        """Starts it, if it does not run; the first worker waits until it is ready.

        Raises:
            SandboxError: It cannot be started.
        """
        with self._lock:
            self._started()

    def address_space(self) -> int:
        """The bytes of address space that a worker has from its start.

        Raises:
            SandboxError: The zygote could not be started.
        """
        with self._lock, open(f"/proc/{self._running().pid}/statm", encoding="ascii") as file:
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
            kind = UNLOCKED if policy.tier != "A" else APART if beyond_base(policy) is None else PLAIN
            lent = (theirs.fileno(), out_write, err_write)
            try:
                answer, passed, zygote = self._ask(kind, lent)
            except ProtocolError:
                # It died since it was last used; a new one is as good.
                answer, passed, zygote = self._ask(kind, lent)
            if isinstance(answer, dict) and "failed" in answer:
                raise LockError(answer["failed"], answer["reason"], hint=answer["hint"], plugin=policy.plugin)
            if isinstance(answer, dict) or not passed:
                raise SandboxError(f"no worker for {policy.plugin} could be started: {answer}")
            pid, waited = answer
            process = Process(pid, passed[0])
            try:
                holder = worker_holder(policy.tier, pid, zygote, waited=bool(waited))
                lock = write_lock(policy, holder, canary=canary)
                request = {
                    "lock": [list(lock.before.program), list(lock.after.program)],
                    "environment": dict(environment(policy).items() - environment(BARE).items()),
                    "own": list(own_part(policy)),
                    "nonce": nonce,
                    "serves": serves,
                }
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
        return Forked(process, lock, ours, out_read, err_read)

    def reap(self, process: Process) -> Exit:
        """How a process ended, which is forgotten by this."""
        try:
            with self._lock:
                if self._launched is None:
                    return Exit(None)
                answer, _ = _exchange(self._launched.control, REQUEST.pack(REAP, process.pid))
        except (OSError, ProtocolError):
            return Exit(None)
        finally:
            os.close(process.pidfd)
            process.pidfd = -1
        return Exit(None) if isinstance(answer, dict) else Exit(int(answer[0]), answer[1])

    def close(self) -> None:
        """Ends the zygote and with it every worker."""
        with self._lock:
            self._closed = True
            self._discard()

    def _ask(self, kind: int, fds: tuple[int, ...]) -> tuple[dict[str, Any] | tuple[int, float], list[int], int]:
        """Asks for a worker; gives the zygote's pid as well.

        Raises:
            ProtocolError: It ended.
            SandboxError: It cannot be started, or does not answer.
        """
        with self._lock:
            running = self._running()
            try:
                return *_exchange(running.control, REQUEST.pack(kind, 0), fds), running.pid
            except ProtocolError:
                self._discard()
                raise
            except OSError as error:
                self._discard()
                raise SandboxError(f"the process that workers are forked from does not answer: {error}") from error

    def _running(self) -> Launched:
        """One that is ready."""
        launched = self._started()
        if launched.stderr < 0:
            return launched
        error_read, launched.stderr = launched.stderr, -1
        self.on_start(error_read, launched.pid)
        try:
            launched.control.settimeout(START_SECONDS)
            if (said := launched.control.recv(len(READY))) != READY:
                raise ProtocolError(f"it said {said!r}" if said else "it ended")
            launched.control.settimeout(ANSWER_SECONDS)
        except Exception as error:
            self._discard()
            raise SandboxError(
                f"the process that workers are forked from did not start: {error}",
                hint="What it printed is in the log; `proxima doctor` shows what this host lacks.",
            ) from error
        return launched

    def _started(self) -> Launched:
        if self._closed:
            raise SandboxError("the kernel is closing; no worker is started")
        if self._launched is None or not self._launched.alive:
            self._discard()
            self._launched = launch(numpy=self._numpy, once=self.once)
        return self._launched

    def _discard(self) -> None:
        if self._launched is not None:
            self._launched.close()
            self._launched = None


def _exchange(
    control: socket.socket, request: bytes, fds: tuple[int, ...] = ()
) -> tuple[dict[str, Any] | tuple[int, float], list[int]]:
    """What the zygote answers, and the descriptors that came with it.

    Raises:
        ProtocolError: It ended.
        OSError: It does not answer in time.
    """
    try:
        socket.send_fds(control, [request], fds, socket.MSG_NOSIGNAL)
        data, passed, _, _ = socket.recv_fds(control, _MAX_ANSWER, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as error:
        raise ProtocolError(f"the process that workers are forked from ended: {error}") from None
    if not data:
        raise ProtocolError("the process that workers are forked from ended")
    return ANSWER.unpack(data) if len(data) == ANSWER.size else json.loads(data), list(passed)
