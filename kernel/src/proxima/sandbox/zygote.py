"""The process that workers are forked from: a bare interpreter with numpy and the contracts loaded, and no plugin code.

For plugins that bring a numpy of their own there is a second one, without numpy: their workers import it once locked.

Run as ``python -I -S -B zygote.py CONTROL_FD KERNEL_PID HOMES once|often``, once for each kernel. It has one thread, an
empty environment and one open socket, the control socket, on which the kernel asks for workers and for how they ended.
It ends when the kernel does, and takes its workers along. One that is used once loads no contracts: its worker imports
those that its plugin needs.

At tier A one child waits: it was forked ahead and has its namespaces and the system's part of its root directory, which
are the same for almost every policy. After it has become a worker the next is forked while nobody waits.

Whatever this process writes to between two forks, the worker that was forked before has for itself from then on, as the
last that has what was there. So it does little, with what is at hand.
"""

from __future__ import annotations

import array
import fcntl
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxima.sandbox.linux.program import Program

READY = b"ready"
REQUEST = struct.Struct("<Bi")
"""What the kernel asks for, and of which process. A worker's three descriptors come along."""
PLAIN, APART, UNLOCKED, REAP = range(4)
"""A worker at tier A whose view is plain (`view.beyond_base`); another one there; one at another tier; an ended one."""
ANSWER = struct.Struct("<id")
"""The pid of a worker, with its process descriptor, and whether it waited; or how it ended, and its processor time.

What went wrong instead is JSON, with ``failed``, ``reason`` and ``hint`` where a step of the lock failed, else with an
``error``.
"""

_QUIET = 50  # milliseconds without a request, in which the next worker is forked ahead
_WARM_UPS = 10  # Python specialises a function after eight calls
_ABOVE = 16  # below are the descriptors that workers have


def main(arguments: list[str]) -> int:
    """Serves until the kernel closes the control socket or dies."""
    control_fd, kernel_pid, homes = int(arguments[0]), int(arguments[1]), json.loads(arguments[2])
    control = socket.socket(fileno=_moved(control_fd))
    kernel = _moved(os.pidfd_open(kernel_pid))
    if os.getppid() != kernel_pid:
        return 1  # the kernel was faster
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the user interrupts the kernel, which decides what becomes of us
    gc.disable()
    _open_streams()
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # where memory runs out, a worker is ended rather than the kernel
    often = arguments[3] == "often"
    _preload(homes)
    if often:
        _preload_contracts()
    control.send(READY)
    if often:
        _warm_up()
        gc.collect()
    gc.freeze()  # else the first collection in a worker would copy every page
    return _serve(Nursery(often), control, kernel)


def _moved(fd: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(fd)
    return moved


def _open_streams() -> None:
    """Python's standard streams, for the workers; their descriptors are other ones there."""
    for fd, (stream, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = open(fd, mode, encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        setattr(sys, stream, opened)


def _preload(homes: dict[str, str]) -> None:
    """Imports what every worker needs, so that a fork has it for nothing."""
    # `proxima` itself can only be found once its finder is there.
    spec = importlib.util.spec_from_file_location("_imports", os.path.join(os.path.dirname(__file__), "imports.py"))
    assert spec is not None
    assert spec.loader is not None
    imports = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imports)
    imports.install(homes)
    importlib.import_module("proxima.sandbox.forks").keep()
    modules = (
        "proxima.sandbox.linux.lock",
        "proxima.sandbox.channel",
        "pluggy",
        "proxima.sandbox.worker",
        "proxima.hookspecs",
        "proxima.sandbox.serving",
    )
    for module in (*modules, "numpy") if "numpy" in homes else modules:
        importlib.import_module(module)


def _preload_contracts() -> None:
    """Imports what most plugins need."""
    from proxima.sandbox.carried import CARRIED

    for module in (*CARRIED.values(), "proxima.sandbox.remote"):
        importlib.import_module(module)
    if "numpy" in sys.modules:
        for module in ("numpy.fft", "numpy.linalg", "numpy.random", "proxima.contracts.matrices"):
            importlib.import_module(module)


def _warm_up() -> None:
    """Runs what each worker will run first, so that its code is specialised and its caches are filled once for all."""
    import logging

    from proxima.sandbox.linux.lock import BARE, environment, set_environment
    from proxima.sandbox.linux.script import Script

    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )  # workers': to their own stderr
    set_environment(environment(BARE))  # a worker is told what is otherwise in its own
    script = Script(None, ())
    script.call("getpid", b"")
    for _ in range(_WARM_UPS):
        script.run()
    _rehearse()


def _rehearse() -> None:
    """Has conversations as a worker has them, in which a plugin is loaded."""
    import threading

    from proxima.sandbox.channel import Channel
    from proxima.sandbox.encoding import Encoded
    from proxima.sandbox.messages import REQUEST as CALL
    from proxima.sandbox.own import Own
    from proxima.sandbox.rpc import Peer
    from proxima.sandbox.serving import Served, bare_manager, reseed
    from proxima.sandbox.shm import MappedBuffers

    load = Encoded({"target": "proxima.sandbox.rehearsal:plugin", "kinds": ("tools",), "settings": {}}).data
    for _ in range(_WARM_UPS):
        reseed()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        peer = Peer(Channel(theirs), plugin="none", buffers=MappedBuffers())
        Served(Own("none", (), "/", (), False, False, {}), peer).register(rehearsal=True)
        peer.start()
        kernel = Channel(ours)
        kernel.send([CALL, 1, "load", load, None])
        kernel.receive()
        kernel.close()
        peer.wait()
        bare_manager.cache_clear()
    bare_manager()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()


def _serve(nursery: Nursery, control: socket.socket, kernel: int) -> int:
    from proxima.sandbox.worker import LENT

    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(kernel, select.POLLIN)
    space = socket.CMSG_LEN(4 * LENT)
    while True:
        ready = poll.poll(_QUIET if nursery.lacks_one else None)
        if not ready:
            nursery.prepare()
            continue
        data, ancillary, _, _ = control.recvmsg(REQUEST.size, space, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
        if len(data) != REQUEST.size or len(ready) > 1:
            return 0  # the kernel closed its end, or ended
        kind, pid = REQUEST.unpack(data)
        if kind == REAP:
            control.send(_reap(pid))
            continue
        fds = array.array("i", ancillary[0][2] if ancillary else b"")
        try:
            if len(fds) != LENT:
                raise ValueError(f"a worker was sent {len(fds)} descriptors, not {LENT}")
            pid, waited = nursery.spawn(kind, fds)
            process = os.pidfd_open(pid)
        except Exception as error:  # noqa: BLE001 - told to the kernel
            control.send(_failed(error))
            continue
        finally:
            for fd in fds:
                os.close(fd)
        right = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", (process,)))]
        control.sendmsg([ANSWER.pack(pid, waited)], right)
        os.close(process)


def _reap(pid: int) -> bytes:
    try:
        found, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError as error:
        return _failed(error)
    if not found:
        return _failed(ProcessLookupError(f"{pid} still runs"))
    return ANSWER.pack(status, usage.ru_utime + usage.ru_stime)


def _failed(error: Exception) -> bytes:
    from proxima.sandbox.errors import LockError

    if isinstance(error, LockError):
        return json.dumps({"failed": error.step, "reason": error.reason, "hint": error.hint}).encode()
    return json.dumps({"error": str(error)}).encode()


class Nursery:
    """Where workers are forked; one ahead, where they are ``often`` asked for."""

    def __init__(self, often: bool) -> None:
        from proxima.sandbox import worker
        from proxima.sandbox.linux import lock

        self._often = often
        self._begin, self._wait, self._fork_apart = worker.begin, worker.wait, lock.fork
        self._waiting: tuple[int, socket.socket] | None = None
        self._base: Program | None = None
        self.lacks_one = False
        """Whether `prepare` is due: a worker at tier A was asked for, so there may be another."""

    def spawn(self, kind: int, fds: Sequence[int]) -> tuple[int, bool]:
        """Starts a worker; what it may do comes by its own channel. Gives its pid, and whether it waited.

        Raises:
            LockError: It could not be forked into namespaces of its own.
            OSError: It could not be forked.
        """
        if kind == UNLOCKED:
            pid = os.fork()
            if pid == 0:
                self._begin(fds)  # never comes back
            return pid, False
        waited = self._take_waiting(fds) if kind == PLAIN else 0
        pid = waited or self._fork(fds)
        self.lacks_one = self._often and self._waiting is None
        return pid, waited > 0

    def _fork(self, fds: Sequence[int]) -> int:
        birth = self._fork_apart()
        if birth.pid == 0:
            self._begin(fds, birth.parent, birth.user_namespace)  # never comes back
        birth.close()
        return birth.pid

    def _take_waiting(self, fds: Sequence[int]) -> int:
        """Makes the child that waits a worker; 0 where there is none."""
        if self._waiting is None:
            return 0
        (pid, leash), self._waiting = self._waiting, None
        try:
            leash.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))], socket.MSG_NOSIGNAL)
        except OSError:
            os.waitpid(pid, 0)  # it ended by itself
            return 0
        finally:
            leash.close()
        return pid

    def prepare(self) -> None:
        """Forks the child that waits; where that fails, the next worker's own fork says so."""
        from proxima.sandbox.errors import LockError

        self.lacks_one = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            base = self._prepared()
            birth = self._fork_apart()
        except LockError:
            ours.close()
            theirs.close()
            return
        if birth.pid == 0:
            self._wait(theirs.fileno(), birth.parent, birth.user_namespace, base)  # never comes back
        birth.close()
        theirs.close()
        self._waiting = birth.pid, ours

    def _prepared(self) -> Program:
        from proxima.sandbox.linux.lock import worker_holder, write_base

        if self._base is None:
            self._base = write_base(worker_holder("A", 1, os.getpid(), waited=True)).program
        return self._base


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
