"""A worker's life after the fork: it locks itself, proves it, and only then loads the plugin and serves its calls."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import random
import signal
import socket
import sys
import time
import traceback
from typing import Any

import numpy as np

from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import LockError, SandboxError
from proxima.sandbox.linux.lock import lock
from proxima.sandbox.linux.selftest import selftest
from proxima.sandbox.policy import SandboxPolicy
from proxima.sandbox.rpc import Peer
from proxima.sandbox.serving import Served
from proxima.sandbox.shm import MappedBuffers

REQUEST_SECONDS = 10.0
_ABOVE_STANDARD = 10


def begin(fds: list[int], zygote: int) -> None:
    """What the zygote's child does; never returns.

    The first message on its channel is a mapping: ``policy`` as JSON, ``canary`` (a file that the policy does not show)
    and ``nonce``.

    Args:
        fds: The channel, standard output and standard error.
        zygote: The parent's pid.
    """
    code = 1
    try:
        gc.enable()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        channel = _take_descriptors(fds)
        request, _ = channel.receive(deadline=time.monotonic() + REQUEST_SECONDS)
        assert isinstance(request, dict)
        try:
            policy, locked = _lock(request, channel.fileno(), zygote)
        except (LockError, OSError, ValueError) as error:
            step = error.step if isinstance(error, LockError) else "policy"
            reason = error.reason if isinstance(error, LockError) else str(error)
            hint = error.hint if isinstance(error, LockError) else None
            channel.send({"failed": step, "reason": reason, "hint": hint})
            return
        random.seed()
        np.random.seed()  # the copy that this fork inherited would draw what its siblings draw
        channel.send({"nonce": request["nonce"], **locked})
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


def _lock(request: dict[str, str], channel: int, zygote: int) -> tuple[SandboxPolicy, dict[str, Any]]:
    started = time.perf_counter()
    policy = SandboxPolicy.from_json(request["policy"])
    report = lock(policy, (0, 1, 2, channel), parent_pid=zygote)
    results = selftest(policy, report, request["canary"], zygote)
    took = time.perf_counter() - started
    return policy, {"tier": report.tier, "abi": report.landlock_abi, "results": results, "seconds": took}


def _serve(channel: Channel, policy: SandboxPolicy) -> None:
    """Serves until the kernel ends the conversation."""
    peer = Peer(channel, plugin=policy.plugin, buffers=MappedBuffers())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    served = Served(policy, peer)
    served.register()
    peer.run()
