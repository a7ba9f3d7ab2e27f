"""What a kernel without the channel's rules would meet: the controls of rows that are sent."""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from outside import through


def control_naive_length(arena: Any) -> int:
    with mmap.mmap(-1, 3 << 30) as memory:
        return len(memory)


def control_naive_patience(arena: Any) -> str:
    """Each byte is in time, all together are not."""
    left, right = socket.socketpair()
    limit = 0.2
    right.settimeout(limit)

    def trickle() -> None:
        for _ in range(8):
            time.sleep(limit / 4)
            left.send(b"x")

    threading.Thread(target=trickle, daemon=True).start()
    began = time.monotonic()
    for _ in range(8):
        right.recv(1)
    waited = time.monotonic() - began
    return through(waited > 1.5 * limit, f"waited {waited:.2f} s with a limit of {limit} s")


def control_naive_pickle(arena: Any) -> str:
    marker = f"{arena.host.scratch}/pickled"
    pickle.loads(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    return through(os.path.exists(marker), "reading it ran a command")


def control_naive_descriptors(arena: Any) -> str:
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0] * 100)
    taken = len(socket.recv_fds(right, 1, 100)[1])
    return through(taken == 100, f"took {taken}")


def control_naive_buffer(arena: Any) -> str:
    """Who maps what a stranger sends dies when the stranger cuts it."""
    path = f"{arena.host.scratch}/buffer"
    Path(path).write_bytes(bytes(8192))
    child = os.fork()
    if child == 0:
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8192) as memory:
            os.truncate(path, 0)
            ctypes.string_at(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return through(status == -signal.SIGBUS, "killed by SIGBUS")
