"""The worker's end of the channel, as a hostile plugin gets hold of it; and what many attempts at once come to."""

from __future__ import annotations

import _io
import builtins
import gc
import importlib
import io
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def undress() -> None:
    """Takes off what a worker lays over Python's functions to ask the kernel, so that the system itself answers."""
    builtins.open = io.open = _io.open
    importlib.reload(socket)


def peer() -> Any:
    """The worker's own; None in a control, which has no kernel."""
    from proxima.sandbox.rpc import Peer

    return next((each for each in gc.get_objects() if isinstance(each, Peer)), None)


def raw() -> int:
    return int(peer()._channel.fileno())


def packed(*message: object) -> bytes:
    """A message as it goes over the channel."""
    import msgpack

    return framed(msgpack.packb(list(message)))


def framed(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def say(data: bytes, *, wait: float = 5.0) -> None:
    """Writes to the channel past whatever the worker's own end would check, and waits for what comes of it."""
    kernel = peer()
    kernel._channel._socket.sendall(data)
    time.sleep(wait)


def send(*message: object) -> None:
    say(packed(*message))


def answer(value: object) -> bytes:
    """The answer to call 2, the first after `load`, which is the one that is being served."""
    return packed(2, 2, {"$": "ToolResult", "text": "x", "data": value, "failed": False}, None, 0)


def keep_open(kernel: Any) -> None:
    """The worker's own reader knows nothing of these calls, and must not end the conversation at their answers."""
    kernel._fail = lambda *_, **__: None
    kernel._over.set = lambda: None
    type(kernel._channel).shutdown = lambda self: None
    type(kernel._channel).close = lambda self: None


def every_one(
    attempts: Mapping[str, Callable[[], object]] | Iterable[tuple[str, Callable[[], object]]], *refusals: str
) -> list[str]:
    """Those that got through; where none did, the last refusal is raised.

    Args:
        attempts: Each with a name.
        refusals: How each may be refused, names of exceptions; another way says that the attempt is broken.
    """
    through, last = [], None
    for name, attempt in dict(attempts).items():
        try:
            attempt()
            through.append(name)
        except Exception as error:
            if type(error).__name__ not in refusals:
                raise RuntimeError(f"{name!r}: this tried nothing: {error!r}") from error
            last = error
    if not through and last is not None:
        raise last
    return through


def pass_descriptors(descriptors: list[int]) -> None:
    """One short message with descriptors."""
    import array

    message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    socket.socket(fileno=os.dup(raw())).sendmsg([framed(b"\xc0")], message)
    time.sleep(5)
