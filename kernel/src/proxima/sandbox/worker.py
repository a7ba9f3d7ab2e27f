"""A worker's life after the fork: it locks itself, proves it, and only then loads the plugin and serves its calls."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
import time
import traceback
from typing import Any

from proxima.sandbox import restricted, worker_removal
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import LockError, SandboxError
from proxima.sandbox.linux.lock import Ready, lock, make_ready
from proxima.sandbox.linux.namespaces import Birth
from proxima.sandbox.linux.selftest import selftest
from proxima.sandbox.policy import SandboxPolicy

REQUEST_SECONDS = 10.0
LOOK_SECONDS = 5.0
"""How long the kernel may take to look at a worker's namespaces."""

WORKER_FDS = 3
"""A worker's channel, standard output and standard error."""

_ABOVE_STANDARD = 10


def wait(leash: socket.socket, zygote: int, birth: Birth) -> None:
    """What a child of the zygote does that is forked before anybody asked for a worker, at tier A; never returns.

    It does what is the same for almost every policy. A message with the descriptors that `begin` takes makes it a
    worker; without one it ends when its end of the leash is closed.
    """
    code = 1
    try:
        ready = make_ready((leash.fileno(),), parent_pid=zygote, birth=birth)
        _, fds = Channel(leash).receive(max_fds=WORKER_FDS)
        if len(fds) == WORKER_FDS:
            begin(fds, zygote, ready=ready)
    except SandboxError:
        code = 3  # the zygote let go of it, or the next worker, which nobody prepared, fails at the same and says so
    finally:
        os._exit(code)


def begin(fds: list[int], zygote: int, birth: Birth | None = None, ready: Ready | None = None) -> None:
    """What the zygote's child does; never returns.

    The first message on its channel is a mapping: ``policy`` as JSON, ``canary`` (a file the policy does not show),
    ``nonce``, and what it ``serves``.

    Args:
        fds: The channel, standard output and standard error.
        zygote: The parent's pid.
        birth: What `proxima.sandbox.linux.lock.fork` gave, at tier A.
        ready: What `proxima.sandbox.linux.lock.make_ready` gave, in its place.
    """
    code = 1
    try:
        gc.enable()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        channel = _take_descriptors(fds)
        request, _ = channel.receive(deadline=time.monotonic() + REQUEST_SECONDS)
        assert isinstance(request, dict)
        try:
            policy = SandboxPolicy.from_json(request["policy"])
            locked = _lock(policy, request["canary"], channel, zygote, birth, ready)
        except (LockError, OSError, ValueError) as error:
            channel.send(failed(error))
            return
        # What this fork inherited would draw what its siblings draw; Python's own generator has seen to it by itself.
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.random.seed(numpy.frombuffer(os.urandom(32), dtype=numpy.uint32))
        channel.send({"nonce": request["nonce"], **locked})
        if request["serves"] == "expressions":
            restricted.serve(channel, policy.import_paths)
        else:
            _serve(channel, policy)
        code = 0
    except SandboxError:
        code = 3  # the kernel is gone, or closed the channel
    except BaseException:  # noqa: BLE001 - whatever happens, this must not go on as a second zygote
        traceback.print_exc()
    finally:
        os._exit(code)


def _take_descriptors(fds: list[int]) -> Channel:
    """Puts the standard streams in place; everything else but the channel is closed when the lock is put on."""
    channel, out, err = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD) for fd in fds)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    for fd, (stream, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = open(fd, mode, encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        setattr(sys, stream, opened)
    return Channel(socket.socket(fileno=channel))


def failed(error: Exception) -> dict[str, str | None]:
    """What the kernel is told where a step of the lock failed."""
    if isinstance(error, LockError):
        return {"failed": error.step, "reason": error.reason, "hint": error.hint}
    return {"failed": "start", "reason": f"{type(error).__name__}: {error}", "hint": None}


def _lock(
    policy: SandboxPolicy, canary: str, channel: Channel, zygote: int, birth: Birth | None, ready: Ready | None
) -> dict[str, Any]:
    started = time.perf_counter()

    def seen() -> None:
        channel.send({"look": True})
        channel.receive(deadline=time.monotonic() + LOOK_SECONDS)

    keep = (0, 1, 2, channel.fileno())
    report = lock(policy, keep, parent_pid=zygote, birth=birth, ready=ready, seen=seen)
    results = selftest(policy, report, canary, zygote)
    took = time.perf_counter() - started
    return {"tier": report.tier, "abi": report.landlock_abi, "results": results, "seconds": took}


def _serve(channel: Channel, policy: SandboxPolicy) -> None:
    """Serves until the kernel ends the conversation."""
    if "numpy" not in sys.modules:
        sys.path.extend(policy.import_paths)  # it is the plugin's own, and what serves the plugin needs it too
    from proxima.sandbox.rpc import Peer
    from proxima.sandbox.serving import Served
    from proxima.sandbox.shm import MappedBuffers

    peer = Peer(channel, plugin=policy.plugin, buffers=MappedBuffers())
    if policy.keeps_files:
        worker_removal.install(policy.scratch)
    Served(policy, peer).register()
    peer.run()
