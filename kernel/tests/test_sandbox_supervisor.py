"""Workers as the kernel sees them: started, verified, told, measured, restarted, ended."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import PluginError, SettingsError
from proxima.permissions import Permission
from proxima.sandbox.errors import LockError, SandboxError
from proxima.sandbox.host import confirm
from proxima.sandbox.isolation import limits_of, place_of
from proxima.sandbox.linux.script import Script
from proxima.sandbox.policy import Limits, SandboxPolicy
from proxima.sandbox.scratch import MAX_ENTRIES, ScratchSpace, remove_tree, used_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

PIDS = "def act(arguments):\n    return os.environ['HOME']"


def test_each_plugin_has_a_worker_of_its_own_started_once(sandbox: Any) -> None:
    for name in ("one", "two"):
        sandbox.plugin(name, PIDS)
    sandbox.start()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(sandbox.worker("one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(worker) for worker in found}) == 1
    assert sandbox.worker("two").pid != found[0].pid
    assert sandbox.call("one") != sandbox.call("two")


def test_scratch_is_private_and_goes_with_the_worker(sandbox: Any) -> None:
    sandbox.plugin("one", PIDS)
    scratch = Path(sandbox.worker("one").policy.scratch)
    assert sandbox.call("one") == str(scratch)
    assert scratch.stat().st_mode & 0o777 == 0o700
    assert scratch.parent.stat().st_mode & 0o777 == 0o700
    sandbox.supervisor.restart("one")
    assert not scratch.exists()
    assert sandbox.call("one") != str(scratch)


def test_closing_ends_every_process_and_leaves_no_file(sandbox: Any) -> None:
    sandbox.plugin("one")
    worker, zygote = sandbox.worker("one"), sandbox.supervisor.zygote.pid
    sandbox.supervisor.close()
    for pid in (worker.pid, worker.process.pid, zygote):
        assert not Path(f"/proc/{pid}").exists()
    assert list((Path(sandbox.kernel.paths.cache) / "sandbox").iterdir()) == []
    with pytest.raises(SandboxError, match="closing"):
        sandbox.worker("one")


def test_the_plugin_is_told_that_it_ends(sandbox: Any) -> None:
    body = """
def closing(self):
    print("goodbye")

Plugin_closing = hookimpl(closing, specname="proxima_kernel_closing")
"""
    code = "Plugin.proxima_kernel_closing = Plugin_closing\nplugin = Plugin()\n"
    sandbox.plugin("one", body)
    package = sandbox.workshop.site / "plug_one" / "__init__.py"
    package.write_text(package.read_text().replace("plugin = Plugin()\n", code))
    assert sandbox.worker("one").hooks == ("proxima_kernel_closing",)
    sandbox.supervisor.restart("one")
    sandbox.close()
    assert sandbox.output("one") == ["goodbye"]


def test_events_tell_of_the_process(sandbox: Any) -> None:
    sandbox.plugin("one")
    pid = sandbox.worker("one").pid
    sandbox.supervisor.restart("one")
    told = [(type(event).__name__, event.source, event.process_id) for event in sandbox.events]
    assert told == [("ProcessStarted", "one", pid), ("ProcessCompleted", "one", pid)]


def test_a_permission_that_is_taken_back_ends_the_worker(sandbox: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "x").write_text("content")
    wanted = f"file_read:{data}"
    sandbox.plugin(
        "one",
        "def act(arguments):\n    with open(arguments['path']) as file: return file.read()",
        permissions=[wanted],
    )
    permission = Permission.parse(wanted)
    sandbox.kernel.permissions.grants.grant("one", permission)
    worker = sandbox.worker("one")
    assert permission in worker.granted
    assert sandbox.call("one", path=str(data / "x")) == "content"
    sandbox.kernel.permissions.grants.revoke("one", permission)
    deadline = time.monotonic() + 5
    while worker.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.alive
    with pytest.raises(PluginError):
        sandbox.call("one", path=str(data / "x"))
    assert sandbox.worker("one").granted == ()


def test_no_policy_no_worker_and_no_lower_tier(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxima.sandbox import host

    def unverified(pid: int, policy: SandboxPolicy) -> None:
        raise LockError("verify", "Seccomp is 0, not 2", plugin=policy.plugin)

    sandbox.plugin("one")
    sandbox.start()
    monkeypatch.setattr(host, "verify", unverified)
    with pytest.raises(LockError, match="verify: Seccomp is 0, not 2") as caught:
        sandbox.worker("one")
    assert caught.value.plugin == "one"
    assert [what for what, _ in sandbox.audit("one")] == ["sandbox.lock"]
    assert os.listdir(sandbox.supervisor._scratch.root) == ["canary"]
    assert sandbox.locked() == []


def half_of_a_lock() -> Script:
    script = Script("one", ())
    for name in ("first", "second"):
        with script.step(name):
            script.call("getpid", wanted=(7,), about="x")
    return script


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("ready", "nothing that makes sense"),
        (["m", 2, 7, 0.01], "nothing that makes sense"),
        (["n", 2, 7, 1], "nothing that makes sense"),
        (["n", 2, 7, 0.01, "more"], "nothing that makes sense"),
        (["n", 3, 7, 0.01], "it made 3 of 2 system calls"),
        (["n", -1, 7, 0.01], "it made -1 of 2 system calls"),
        (["n", 1, -1, 0.01], "second: getpid: Operation not permitted: x"),
        (["n", 0, 8, 0.01], "first: getpid answered 8: x"),
        (["n", 0, -1 << 62, 0.01], "first: getpid answered -4611686018427387904: x"),
    ],
)
def test_a_handshake_that_is_not_right_is_refused(said: object, why: str) -> None:
    with pytest.raises(LockError, match=why) as caught:
        confirm(said, "n", half_of_a_lock())
    assert caught.value.plugin == "one"
    assert confirm(["n", 2, 7, 0.01], "n", half_of_a_lock()) == 0.01


def test_used_bytes_counts_empty_files_and_gives_up_on_what_it_cannot_measure(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).touch()
    assert used_bytes(str(tmp_path)) == 10 * 4096
    (tmp_path / "link").symlink_to("/usr")
    assert used_bytes(str(tmp_path)) == 11 * 4096
    flood = tmp_path / "flood"
    flood.mkdir()
    for number in range(2000):
        os.link(tmp_path / "0", flood / str(number))
    assert used_bytes(str(tmp_path)) < sys.maxsize
    assert MAX_ENTRIES > 2000


def test_remove_tree_removes_what_a_plugin_can_leave_behind(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "link").symlink_to(kept)
    (scratch / "shut").mkdir()
    (scratch / "shut" / "file").touch()
    (scratch / "shut").chmod(0)
    here = os.open(scratch, os.O_RDONLY)
    try:
        for _ in range(3000):  # far beyond PATH_MAX and Python's recursion limit
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    remove_tree(str(scratch))
    assert not scratch.exists()
    assert (kept / "file").read_text() == "mine"


def test_scratch_of_kernels_that_are_gone_is_swept(sandbox: Any) -> None:
    space = ScratchSpace(sandbox.kernel.paths)
    space.open()
    base = Path(space.root).parent
    for name in ("1-1", "999999999-5", "rubbish"):
        (base / name).mkdir()
        (base / name / "file").touch()
    ScratchSpace(sandbox.kernel.paths).open()
    assert [path.name for path in base.iterdir()] == [Path(space.root).name]
    space.close()


SETTINGS = "[isolation]\n{}\n[limits.one]\ncpu_seconds = 7\n[limits.maximum]\nmemory_bytes = 1073741824\n"


def place(sandbox: Any, text: str, monkeypatch: pytest.MonkeyPatch, name: str = "one") -> str:
    monkeypatch.delenv("PROXIMA_SETTING__ISOLATION__DEFAULT", raising=False)
    config = Path(sandbox.kernel.paths.config)
    config.mkdir(parents=True, exist_ok=True)
    (config / "settings.toml").write_text(text)
    for read in ("isolation", "own_settings"):
        sandbox.kernel.__dict__.pop(read, None)
    return place_of(sandbox.kernel.registry.get(name), sandbox.kernel.isolation._settings)


def test_a_strangers_plugin_runs_in_a_worker_unless_the_user_trusts_it(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.plugin("one", isolation="in-process")
    assert place(sandbox, "", monkeypatch) == "worker"
    assert place(sandbox, '[isolation]\none = "in-process"', monkeypatch) == "in-process"
    assert place(sandbox, '[isolation]\ndefault = "in-process"', monkeypatch) == "in-process"
    assert place(sandbox, '[isolation]\ndefault = "in-process"\none = "worker"', monkeypatch) == "worker"
    with pytest.raises(SettingsError, match="expected worker or in-process"):
        place(sandbox, '[isolation]\none = "none"', monkeypatch)


def test_a_workspace_does_not_loosen_the_lock(sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sandbox.plugin("one")
    monkeypatch.chdir(tmp_path)
    Path("proxima.toml").write_text('[isolation]\none = "in-process"\nallow_tier_c = true\n')
    assert place(sandbox, "", monkeypatch) == "worker"


def test_limits_are_the_manifests_up_to_the_hosts_and_then_what_the_user_says(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.plugin("one")
    record = sandbox.kernel.registry.get("one")
    record.manifest.raw["limits"] = {"memory_bytes": 1 << 40, "open_files": 32}
    place(sandbox, SETTINGS.format(""), monkeypatch)
    limits = limits_of(record, sandbox.kernel.isolation._settings)
    assert limits == Limits(memory_bytes=1 << 30, open_files=32, cpu_seconds=7)
    record.manifest.raw["limits"] = {"gold": 1}
    with pytest.raises(SettingsError, match="limits of one"):
        limits_of(record, sandbox.kernel.isolation._settings)


def test_what_only_runs_in_process_is_refused_with_the_way_out(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.workshop.lay_out("tea")  # a command
    place(sandbox, "", monkeypatch, "tea")
    with pytest.raises(SandboxError, match="contributes commands, which cannot run in a worker") as caught:
        sandbox.kernel.get("commands", "tea")
    assert 'isolation.tea = "in-process"' in (caught.value.hint or "")
    assert "`proxima plugin install ... --trust`" in (caught.value.hint or "")
    assert sandbox.workshop.imported() == []


def test_the_kernel_hands_out_a_stand_in_and_tells_where_it_runs(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.plugin("one", "def act(arguments):\n    return os.getpid()")
    place(sandbox, "", monkeypatch)
    tool = sandbox.kernel.get("tools", "one")
    assert (type(tool).__module__, type(tool).__qualname__) == ("plug_one", "Act")
    assert tool.call({}).text != str(os.getpid())
    assert "plug_one" not in sys.modules
    assert sandbox.kernel.registry.get("one").isolation == f"worker, tier {sandbox.kernel.isolation.host.tier}"


def test_no_tier_no_start_without_consent(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxima.sandbox.probe import HostSupport

    sandbox.plugin("one")
    for text in ("", "[isolation]\nallow_tier_c = true"):
        place(sandbox, text, monkeypatch)
        sandbox.kernel.isolation.__dict__["host"] = HostSupport("C", 0, False, False, ("tier B: no Landlock",))
        if not text:
            with pytest.raises(SandboxError, match=r"cannot hold it to its permissions .tier B: no Landlock"):
                sandbox.kernel.get("tools", "one")
    assert sandbox.kernel.get("tools", "one").call({}).text == "done"
    assert sandbox.kernel.registry.get("one").isolation == "worker, tier C"


def test_a_worker_is_replaced_only_once_what_it_left_is_ended(sandbox: Any) -> None:
    sandbox.plugin("one", "def act(arguments):\n    os._exit(3) if arguments else None")
    supervisor = sandbox.start()
    told: list[str] = []

    def ended(plugin: str) -> None:
        time.sleep(0.3)
        told.append("ended")

    supervisor._serve, supervisor._told_ended = lambda peer, policy: told.append("served"), ended
    worker = sandbox.worker("one")
    os.kill(worker.pid, 9)
    while worker.alive:
        time.sleep(0.001)
    assert sandbox.worker("one").pid != worker.pid
    assert told == ["served", "ended", "served"]
