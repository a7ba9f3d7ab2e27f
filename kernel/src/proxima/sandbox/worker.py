"""A worker's life after the fork: it locks itself, tests that, and only then loads the plugin and serves its calls."""

from __future__ import annotations

import array
import fcntl
import gc
import os
import signal
import socket
import time
import traceback
from collections.abc import Sequence
from typing import Any

from proxima.sandbox import restricted
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import SandboxError
from proxima.sandbox.linux.lock import CHANNEL, PARENT, USER_NAMESPACE
from proxima.sandbox.linux.program import Program, run
from proxima.sandbox.own import Own
from proxima.sandbox.rpc import Peer
from proxima.sandbox.serving import Served
from proxima.sandbox.shm import MappedBuffers

REQUEST_SECONDS = 10.0
LOOK_SECONDS = 5.0
"""How long the kernel may take to look at a worker's namespaces."""

LENT = 3
"""How many descriptors a worker is lent: its channel, standard output and standard error."""

_OUT_OF_THE_WAY = 16


def wait(leash: int, parent: int, user_namespace: int, base: Program) -> None:
    """What a child of the zygote does that is forked before anybody asked for a worker, at tier A; never returns.

    It does what is the same for almost every policy. A message with the descriptors that `begin` takes makes it a
    worker; without one it ends when its end of the leash is closed.

    Args:
        leash: Its end.
        parent: A process descriptor of the zygote.
        user_namespace: A descriptor of the one that it enters later, or -1.
        base: The first part of its lock; its descriptors are where `begin` has them.
    """
    code = 3  # the zygote let go of it, or the next worker, which nobody prepared, fails at the same and says so
    try:
        _place(leash, parent, user_namespace)
        if run(base).whole:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
            _, ancillary, _, _ = end.recvmsg(1, socket.CMSG_LEN(4 * LENT))
            end.detach()
            if ancillary and len(fds := array.array("i", ancillary[0][2])) == LENT:
                begin(fds)
    finally:
        os._exit(code)


def begin(fds: Sequence[int], parent: int = -1, user_namespace: int = -1) -> None:
    """What the zygote's child does; never returns.

    The first message on its channel is a mapping: the two halves of its ``lock``, its ``environment``, a ``nonce``,
    what it ``serves``, and its ``own`` part of the policy.

    Args:
        fds: The channel, standard output and standard error.
        parent: A process descriptor of the zygote, for a worker at tier A that did not wait.
        user_namespace: A descriptor of the one that it enters, or -1.
    """
    code = 1
    try:
        gc.enable()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.dup2(fds[1], 1)
        os.dup2(fds[2], 2)
        _place(fds[0], parent, user_namespace)  # onto what may be one of these
        channel = Channel(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL))
        request, _ = channel.receive(deadline=time.monotonic() + REQUEST_SECONDS)
        assert isinstance(request, dict)
        for name, value in request["environment"].items():
            os.environ[name] = value
        if not _lock(channel, request["nonce"], *request["lock"]):
            return
        if request["serves"] == "expressions":
            restricted.serve(channel, request["own"][1])
        else:
            _serve(channel, request["own"])
        code = 0
    except SandboxError:
        code = 3  # the kernel is gone, or closed the channel
    except BaseException:  # noqa: BLE001 - whatever happens, this must not go on as a second zygote
        traceback.print_exc()
    finally:
        os._exit(code)


def _place(channel: int, parent: int, user_namespace: int) -> None:
    """Puts descriptors where the lock has them; it closes every other."""
    wanted = ((channel, CHANNEL), (parent, PARENT), (user_namespace, USER_NAMESPACE))
    moved = [(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY), place) for fd, place in wanted if fd >= 0]
    for fd, place in moved:
        os.dup2(fd, place, inheritable=False)


def _lock(channel: Channel, nonce: str, before: Program, after: Program) -> bool:
    """Whether every call of the lock was answered as wanted; the kernel learns how far each half came."""
    started = time.perf_counter()
    outcome = run(before)
    channel.send([nonce, outcome.made, outcome.answer, time.perf_counter() - started])
    channel.receive(deadline=time.monotonic() + LOOK_SECONDS)  # the kernel looks at this process, if all is well
    started = time.perf_counter()
    outcome = run(after)
    channel.send([nonce, outcome.made, outcome.answer, time.perf_counter() - started])
    return outcome.whole


def _serve(channel: Channel, own: Sequence[Any]) -> None:
    """Serves until the kernel ends the conversation."""
    mine = Own(*own)
    # Once nobody is there to answer to, nothing that the plugin still does is worth waiting for.
    peer = Peer(channel, plugin=mine.plugin, buffers=MappedBuffers(), on_close=lambda _: os._exit(0))
    Served(mine, peer).register()
    peer.run()
