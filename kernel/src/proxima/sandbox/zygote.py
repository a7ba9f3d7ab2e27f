"""The process that workers are forked from: a bare interpreter with numpy and the contracts loaded, and no plugin code.

For plugins that bring a numpy of their own there is a second one, without numpy: their workers import it once locked.

Run as ``python -I -S -B zygote.py CONTROL_FD KERNEL_PID HOMES``, once for each kernel. It has one thread, an empty
environment and one open descriptor, the control socket, on which the kernel asks for workers and for how they ended.
It ends when the kernel does, and takes its workers along.

At tier A one child waits: it was forked ahead and has its namespaces and the system's part of its root directory, which
are the same for almost every policy. After it has become a worker the next is forked while nobody waits.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proxima.sandbox.channel import Channel

_QUIET = 50  # milliseconds without a request, in which the last worker is locked
_WARM_UPS = 10  # Python specialises a function after eight calls


def main(arguments: list[str]) -> int:
    """Serves until the kernel closes the control socket or dies."""
    control_fd, kernel_pid, homes = int(arguments[0]), int(arguments[1]), json.loads(arguments[2])
    kernel = os.pidfd_open(kernel_pid)
    if os.getppid() != kernel_pid:
        return 1  # the kernel was faster
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the user interrupts the kernel, which decides what becomes of us
    gc.disable()
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # where memory runs out, a worker is ended rather than the kernel
    _preload(homes)
    from proxima.sandbox.channel import Channel

    control = Channel(socket.socket(fileno=control_fd))
    control.send({"ready": os.getpid()})
    _warm_up()
    gc.collect()
    gc.freeze()  # else the first collection in a worker would copy every page
    return _serve(Nursery(control), control, kernel)


def _preload(homes: dict[str, str]) -> None:
    """Imports what every worker needs, so that a fork has it for nothing."""
    # `proxima` itself can only be found once its finder is there.
    spec = importlib.util.spec_from_file_location("_imports", os.path.join(os.path.dirname(__file__), "imports.py"))
    assert spec is not None
    assert spec.loader is not None
    imports = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imports)
    imports.install(homes)
    modules = (
        "proxima.sandbox.linux.lock",
        "proxima.sandbox.linux.selftest",
        "proxima.sandbox.channel",
        "pluggy",
        "proxima.sandbox.worker",
        "proxima.contracts.execution",
        "proxima.contracts.features",
        "proxima.contracts.noise",
        "proxima.contracts.view",
        "proxima.hookspecs",
        "proxima.sandbox.serving",
    )
    numpy = ("numpy.fft", "numpy.linalg", "numpy.random", "proxima.contracts.matrices") if "numpy" in homes else ()
    for module in (*modules, *numpy):
        importlib.import_module(module)


def _warm_up() -> None:
    """Runs what each worker will run first, so that its code is specialised and its caches are filled once for all."""
    import logging
    import platform

    from proxima.sandbox.linux import landlock, lock, seccomp, view
    from proxima.sandbox.policy import SandboxPolicy

    lock.prepare()
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )  # workers': to their own stderr
    text = SandboxPolicy(plugin="none", tier="B", scratch="/tmp/none", network=("",)).to_json()
    for _ in range(_WARM_UPS):
        policy = SandboxPolicy.from_json(text)
        view.places(policy)
        landlock.abi()
        seccomp.program(platform.machine(), os.getpid(), subprocess=False, any_ioctl=False)


def _serve(nursery: Nursery, control: Channel, kernel: int) -> int:
    from proxima.sandbox.errors import ProtocolError
    from proxima.sandbox.worker import WORKER_FDS

    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(kernel, select.POLLIN)
    while True:
        ready = poll.poll(_QUIET if nursery.lacks_one else None)
        if not ready:
            nursery.prepare()
            continue
        if any(fd == kernel for fd, _ in ready):
            return 0
        try:
            request, fds = control.receive(max_fds=WORKER_FDS)
        except ProtocolError:
            return 0  # the kernel closed its end
        assert isinstance(request, dict)
        if "reap" in request:
            control.send(_reap(request["reap"]))
        else:
            nursery.spawn(request, fds)


def _reap(pid: int) -> dict[str, int | float | str]:
    try:
        found, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError as error:
        return {"error": str(error)}
    if not found:
        return {"error": f"{pid} still runs"}
    return {"status": status, "cpu_seconds": usage.ru_utime + usage.ru_stime}


class Nursery:
    """Where workers are forked.

    Args:
        control: The kernel learns of each worker by it, and of the worker's end by the process descriptor sent along.
    """

    def __init__(self, control: Channel) -> None:
        self._control = control
        self._waiting: tuple[int, Channel] | None = None
        self.lacks_one = False
        """Whether `prepare` is due: a worker at tier A was asked for, so there may be another."""

    def spawn(self, request: dict[str, Any], fds: list[int]) -> None:
        """Starts a worker; ``request`` has its ``tier``, and whether its view is ``plain`` (`view.beyond_base`).

        What it may do comes by the worker's own channel: what is read here, every later worker has in its memory.
        """
        from proxima.sandbox import worker
        from proxima.sandbox.channel import close_all
        from proxima.sandbox.errors import LockError

        try:
            if (tasks := len(os.listdir("/proc/self/task"))) != 1 or len(fds) != worker.WORKER_FDS:
                # Landlock binds one thread: a fork is safe only where there is no other.
                self._control.send({"error": f"the zygote has {tasks} threads and was sent {len(fds)} descriptors"})
                return
            pid = self._take_waiting(fds) if request["tier"] == "A" and request["plain"] else 0
            pid = pid or self._fork(request["tier"], fds)
            process = os.pidfd_open(pid)
        except LockError as error:
            self._control.send(worker.failed(error))
            return
        except OSError as error:
            self._control.send({"error": f"fork: {error.strerror}"})
            return
        finally:
            close_all(fds)
        try:
            self._control.send({"pid": pid}, [process])
        finally:
            os.close(process)
        self.lacks_one = request["tier"] == "A" and self._waiting is None
        gc.collect()  # what was there before the first fork is frozen, so that this looks at what this one left alone

    def _fork(self, tier: str, fds: list[int]) -> int:
        from proxima.sandbox import worker
        from proxima.sandbox.linux.lock import fork

        zygote = os.getpid()
        birth = fork() if tier == "A" else None
        pid = os.fork() if birth is None else birth.pid
        if pid == 0:
            worker.begin(fds, zygote, birth)  # never comes back
        if birth is not None:
            birth.close()
        return pid

    def _take_waiting(self, fds: list[int]) -> int:
        """Makes the child that waits a worker; 0 where there is none."""
        from proxima.sandbox.errors import ProtocolError

        if self._waiting is None:
            return 0
        (pid, leash), self._waiting = self._waiting, None
        try:
            leash.send({}, fds)
        except ProtocolError:
            os.waitpid(pid, 0)  # it ended by itself
            return 0
        finally:
            leash.close()
        return pid

    def prepare(self) -> None:
        """Forks the child that waits; where that fails, the next worker's own fork says so."""
        from proxima.sandbox import worker
        from proxima.sandbox.channel import Channel
        from proxima.sandbox.errors import LockError
        from proxima.sandbox.linux.lock import fork

        self.lacks_one = False
        zygote = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs, contextlib.suppress(LockError):
            birth = fork()
            if birth.pid == 0:
                worker.wait(theirs, zygote, birth)  # never comes back
            birth.close()
            self._waiting = birth.pid, Channel(socket.socket(fileno=ours.detach()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
