"""A cloned child is as whole as one of `os.fork`: Python's hooks ran, threads start, libc knows its number."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clone is Linux's")

CHILD = """
import ctypes, json, os, random, sys, threading
sys.path[:0] = json.loads(sys.argv[1])
from proxima.sandbox.linux.clone import _address_of_thread_id, clone
hooks = []
os.register_at_fork(before=lambda: hooks.append("before"), after_in_parent=lambda: hooks.append("parent"),
                    after_in_child=lambda: hooks.append("child"))
reading, writing = os.pipe()
state, address = random.getstate(), _address_of_thread_id()
pid = clone(0)
if pid == 0:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
    thread.start()
    thread.join()
    found = {"hooks": hooks, "pid": os.getpid(), "parent": os.getppid(), "thread": seen[0] != os.getpid(),
             "reseeded": random.getstate() != state,
             "number": ctypes.c_int.from_address(address).value if address else os.getpid(),
             "main": threading.current_thread() is threading.main_thread()}
    os.write(writing, json.dumps(found).encode())
    os._exit(5)
found = json.loads(os.read(reading, 4096))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps([found, {"hooks": hooks, "pid": os.getpid(), "child": pid, "status": status}]))
try: clone(0x10000 | 0x100)  # CLONE_THREAD asks for more than this
except OSError as error: print(error)
threading.Thread(target=print, args=("and goes on",)).start()
"""


def test_a_cloned_child_is_whole_and_so_is_its_parent() -> None:
    paths = json.dumps([each for each in sys.path if each])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, paths],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    told, refused, last = done.stdout.splitlines()
    child, parent = json.loads(told)
    assert child["hooks"] == ["before", "child"]
    assert parent["hooks"] == ["before", "parent"]
    assert (child["pid"], child["parent"], parent["status"]) == (parent["child"], parent["pid"], 5)
    assert child["number"] == child["pid"]
    assert child["thread"]
    assert child["reseeded"]
    assert child["main"]
    assert "clone: Invalid argument" in refused
    assert last == "and goes on"
