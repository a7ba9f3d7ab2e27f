"""Launches the zygote. An installation does this first of all, so it imports no more than it takes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress

from proxima.sandbox.errors import SandboxError
from proxima.sandbox.imports import host_homes

# Isolated, without site-packages and their .pth files, writing no bytecode.
_COMMAND = (sys.executable, "-I", "-S", "-B", "-X", "utf8")


class Launched:
    """A zygote's process, which may not be ready yet.

    Attributes:
        control: The socket on which it is asked for workers.
        stderr: The reading end of what it prints; -1 once that is somebody else's.
    """

    __slots__ = ("_process", "control", "stderr")

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, stderr: int) -> None:
        self._process, self.control, self.stderr = process, control, stderr

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends it and with it its workers. May be called twice."""
        if self.stderr >= 0:
            os.close(self.stderr)
            self.stderr = -1
        self.control.close()
        # It ends by itself when the control socket closes; nothing in it is worth waiting for.
        self._process.kill()
        self._process.wait()


def launch(*, numpy: bool = True, once: bool = False) -> Launched:
    """Starts a zygote; see `Zygote` for what it can be told.

    Raises:
        SandboxError: It cannot be started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    error_read, error_write = os.pipe()
    homes = {name: home for name, home in host_homes().items() if name != "numpy" or numpy}
    try:
        script = os.path.join(os.path.dirname(__file__), "zygote.py")
        arguments = (str(theirs.fileno()), str(os.getpid()), json.dumps(homes))
        process = subprocess.Popen(
            [*_COMMAND, script, *arguments, "once" if once else "often"],
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
    return Launched(process, ours, error_read)


def yield_to_others(pid: int) -> None:
    """Has a process that leads a session take less processor time than others, where Linux weighs sessions.

    While a plugin is installed a resolver runs, which is waited for longest. A worker leads a session of its own.
    """
    with suppress(OSError), open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
        file.write("10")
