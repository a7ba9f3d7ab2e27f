"""The zygote: bare, alone with its one thread, gone with the kernel, and replaced when it dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import proxima.sandbox.zygote
from proxima.sandbox.errors import SandboxError
from proxima.sandbox.imports import HostFinder, environment_paths, host_homes
from proxima.sandbox.spawn import Zygote
from proxima.sandbox.zygote import PLAIN, READY, REAP, REQUEST, UNLOCKED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")


def test_it_has_one_thread_an_empty_environment_and_no_plugin(sandbox: Any) -> None:
    sandbox.plugin("one")
    sandbox.worker("one")
    proc = Path(f"/proc/{sandbox.supervisor.zygote.pid}")
    assert len(list((proc / "task").iterdir())) == 1
    names = {entry.partition("=")[0] for entry in (proc / "environ").read_text().split("\0") if entry}
    assert names == {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
    assert "-I\0-S\0-B" in (proc / "cmdline").read_text()
    assert "plug_one" not in (proc / "maps").read_text()
    # Standard streams, the kernel's process descriptor, the control socket; at tier A the next worker's leash.
    until = time.monotonic() + 10  # the next one may just be forked
    while len(list((proc / "fd").iterdir())) != 5 + (sandbox.waiting() is not None):
        assert time.monotonic() < until, list((proc / "fd").iterdir())
        time.sleep(0.01)


def start(kernel_pid: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    words = [sys.executable, "-I", "-S", "-B", proxima.sandbox.zygote.__file__, str(theirs.fileno()), str(kernel_pid)]
    words += [json.dumps(host_homes()), "often"]
    process = subprocess.Popen(words, pass_fds=(theirs.fileno(),), env={"OPENBLAS_NUM_THREADS": "1"})
    theirs.close()
    return process, ours


def test_it_ends_when_the_control_socket_closes() -> None:
    process, control = start(os.getpid())
    assert control.recv(100) == READY
    control.close()
    assert process.wait(5) == 0


def test_it_refuses_to_fork_without_what_a_worker_needs_and_goes_on() -> None:
    process, control = start(os.getpid())
    assert control.recv(100) == READY
    for kind, pid, why in (
        (UNLOCKED, 0, "sent 0 descriptors"),
        (PLAIN, 0, "sent 0 descriptors"),
        (REAP, os.getpid(), "No child processes"),
    ):
        control.send(REQUEST.pack(kind, pid))
        assert why in json.loads(control.recv(1000))["error"]
    control.close()
    assert process.wait(5) == 0


def test_it_does_not_outlive_a_kernel_that_is_gone_already() -> None:
    process, control = start(1)  # not its parent
    assert process.wait(5) == 1
    control.close()


def test_a_new_one_is_started_when_it_died_idle(sandbox: Any) -> None:
    sandbox.plugin("one")
    sandbox.worker("one")
    first = sandbox.supervisor.zygote.pid
    sandbox.supervisor.restart("one")
    os.kill(first, signal.SIGKILL)
    assert sandbox.call("one") == "done"
    assert sandbox.supervisor.zygote.pid not in (first, None)


def test_one_that_is_used_once_forks_nothing_ahead(sandbox: Any) -> None:
    sandbox.plugin("one")
    sandbox.start()
    sandbox.supervisor.zygote.once = True  # before it is started
    assert sandbox.call("one") == "done"
    time.sleep(0.5)
    zygote = sandbox.supervisor.zygote.pid
    assert len(Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()) == 1


def test_it_is_started_ahead_and_told_of_when_it_is_needed() -> None:
    told: list[int] = []
    before = os.listdir("/proc/self/fd")

    def on_start(stderr: int, pid: int) -> None:
        told.append(pid)
        os.close(stderr)

    one, unused = Zygote(on_start), Zygote(on_start)
    one.start()
    unused.start()
    first = one.pid
    assert first is not None
    assert told == []
    assert one.address_space() > 0  # waits until it is ready
    assert told == [first]
    one.start()
    assert one.pid == first
    one.close()
    unused.close()
    assert (one.pid, unused.pid, told) == (None, None, [first])
    assert os.listdir("/proc/self/fd") == before


def test_one_that_cannot_start_says_so(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxima.sandbox import launching

    sandbox.plugin("one")
    sandbox.start()
    monkeypatch.setattr(launching, "host_homes", dict)  # it finds no numpy, no msgpack and no proxima
    with pytest.raises(SandboxError, match="workers are forked from did not start"):
        sandbox.worker("one")
    sandbox.close()
    assert any("ModuleNotFoundError" in line for line in sandbox.output("kernel"))


def test_the_finder_lends_host_packages_alone() -> None:
    homes = host_homes()
    finder = HostFinder(homes)
    assert finder.find_spec("numpy") is not None
    assert finder.find_spec("proxima") is not None
    assert finder.find_spec("hypothesis") is None
    assert finder.find_spec("json") is None
    assert finder.find_spec("proxima.contracts", ["somewhere"]) is None  # left to its package's own path
    with pytest.raises(ModuleNotFoundError, match="belongs to the kernel"):
        finder.find_spec("proxima.kernel", ["somewhere"])
    assert HostFinder({}).find_spec("numpy") is None


def test_environment_paths_are_site_directories_and_what_pth_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, editable, other = tmp_path / "lib" / "site-packages", tmp_path / "editable", tmp_path / "home"
    for directory in (site / "wheel", editable / "plug", other / "plug"):
        directory.mkdir(parents=True)
    for directory in (site / "wheel", editable / "plug"):
        (directory / "proxima-plugin.json").touch()
    ran = tmp_path / "ran"
    (site / "a.pth").write_text(f"{editable}\nimport os; open({str(ran)!r}, 'w')\n# comment\n{tmp_path}/missing\n")
    monkeypatch.setattr(sys, "path", [str(other), str(site), str(editable)])
    assert environment_paths(str(site), "plug") == (str(editable), str(site))
    assert environment_paths(str(site), "wheel") == (str(site),)  # what the user works on is none of its business
    assert not ran.exists()
