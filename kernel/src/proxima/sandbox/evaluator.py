"""Where expressions are evaluated: a locked worker that stays, and is ended and forked anew when one breaks a limit."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec

from proxima.errors import DeadlineExceededError, ProximaError, RunError
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.host import END_SECONDS, handshake
from proxima.sandbox.linux import limits
from proxima.sandbox.policy import Limits, SandboxPolicy, Tier, runtime_paths
from proxima.sandbox.probe import probe
from proxima.sandbox.scratch import remove_tree
from proxima.sandbox.spawn import Forked, Zygote

_SCRATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Worker:
    forked: Forked
    channel: Channel
    memory_bytes: int

    @property
    def alive(self) -> bool:
        return not self.forked.process.wait(0)


class Evaluator:
    """One locked worker for the expressions of this process; they take turns.

    Args:
        tier: What this host enforces: A or B.
    """

    def __init__(self, tier: Tier) -> None:
        self._tier: Tier = tier
        self._turn = threading.Lock()
        self._zygote = Zygote(lambda stderr, pid: os.close(stderr))
        self._worker: _Worker | None = None
        self._directory = tempfile.mkdtemp(prefix="proxima-expressions-")
        self._canary = os.path.join(self._directory, "canary")
        with open(self._canary, "w", encoding="utf-8") as file:
            file.write("no expression may read this\n")
        if limits.is_root():
            os.chmod(self._directory, 0o711)  # a worker of root is another user
        atexit.register(self.close)

    def run(self, request: bytes, seconds: float, memory_bytes: int) -> bytes:
        """The answer of `proxima.sandbox.restricted.answer` to a request.

        Raises:
            LockError: The worker could not be locked.
            DeadlineExceededError: It took longer than ``seconds``; the worker was ended.
            RunError: The worker ended.
        """
        with self._turn:
            worker = self._ready(memory_bytes)
            try:
                worker.channel.send(request)
                answer, _ = worker.channel.receive(deadline=time.monotonic() + seconds)
            except DeadlineExceededError:
                self._end()
                raise DeadlineExceededError(f"the expression took longer than {seconds:g} s") from None
            except ProtocolError as error:
                self._end()
                raise RunError(f"the process that evaluated the expression ended: {error}") from None
            if not isinstance(answer, bytes) or answer.startswith(b'["memory"'):
                self._end()  # what is left of it after a lack of memory is not to be trusted with the next
            if not isinstance(answer, bytes):
                raise RunError("the process that evaluated the expression gave no answer that can be read")
            return answer

    def close(self) -> None:
        """Ends the worker. May be called twice."""
        with self._turn:
            self._end()
            self._zygote.close()
            remove_tree(self._directory)

    def _ready(self, memory_bytes: int) -> _Worker:
        worker = self._worker
        if worker is not None and worker.memory_bytes == memory_bytes and worker.alive:
            return worker
        self._end()
        found = find_spec("RestrictedPython")
        if found is None or found.origin is None:
            raise RunError("RestrictedPython is not installed", hint="Reinstall proxima-kernel, which depends on it.")
        scratch = os.path.join(self._directory, secrets.token_hex(8))
        os.mkdir(scratch, 0o700)
        policy = SandboxPolicy(
            plugin="expressions",
            tier=self._tier,
            read=runtime_paths(),
            import_paths=(os.path.realpath(os.path.dirname(os.path.dirname(found.origin))),),
            scratch=os.path.realpath(scratch),
            limits=Limits(
                memory_bytes=self._zygote.address_space() + memory_bytes,
                scratch_bytes=_SCRATCH_BYTES,
                file_bytes=_SCRATCH_BYTES,
            ),
        )
        nonce = secrets.token_hex(16)
        forked = self._zygote.spawn(policy, self._canary, nonce, serves="expressions")
        channel = Channel(forked.channel)
        for fd in (forked.stdout, forked.stderr):
            os.close(fd)  # it has nothing to say but its answers
        self._worker = _Worker(forked, channel, memory_bytes)
        try:
            handshake(channel, forked.process.pid, nonce, policy)
        except (ProximaError, OSError):
            self._end()
            raise
        return self._worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.channel.close()
            worker.forked.process.kill()
            worker.forked.process.wait(END_SECONDS)
            self._zygote.reap(worker.forked.process)


def evaluator() -> Evaluator | None:
    """This process's evaluator; ``None`` where the host locks nothing, at tier C."""
    return _evaluator_of(os.getpid())  # a fork of this process makes its own


@functools.cache
def _evaluator_of(_pid: int) -> Evaluator | None:
    tier = probe().tier
    return None if tier == "C" else Evaluator(tier)
