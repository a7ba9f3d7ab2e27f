"""What a worker can do wrong, done for real: each is a typed error that names the plugin, and nothing else suffers."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import PluginBrokenError, PluginError, ProximaError, ResourceError
from proxima.sandbox.errors import CrashedError, LimitError, ProtocolError, SandboxError
from proxima.sandbox.output import BURST, LINES_PER_SECOND

CYCLES = int(os.environ.get("PROXIMA_LEAK_CYCLES", "40"))
FLOOD_BYTES = int(os.environ.get("PROXIMA_FLOOD_BYTES", str(128 << 20)))

# What `act` does, what its caller gets, and what the message says beside the plugin's name.
FAULTS: dict[str, tuple[str, type[ProximaError], str]] = {
    "never_answers": ("time.sleep(60)", LimitError, "longer than 2 s"),
    "answers_byte_by_byte": (
        "for byte in struct.pack('<I', 4000) + bytes(4000): os.write(raw().fileno(), bytes([byte])); time.sleep(0.01)",
        LimitError,
        "longer than 2 s",
    ),
    "answers_twice": (
        (
            "answer = {'$': 'ToolResult', 'text': 'x', 'data': None, 'failed': False}\n"
            "    data = msgpack.packb([2, arguments['call'], answer, None, 0])\n"
            "    os.write(raw().fileno(), 2 * (struct.pack('<I', len(data)) + data)); time.sleep(0.2)"
        ),
        ProtocolError,
        "not in progress",
    ),
    "announces_3_gib": (
        "os.write(raw().fileno(), struct.pack('<I', 3 << 30)); time.sleep(60)",
        ProtocolError,
        "3,221,225,472 bytes",
    ),
    "nests_100000_deep": (
        (
            "data = b'\\x91' * 100000 + b'\\xc0'\n    os.write(raw().fileno(), struct.pack('<I', len(data)) + data)\n"
            "    time.sleep(60)"
        ),
        ProtocolError,
        "not msgpack",
    ),
    "sends_pickle": (
        (
            "data = b'\\x80\\x04\\x95cos\\nsystem\\n.'\n"
            "    os.write(raw().fileno(), struct.pack('<I', len(data)) + data)\n"
            "    time.sleep(60)"
        ),
        ProtocolError,
        "broke the protocol",
    ),
    "gives_a_shape_that_is_no_number": (
        (
            "array = {'$': 'array', 'd': '<f8', 's': [float('nan')], 'b': bytes(8)}\n"
            "    send(2, arguments['call'], tool(array), None, 0)\n"
            "    time.sleep(60)"
        ),
        ProtocolError,
        "broke the protocol",
    ),
    "gives_a_truncated_array": (
        (
            "array = {'$': 'array', 'd': '<f8', 's': [1000], 'b': bytes(8)}\n"
            "    send(2, arguments['call'], tool(array), None, 0)\n"
            "    time.sleep(60)"
        ),
        ProtocolError,
        "broke the protocol",
    ),
    "names_a_buffer_it_was_not_lent": (
        "send(2, arguments['call'], 'x', [7, 1 << 20, False], 0); time.sleep(60)",
        ProtocolError,
        "buffer 7",
    ),
    "closes_the_channel": ("raw().shutdown(); time.sleep(60)", CrashedError, "exit status 0"),
    "exits_0": ("os._exit(0)", CrashedError, "exit status 0"),
    "segfaults": ("ctypes.string_at(0)", CrashedError, "SIGSEGV"),
    "aborts": ("os.abort()", CrashedError, "(SIG"),  # process 1 of a namespace cannot send itself SIGABRT
    "makes_a_32_bit_system_call": (
        (
            "import mmap\n"
            "    page = mmap.mmap(-1, 4096, flags=0x22, prot=7)\n"
            "    page.write(bytes.fromhex('b814000000cd80c3'))  # getpid by int 0x80\n"
            "    ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()"
        ),
        CrashedError,
        "system call that no plugin may make",
    ),
    "fills_its_scratch_directory": (
        (
            "with open('big', 'wb') as file:\n        for _ in range(30): file.write(bytes(1 << 20)); file.flush()\n"
            "    time.sleep(60)"
        ),
        ResourceError,
        "scratch directory",
    ),
    "hides_files_too_deep_to_measure": (
        "for _ in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\n    time.sleep(60)",  # no path names the last
        LimitError,
        "scratch directory holds more than",
    ),
    "uses_up_its_processor_time": ("while True: pass", LimitError, "processor time"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_a_typed_error_and_the_next_call_works(fault: str, sandbox: Any) -> None:
    body, kind, said = FAULTS[fault]
    sandbox.limits = {"wall_seconds": 2.0, "scratch_bytes": 16 << 20}
    if fault == "uses_up_its_processor_time":
        sandbox.limits = {"cpu_seconds": 1}
    if fault.startswith(("fills", "hides")):
        sandbox.limits["wall_seconds"] = 20.0
    if fault.startswith("hides") and sandbox.start().tier == "A":
        pytest.skip("at tier A its file system counts what is in it, however deep")
    # The first call in a conversation after `load` has the number 2.
    name = sandbox.plugin("bad", f"def act(arguments):\n    if arguments.get('well'): return 'well'\n    {body}")
    sandbox.plugin("good")
    assert sandbox.call("good") == "done"
    other = sandbox.worker("good").pid

    def call_twice() -> None:
        sandbox.call(name, call=2)
        sandbox.call(name, call=3)  # where the first got an answer before the fault

    with pytest.raises(kind) as caught:
        call_twice()
    assert "bad" in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.plugin == "bad"
    ended = isinstance(caught.value, SandboxError)  # tier A's own file system is full, and the plugin lives on
    assert any(permission.startswith("sandbox.") for permission, _ in sandbox.audit("bad")) == ended
    assert sandbox.call("bad", well=True) == "well"
    assert sandbox.call("good") == "done"
    assert sandbox.worker("good").pid == other


def test_killed_from_outside(sandbox: Any) -> None:
    sandbox.plugin("bad", "def act(arguments):\n    time.sleep(60)")
    worker = sandbox.worker("bad")
    threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL)).start()
    with pytest.raises(CrashedError, match="plugin bad crashed: it was killed"):
        sandbox.call("bad")


def test_memory_beyond_the_limit_is_an_error_that_names_it(sandbox: Any) -> None:
    sandbox.limits = {"memory_bytes": 1 << 30}
    sandbox.plugin("bad", "def act(arguments):\n    return len(bytes(arguments['size']))")
    with pytest.raises(ResourceError, match=r"plugin bad .*memory_bytes"):
        sandbox.call("bad", size=2 << 30)
    assert sandbox.call("bad", size=10) == "10"


def test_a_file_beyond_the_limit_is_an_error_that_names_it(sandbox: Any) -> None:
    sandbox.limits = {"file_bytes": 1 << 20}
    sandbox.plugin("bad", "def act(arguments):\n    with open('f', 'wb') as f: f.write(bytes(4 << 20))")
    with pytest.raises(ResourceError, match=r"plugin bad .*file_bytes"):
        sandbox.call("bad")


def test_import_that_hangs_is_ended(sandbox: Any) -> None:
    sandbox.plugin("bad", "time.sleep(60)")
    sandbox.start()._seconds = 1.0
    with pytest.raises(LimitError, match="plugin bad was ended: load took longer than 1 s"):
        sandbox.worker("bad")


def test_import_that_raises_tells_what(sandbox: Any) -> None:
    sandbox.plugin("bad", "raise ValueError('on purpose')")
    with pytest.raises(PluginBrokenError, match=r"bad.*on purpose"):
        sandbox.worker("bad")


def test_import_cannot_fork(sandbox: Any) -> None:
    sandbox.plugin("bad", "os.fork()")
    with pytest.raises(PluginBrokenError, match="PermissionError"):
        sandbox.worker("bad")


def test_nothing_of_a_plugin_runs_before_the_lock(sandbox: Any) -> None:
    marks = sandbox.workshop.root / "marks"
    marks.mkdir(mode=0o777)
    (sandbox.workshop.site / "evil.pth").write_text(f"import os; open({str(marks / 'pth')!r}, 'w')\n")
    (sandbox.workshop.site / "sitecustomize.py").write_text(f"open({str(marks / 'site')!r}, 'w')\n")
    sandbox.plugin(
        "bad",
        f"try: open({str(marks / 'import')!r}, 'w')\nexcept PermissionError: pass\nexcept FileNotFoundError: pass",
    )
    assert sandbox.call("bad") == "done"
    assert list(marks.iterdir()) == []


def test_offers_other_than_the_manifests_are_refused(sandbox: Any) -> None:
    sandbox.plugin(
        "bad",
        "class Other(Act): name = 'other'\n",
        code="""
from proxima.hookspecs import hookimpl
class Act:
    name = "another"
class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Act()]
plugin = Plugin()
""",
    )
    with pytest.raises(SandboxError, match=r"contributes plug_bad\.Act named 'another'; its manifest declares"):
        sandbox.worker("bad")


def test_three_crashes_in_a_minute_quarantine_the_plugin(sandbox: Any) -> None:
    sandbox.plugin("bad", "def act(arguments):\n    os._exit(7)")
    for _ in range(3):
        with pytest.raises(CrashedError, match="exit status 7"):
            sandbox.call("bad")
    with pytest.raises(PluginBrokenError, match="failed 3 times within 60 s"):
        sandbox.call("bad")
    assert sandbox.kernel.registry.get("bad").state == "broken"


def test_a_flood_of_output_is_cut_and_counted(sandbox: Any) -> None:
    body = (
        "def act(arguments):\n"
        "    line = b'x' * 1023 + b'\\n'\n"
        "    block = line * 1024\n"
        "    for _ in range(arguments['bytes'] >> 20): os.write(1, block)\n"
        "    os.write(1, b'y' * (1 << 20) + b'\\nlast\\n')\n"
        "    return 'printed'"
    )
    sandbox.plugin("bad", body)
    sandbox.plugin("good")
    assert sandbox.call("good") == "done"
    before = resident()
    finished: list[str] = []
    thread = threading.Thread(target=lambda: finished.append(sandbox.call("bad", bytes=FLOOD_BYTES)))
    started = time.monotonic()
    thread.start()
    answered = 0
    while thread.is_alive():
        assert sandbox.call("good") == "done"
        answered += 1
    assert finished == ["printed"]
    assert answered >= 100  # a thousand where nothing else runs: the kernel has time for others
    sandbox.close()
    lines = sandbox.output("bad")
    most = BURST + LINES_PER_SECOND * (time.monotonic() - started)
    assert len(lines) < 2 * most  # each may be followed by one that says how many were dropped
    assert max(map(len, lines)) <= 4096
    assert any("came too fast and were dropped" in line for line in lines)
    assert resident() - before < 64 << 20


def test_output_and_logging_arrive_as_events(sandbox: Any) -> None:
    body = (
        "import logging\n"
        "def act(arguments):\n"
        "    print('out'); print('err', file=sys.stderr); logging.getLogger('mine').warning('careful')\n"
        "    ctypes.CDLL(None).puts(b'from C'); ctypes.CDLL(None).fflush(None)"
    )
    sandbox.plugin("talker", body)
    sandbox.call("talker")
    sandbox.close()
    kinds = {event.text: type(event).__name__ for event in sandbox.events if hasattr(event, "text")}
    assert kinds["out"] == kinds["from C"] == "OutputLine"
    assert kinds["err"] == kinds["WARNING mine: careful"] == "ErrorLine"


def test_the_zygote_dying_ends_its_workers_and_the_next_call_starts_anew(sandbox: Any) -> None:
    sandbox.plugin("bad", "def act(arguments):\n    time.sleep(arguments.get('seconds', 0))\n    return os.getpid()")
    worker = sandbox.worker("bad")
    threading.Timer(0.3, os.kill, (sandbox.supervisor.zygote.pid, signal.SIGKILL)).start()
    with pytest.raises(CrashedError, match="the process that all workers are forked from ended"):
        sandbox.call("bad", seconds=60)
    deadline = time.monotonic() + 1.0
    while not gone(worker.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone(worker.pid)
    assert sandbox.call("bad")


KERNEL = """
import sys, time
from proxima.kernel import Kernel
from proxima.sandbox.policy import Limits
from proxima.sandbox.supervisor import Supervisor
kernel = Kernel()
supervisor = Supervisor(paths=kernel.paths, registry=kernel.registry, permissions=kernel.permissions,
    publish=lambda event: None, limits=lambda record: Limits(), settings=lambda record: {}, tier=sys.argv[1],
    seconds=20)
worker = supervisor.worker(kernel.registry.get("bad"))
print(worker.pid, worker.process.pid, supervisor.zygote.pid, flush=True)
time.sleep(60)
"""


def test_the_kernel_dying_leaves_no_orphan_for_a_second(sandbox: Any) -> None:
    sandbox.plugin("bad", "threading.Thread(target=time.sleep, args=(60,)).start()")
    tier = sandbox.start().tier
    words = [sys.executable, "-c", KERNEL, tier]
    environment = sandbox.workshop.environ()
    environment["PYTHONPATH"] = os.pathsep.join([str(sandbox.workshop.site), *filter(None, sys.path)])
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as kernel:
        assert kernel.stdout is not None
        pids = [int(word) for word in kernel.stdout.readline().split()]
        assert len(pids) == 3
        kernel.kill()
        deadline = time.monotonic() + 1.0
        while not all(map(gone, pids)) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [pid for pid in pids if not gone(pid)] == []
    # What it left is swept by the next kernel.
    base = Path(sandbox.kernel.paths.cache) / "sandbox"
    assert len(list(base.iterdir())) == 1
    sandbox.call("bad")
    assert [path.name for path in base.iterdir()] == [Path(sandbox.supervisor._scratch.root).name]


def test_32_calls_at_once_to_8_plugins_while_others_crash(sandbox: Any) -> None:
    sandbox.limits = {"memory_bytes": 1 << 30}
    for number in range(8):
        body = "def act(arguments):\n    time.sleep(0.05)\n    return arguments['number'] * 2"
        if number % 4 == 3:
            body = "def act(arguments):\n    time.sleep(0.02)\n    os._exit(9)"
        sandbox.plugin(f"p{number}", body)
    sandbox.start()
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        try:
            answers[number] = sandbox.call(f"p{number % 8}", number=number)
        except PluginError as error:
            answers[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 32
    for number, answer in answers.items():
        if number % 4 == 3:
            assert isinstance(answer, PluginError)
            assert answer.plugin == f"p{number % 8}"
        else:
            assert answer == str(number * 2)


def test_no_leak_over_many_cycles(sandbox: Any) -> None:
    sandbox.plugin("bad", "def act(arguments):\n    open('left behind', 'w').close()\n    os._exit(1)")
    sandbox.start()
    record = sandbox.kernel.registry.get("bad")

    def cycle(number: int) -> None:
        if number % 2:
            sandbox.worker("bad")
            sandbox.supervisor.restart("bad")
        else:
            with pytest.raises(CrashedError):
                sandbox.call("bad")
            sandbox.supervisor._seat("bad").crashes.clear()  # else it would be quarantined
        del sandbox.events[:]

    for number in range(6):
        cycle(number)
    before = usage(sandbox)
    for number in range(CYCLES):
        cycle(number)
    after = usage(sandbox)
    assert record.error() is None
    assert after["fds"] == before["fds"]
    assert after["threads"] <= before["threads"]
    assert after["workers"] == before["workers"] == []
    assert after["scratch"] == before["scratch"]
    assert after["resident"] - before["resident"] < 8 << 20
    assert after["zygote resident"] - before["zygote resident"] < 2 << 20
    assert after["zygote fds"] == before["zygote fds"]


def usage(sandbox: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 5
    while threading.active_count() > 4 and time.monotonic() < deadline:
        time.sleep(0.02)  # the threads of the last conversation are on their way out
    gc.collect()
    zygote = sandbox.supervisor.zygote.pid
    return {
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "workers": sandbox.locked(),
        "scratch": sorted(os.listdir(sandbox.supervisor._scratch.root)),
        "resident": resident(),
        "zygote resident": resident(zygote),
        "zygote fds": len(os.listdir(f"/proc/{zygote}/fd")),
    }


def resident(pid: int | str = "self") -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
