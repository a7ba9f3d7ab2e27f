"""Processes, signals and descriptors that a plugin could use up, change or leave. Judged outside the worker."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

from outside import Stopped, gone, through, tried, within

SOMEBODY = 65532  # a user who has nothing else in flight


def signals_that_fill_the_users_queue(arena: Any) -> str:
    """Real-time signals that wait count for the user: whoever has too many keeps the user's programs from any."""
    body = """
def act(arguments):
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for _ in range(5000): signal.pthread_kill(threading.get_ident(), signal.SIGRTMIN + 1)
    except BlockingIOError: pass
    time.sleep(0.5)
    return 'sent'
"""
    arena.plugin("pusher", body)
    before = int(_status(os.getpid(), "SigQ").split("/")[0])
    tool = arena.tool("pusher")
    thread = threading.Thread(target=tool.call, args=({},))
    thread.start()
    held, pid = 0, arena.supervisor.running("pusher").pid
    while thread.is_alive():  # what waits is a thread's own and goes with it
        held = max(held, int(_status(pid, "SigQ").split("/")[0]) - before)
        time.sleep(0.01)
    arena.end("pusher")
    tried(held > 100, f"{held} wait")
    if held > 1500:
        return f"{held} wait"
    raise Stopped(f"{held} wait")


def control_signals_that_fill_the_users_queue(arena: Any) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for _ in range(5000):
        os.kill(os.getpid(), signal.SIGRTMIN + 1)
    held = int(_status(os.getpid(), "SigQ").split("/")[0])
    return through(held > 1500, f"{held} wait")


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise KeyError(name)


def descriptors_that_keep_the_kernel_from_passing_any(arena: Any) -> str:
    """Descriptors in flight count for the user too: four plugins hold what they may, then a fifth is to start."""
    from proxima.errors import ProximaError

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    body = """
import array, socket
def act(arguments):
    global pairs
    pairs = [socket.socketpair() for _ in range(20)]
    held = 0
    for left, right in pairs:
        try:
            while held < 2000:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))
                left.sendmsg([b"x"], [rights], socket.MSG_DONTWAIT)
                held += 250
        except OSError: continue
    return str(held)
"""
    names = [f"holder{n}" for n in range(4)]
    for name in names:
        arena.plugin(name, body)
    arena.plugin("fifth", "def act(arguments): return 'started'")
    held = [int(arena.call(name)) for name in names]
    tried(sum(held) >= 250, f"{held} in flight")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # what most users have
    try:
        arena.call("fifth")
    except (ProximaError, OSError) as error:
        return f"{held} in flight, and no other plugin starts: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for name in names:
            arena.end(name)
    raise Stopped(f"{held} in flight")


def control_descriptors(arena: Any) -> str:
    """What one process has in flight keeps another of the same user from passing any."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if os.geteuid() == 0:
        os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)  # root may always
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pairs = [socket.socketpair() for _ in range(8)]
    for left, _ in pairs:
        socket.send_fds(left, [b"x"], [0] * 250)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        pairs.append(socket.socketpair())
        try:
            socket.send_fds(pairs[-1][0], [b"x"], [0])
        except OSError as error:
            os._exit(error.errno == errno.ETOOMANYREFS)
        os._exit(2)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    return through(refused, "another process could pass none")


def process_that_outlives_the_plugin(arena: Any) -> str:
    body = """
def act(arguments):
    import signal
    for each in range(1, 65):
        try: signal.signal(each, signal.SIG_IGN)
        except (OSError, ValueError): pass
    for _ in range(20): threading.Thread(target=time.sleep, args=(60,)).start()
    return 'x'
"""
    arena.plugin("stayer", body)
    arena.call("stayer")
    worker = arena.supervisor.running("stayer")
    pids = {worker.pid, worker.process.pid}
    arena.end("stayer")
    within(1, lambda: all(map(gone, pids)))
    if left := [pid for pid in pids if not gone(pid)]:
        return f"{left} still run"
    raise Stopped("every process is gone")


def control_process_that_outlives_the_plugin(arena: Any) -> str:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        child = os.fork()
        if child == 0:
            time.sleep(5)
            os._exit(0)
        os.write(writing, struct.pack("i", child))
        os._exit(0)
    os.waitpid(middle, 0)
    (child,) = struct.unpack("i", os.read(reading, 4))
    alive = not gone(child)
    os.kill(child, signal.SIGKILL)
    return through(alive, "it outlives who started it")


def daemon_of_a_plugin_that_runs_programs(arena: Any) -> str:
    """With `subprocess` granted: a program that leaves its session is ended with the worker all the same."""
    arena.limits = {"processes": 8}
    arena.plugin(
        "daemon",
        "def act(arguments):\n    import subprocess\n"
        "    return str(subprocess.Popen(['/bin/sh', '-c', 'setsid sleep 47 & exit 0']).wait())",
        permissions=("subprocess",),
    )
    said = arena.call("daemon")
    worker = arena.supervisor.running("daemon")
    waiting = worker.process.pid
    within(2, _sleepers)
    inside = _sleepers()
    tried(inside, f"no such process; {said}")
    arena.end("daemon")
    within(1, lambda: all(map(gone, [waiting, *inside])))
    if left := [pid for pid in inside if not gone(pid)]:
        return f"{left} still run"
    raise Stopped("ended with its process namespace")


def _sleepers() -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _sleeps(pid)]


def _sleeps(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x0047\x00"
    except OSError:
        return False


def flag_of_a_shared_pipe(arena: Any) -> str:
    """A worker sets flags on its output; those of the kernel's streams, which are others, must not change."""
    body = (
        "def act(arguments):\n    import fcntl\n    for fd in (1, 2):\n"
        "        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n"
        "    return str([os.get_blocking(fd) for fd in (1, 2)])"
    )
    arena.plugin("flagger", body)
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)]
    said = arena.call("flagger")
    arena.end("flagger")
    tried(said == "[False, False]", said)
    if before != [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)]:
        return "the kernel's own streams changed"
    raise Stopped("the worker has pipes of its own")


def control_flag_of_a_shared_pipe(arena: Any) -> str:
    _reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.set_blocking(writing, False)
        os._exit(0)
    os.waitpid(child, 0)
    return through(not os.get_blocking(writing), "the parent's descriptor became non-blocking")


def worker_that_is_inspected(arena: Any) -> str:
    """A process of the same user, another plugin's for instance, must not come at a worker's memory."""
    arena.call("other")
    worker = arena.supervisor.running("other")
    try:
        os.close(os.open(f"/proc/{worker.pid}/mem", os.O_RDWR))
    except PermissionError as error:
        raise Stopped(str(error)) from error
    return "open"


def control_worker_that_is_inspected(arena: Any) -> str:
    child = os.fork()
    if child == 0:
        time.sleep(5)
        os._exit(0)
    try:
        os.close(os.open(f"/proc/{child}/mem", os.O_RDWR))
    finally:
        os.kill(child, signal.SIGKILL)
    return "open"
