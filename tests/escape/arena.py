"""Tries rows of the corpus on a host of their own: `arena.py '{"tier": "A", "uid": 0}'`.

With a tier, each row is tried by a plugin in a real worker of a real supervisor with the kernel's brokers: a fresh one
where the attempt before changed it or the conversation is tried, else the same. With null it is a control: the same
function in a process that nothing holds.

Prints JSON: row -> {"ok": what it got}, {"error": .., "errno": .., "type": ..}
or {"status": ..}.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "kernel" / "tests")]

import corpus  # noqa: E402
import locked_child  # noqa: E402
from host import Arena  # noqa: E402
from row import Row  # noqa: E402


def outcome(error: BaseException) -> dict[str, Any]:
    found = {"error": f"{type(error).__name__}: {error}"[:4000], "errno": getattr(error, "errno", None)}
    return found | {"type": type(error).__name__}


def in_a_worker(arena: Arena, row: Row) -> dict[str, Any]:
    if row.side == "wire":
        arena.end("hostile")  # what is said counts calls from the first
    arena.limits = {"wall_seconds": row.seconds}
    fds = len(os.listdir("/proc/self/fd"))
    try:
        tool = arena.tool("hostile")
        worker = arena.supervisor.running("hostile")
        said = tool.call({"module": row.module, "attempt": row.attempt, "host": arena.told()}).text
        if row.side == "wire" and said == "x":  # its forged answer was as good as its own; what came after it counts
            deadline = time.monotonic() + 10
            while worker.alive and time.monotonic() < deadline:
                time.sleep(0.01)
            raise worker.finish()
        answer = json.loads(said)
    except Exception as error:  # noqa: BLE001 - whatever an attempt meets is its outcome
        answer = outcome(error)
        answer["plugin"] = getattr(error, "plugin", None)
    if row.side == "wire" or row.spoils or not row.stopped(arena.tier or "", answer):
        arena.end("hostile")
    if row.side == "wire":
        arena.call("other")  # the kernel goes on, and so does the other plugin
        deadline = time.monotonic() + 10
        while len(os.listdir("/proc/self/fd")) > fds and time.monotonic() < deadline:
            time.sleep(0.01)
        answer["fds"] = len(os.listdir("/proc/self/fd")) - fds
    return answer  # type: ignore[no-any-return]


def unlocked(function: Any, argument: Any, *, seconds: float = 20) -> dict[str, Any]:
    """Calls it in a child of this process, which holds nothing back but for the bounds on a bomb."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            answer = {"ok": repr(function(argument))[:300]}
        except BaseException as error:  # noqa: BLE001 - whatever an attempt meets is its outcome
            answer = outcome(error)
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    if not select.select([reading], [], [], seconds)[0]:
        os.kill(child, signal.SIGKILL)
    data = os.read(reading, 1 << 16)
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(data) if data else {"status": status}  # type: ignore[no-any-return]


def control(arena: Arena, row: Row) -> dict[str, Any]:
    module = importlib.import_module(row.module)
    os.chdir(arena.host.scratch)
    if row.side == "inside":
        return unlocked(getattr(module, row.attempt), arena.host)
    controls = importlib.import_module("naive_readers") if row.side == "wire" else module
    return unlocked(getattr(controls, row.control), arena)


def from_the_kernel(arena: Arena, row: Row) -> dict[str, Any]:
    arena.limits = {}
    try:
        return {"ok": repr(getattr(importlib.import_module(row.module), row.attempt)(arena))[:300]}
    except Exception as error:  # noqa: BLE001 - whatever an attempt meets is its outcome
        return outcome(error)


def main() -> None:
    spec = json.loads(sys.argv[1])
    if os.geteuid() == 0 and (spec["uid"] or spec["tier"] == "B"):
        locked_child.open_up()
    if spec["uid"]:
        locked_child.become(spec["uid"])
    base = tempfile.mkdtemp(dir="/tmp", prefix="proxima-escape-")
    found: dict[str, Any] = {}
    arena = None
    try:
        arena = Arena(base, spec["tier"])
        for row in corpus.ROWS:
            if spec.get("rows") and row.id not in spec["rows"]:
                continue
            began = time.monotonic()
            arena.lay_bait()
            if spec["tier"] is None:
                if not row.no_control:
                    found[row.id] = control(arena, row)
            elif row.side == "kernel":
                found[row.id] = from_the_kernel(arena, row)
            else:
                found[row.id] = in_a_worker(arena, row)
            found.setdefault(row.id, {})["seconds"] = round(time.monotonic() - began, 3)
    finally:
        if arena is not None:
            arena.close()
        os.chdir("/")
        shutil.rmtree(base, ignore_errors=True)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
