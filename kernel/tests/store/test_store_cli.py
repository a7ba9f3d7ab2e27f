"""The user's side of the store: the commands, what they ask, what they say, and how they are interrupted."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from proxima.cli.install import NEED_TRUST
from proxima.cli.output import ProgressLine
from proxima.cli.proposing import Asking
from proxima.errors import PermissionDeniedError
from proxima.plugins.manifest import KINDS
from proxima.sandbox.interfaces import INTERFACES

NET = "network:example.org"


@pytest.fixture
def cli(shop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs `proxima` in a process of its own: exit code, output, errors."""
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    monkeypatch.setenv("PROXIMA_SETTING__store__index_url", shop.index.url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "proxima", *words]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


def as_json(cli: Any, *words: str) -> Any:
    code, out, err = cli(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_life_from_the_terminal(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    assert cli("plugin", "install", "tea") == (0, "tea 1.0 is installed\n", "install tea 1.0 from tea\n")
    assert cli("plugin", "install", "tea")[:2] == (0, "tea 1.0 is installed already\n")
    assert re.search(r"^tea +1\.0 +enabled", cli("plugin", "list")[1], re.MULTILINE)
    shop.plugin("tea", "1.1", files={"tea/CHANGELOG.md": "# 1.1\nSweeter.\n# 1.0\nFirst.\n"})
    known = {"plugin": "tea", "newest": "1.1", "installed": "1.0"}
    assert as_json(cli, "plugin", "update", "--check") == [known]
    assert "Sweeter" not in cli("plugin", "update", "--check", "--all")[1]
    assert as_json(cli, "plugin", "update", "tea", "--check") == [known | {"changelog": "# 1.1\nSweeter."}]
    out = cli("plugin", "update", "tea", "--check")[1]
    assert out.splitlines()[-3:] == ["what has changed:", "  # 1.1", "  Sweeter."]
    assert shop.said() == "1.0"
    code, out, err = cli("plugin", "update", "tea")
    assert (code, out) == (0, "tea 1.1 is installed in place of 1.0\n")
    assert "what has changed:\n    # 1.1\n    Sweeter.\n" in err
    assert "First" not in err
    assert cli("plugin", "update", "--all")[1] == "tea 1.1 is the newest\n"
    assert cli("plugin", "update", "tea", "--check")[1] == "tea is the newest.\n"
    assert cli("plugin", "rollback", "tea")[1] == "tea 1.0 runs again\n"
    info = as_json(cli, "plugin", "info", "tea")
    assert [(each["version"], each["current"]) for each in info["versions"]] == [("1.1", False), ("1.0", True)]
    assert [each["action"] for each in info["history"]] == ["install", "update", "rollback"]
    assert cli("plugin", "disable", "tea")[0] == 0
    assert cli("plugin", "uninstall", "tea")[1] == "tea is removed\n"
    assert "tea" not in cli("plugin", "list")[1]
    assert shop.left_behind() == []


def test_permissions_are_shown_and_without_a_terminal_not_granted(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0", permissions=[NET])
    code, _, err = cli("plugin", "install", "tea")
    assert code == 4
    assert f"asks for {NET}: Connect to example.org on port 443; risk:" in err
    assert "hint: read what it asks for above; --yes accepts it" in err
    assert "tea" not in cli("plugin", "list")[1]
    assert as_json(cli, "plugin", "install", "tea", "--yes")["permissions"] == [NET]
    (row,) = as_json(cli, "plugin", "permissions", "tea")["permissions"]
    assert (row["permission"], row["state"]) == (NET, "granted")


def test_an_update_that_asks_for_more_leaves_the_old_one_running(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    shop.plugin("cake", "1.0")
    for name in ("tea", "cake"):
        assert cli("plugin", "install", name)[0] == 0
    shop.plugin("tea", "2.0", permissions=[NET])
    shop.plugin("cake", "2.0")
    code, out, err = cli("plugin", "update", "--all")
    assert (code, out) == (1, "cake 2.0 is installed in place of 1.0\n")
    assert f"asks for {NET}" in err
    assert "tea stays as it is" in err
    assert shop.said("tea") == "1.0"
    assert cli("plugin", "update", "tea", "-y")[0] == 0
    assert shop.said("tea") == "2.0"


class Terminal:
    """`proxima` on a terminal of its own, its output read as it comes."""

    def __init__(self, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "proxima", *words])
        self.seen = ""
        self.answered = 0

    def until(self, text: str) -> None:
        """Waits for something that is said after the last answer."""
        end = time.monotonic() + 30
        while text not in self.seen[self.answered :]:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 4096).decode()

    def type(self, line: str) -> None:
        self.answered = len(self.seen)
        os.write(self.fd, line.encode() + b"\n")

    def end(self) -> int:
        try:
            while data := os.read(self.fd, 4096):
                self.seen += data.decode()
        except OSError:  # the other end is closed
            os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(
    ("answers", "code", "granted"),
    [(["y"], 0, ["file_read:workspace", NET]), (["s", "n", "y"], 0, [NET]), (["n"], 4, []), (["what", ""], 4, [])],
)
def test_the_user_is_asked(cli: Any, shop: Any, answers: list[str], code: int, granted: list[str]) -> None:
    shop.plugin("tea", "1.0", permissions=["file_read:workspace", NET])
    terminal = Terminal("plugin", "install", "tea")
    for number, answer in enumerate(answers):
        terminal.until("? [y/n]: " if "s" in answers[:number] else "permissions: ")
        terminal.type(answer)
    assert terminal.end() == code, terminal.seen
    if code == 0:
        rows = as_json(cli, "plugin", "permissions", "tea")["permissions"]
        assert sorted(row["permission"] for row in rows if row["state"] == "granted") == granted
    else:
        assert "tea" not in cli("plugin", "list")[1]
        assert shop.left_behind() == []


def test_ctrl_c_at_the_question_leaves_nothing(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0", permissions=[NET])
    terminal = Terminal("plugin", "install", "tea")
    terminal.until("[n]o")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.end() == 130
    assert shop.left_behind() == []


def test_what_was_typed_before_the_question_grants_nothing(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0", permissions=[NET])
    shop.index.gate.clear()
    terminal = Terminal("plugin", "install", "tea")
    terminal.type("y")
    terminal.until("y")  # its echo: it lies there
    shop.index.gate.set()
    terminal.until("[n]o")
    terminal.type("n")
    assert terminal.end() == 4, terminal.seen
    assert shop.left_behind() == []


def test_what_was_typed_before_bisect_asks_does_not_count(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    assert cli("plugin", "install", "tea")[0] == 0
    terminal = Terminal("plugin", "bisect")
    terminal.type("y")
    terminal.until("Does it fail? [y/n] ")
    terminal.type("n")
    assert terminal.end() == 1
    assert "it works with every plugin on" in terminal.seen


def test_no_answer_in_time_is_a_no(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.plugin("tea", "1.0", permissions=[NET])
    user, program = pty.openpty()
    with os.fdopen(program, "r+b", buffering=0) as end, io.TextIOWrapper(end) as stream, shop.kernel() as kernel:
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        with pytest.raises(PermissionDeniedError, match=r"tea 1\.0 was not accepted: no answer in 0\.2 s"):
            kernel.store.install("tea", consent=Asking(False, ProgressLine(), 0.2))
        monkeypatch.undo()
    os.close(user)
    assert shop.left_behind() == []


def test_others_use_the_store_while_the_user_is_asked(cli: Any, shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", permissions=[NET])
    shop.plugin("cake", "1.0", "leaf")
    terminal = Terminal("plugin", "install", "tea")
    terminal.until("[n]o")
    # Each of them removes what killed processes left, and cake makes of leaf what tea has made already.
    assert cli("plugin", "install", "cake")[:2] == (0, "cake 1.0 is installed\n")
    assert cli("plugin", "uninstall", "cake")[0] == 0
    assert cli("plugin", "install", "cake")[0] == 0
    terminal.type("y")
    assert terminal.end() == 0, terminal.seen
    assert (shop.said("tea"), shop.said("cake")) == ("1.0", "1.0")
    assert shop.left_behind() == []


def test_the_user_is_asked_again_where_another_command_changed_the_plugin(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    assert cli("plugin", "install", "tea")[0] == 0
    shop.plugin("tea", "1.5")
    shop.plugin("tea", "2.0", permissions=[NET])
    terminal = Terminal("plugin", "update", "tea")
    terminal.until("update tea 2.0 (now 1.0)")
    terminal.until("[n]o")
    assert cli("plugin", "update", "tea", "--version", "1.5")[:2] == (0, "tea 1.5 is installed in place of 1.0\n")
    terminal.type("y")
    terminal.until("update tea 2.0 (now 1.5)")
    terminal.until("note: you are asked again: something of this was changed in the meantime")
    assert shop.said("tea") == "1.5", "the answer was to another question"
    terminal.type("y")
    assert terminal.end() == 0, terminal.seen
    assert shop.said("tea") == "2.0"
    assert shop.left_behind() == []


def test_who_was_killed_at_the_question_left_nothing_for_long(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0", permissions=[NET])
    shop.plugin("cake", "1.0")
    terminal = Terminal("plugin", "install", "tea")
    terminal.until("[n]o")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.end() == -signal.SIGKILL
    assert shop.left_behind() != []
    assert cli("plugin", "install", "cake")[0] == 0
    assert shop.left_behind() == []


def test_trust_is_asked_too(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    code, _, err = cli("plugin", "install", "tea", "--trust")
    assert code == 4
    assert "with all of your rights" in err
    assert cli("plugin", "install", "tea", "--trust", "--yes")[0] == 0
    assert as_json(cli, "plugin", "info", "tea")["isolation"] == "in-process"
    (told,) = [each for each in as_json(cli, "doctor") if each["detail"].startswith("tea: not isolated")]
    assert "because installed with --trust" in told["detail"]
    assert told["hint"] == "install again without it: proxima plugin install NAME"
    assert cli("plugin", "install", "tea")[:2] == (0, "tea 1.0 is installed in place of 1.0\n")
    code, _, err = cli("plugin", "rollback", "tea")
    assert code == 4
    assert "roll back to tea 1.0 (now 1.0) from tea" in err
    assert "with all of your rights" in err
    for answer, code in (("n", 4), ("y", 0)):
        assert as_json(cli, "plugin", "info", "tea")["isolation"].startswith("worker")
        terminal = Terminal("plugin", "rollback", "tea")
        terminal.until("Roll back to it? [y]es, [n]o: ")
        terminal.type(answer)
        assert terminal.end() == code, terminal.seen
    assert "tea 1.0 runs again, inside Proxima's own process and with all of your rights" in terminal.seen
    assert as_json(cli, "plugin", "info", "tea")["isolation"] == "in-process"
    assert shop.left_behind() == []


COMMAND = """
from proxima.hookspecs import hookimpl


class Act:
    name = summary = "tea"

    def configure(self, parser):
        pass

    def run(self, args, kernel):
        print("it runs")
        return 0


class Plugin:
    @hookimpl
    def proxima_commands(self):
        return [Act()]


plugin = Plugin()
"""


def test_what_runs_with_trust_alone_is_told_before_it_is_installed(cli: Any, shop: Any) -> None:
    points = {"commands": [{"name": "tea", "class": "tea.Act", "description": "tea"}]}
    shop.plugin("tea", "1.0", code=COMMAND, type="command", entry_points=points)
    needs = "note: needs --trust to run: it contributes commands, which cannot run in a worker"
    code, _, err = cli("plugin", "install", "tea")
    assert code == 0
    assert needs in " ".join(err.split())
    code, _, err = cli("tea")
    assert code == 3
    assert "--trust" in err
    code, _, err = cli("plugin", "install", "tea", "--trust", "--yes")
    assert code == 0
    assert needs not in " ".join(err.split())
    assert cli("tea")[:2] == (0, "it runs\n")


def test_the_kinds_that_need_trust_are_named_in_full() -> None:
    named = set(re.split(r", | and ", NEED_TRUST.lower().replace("llm ", "llm_").replace("mcp ", "mcp_")))
    assert named == set(KINDS) - set(INTERFACES)


def test_another_machine_is_made_the_same(cli: Any, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"cups": {"type": "integer", "default": 1}}
    shop.plugin("tea", "1.0", permissions=[NET], config_schema=schema)
    shop.plugin("cake", "1.0")
    for name in ("tea", "cake"):
        code, _, err = cli("plugin", "install", name, "--yes")
        assert code == 0, err
    assert cli("plugin", "config", "tea", "cups", "3")[0] == 0
    assert cli("plugin", "lock", "-o", "set.lock")[1] == "wrote set.lock: 2 plugins\n"
    shop.plugin("tea", "2.0", config_schema=schema)
    monkeypatch.setenv("PROXIMA_HOME", str(shop.root / "elsewhere"))
    shop.plugin("milk", "1.0")
    assert cli("plugin", "install", "milk")[0] == 0
    made = as_json(cli, "plugin", "sync", "set.lock", "--yes")
    assert {each["plugin"]: each["version"] for each in made["changed"]} == {"tea": "1.0", "cake": "1.0"}
    assert made["removed"] == ["milk"]
    assert as_json(cli, "plugin", "config", "tea", "cups")["value"] == 3
    (row,) = as_json(cli, "plugin", "permissions", "tea")["permissions"]
    assert row["state"] == "granted"
    assert cli("plugin", "sync", "set.lock")[1] == "Everything is as the file says.\n"
    text = Path("set.lock").read_text()
    for wrong, words in (('"cups": "many"', "'many' is not of type"), ('"mugs": 3', "tea has no setting 'mugs'")):
        Path("set.lock").write_text(text.replace('"cups": 3', wrong))
        code, _, err = cli("plugin", "sync", "set.lock")
        assert (code, words in err) == (2, True), err
    assert as_json(cli, "plugin", "config", "tea", "cups")["value"] == 3


def test_what_differs_from_the_lock_is_made_like_it_or_told(cli: Any, shop: Any) -> None:
    schema = {"cups": {"type": "integer", "default": 1}, "milk": {"type": "boolean", "default": False}}
    shop.plugin("tea", "1.0", permissions=["database", NET], config_schema=schema)
    assert cli("plugin", "install", "tea", "--yes")[0] == 0
    assert cli("plugin", "permissions", "tea", "reset", NET)[0] == 0
    assert cli("plugin", "config", "tea", "cups", "3")[0] == 0
    assert cli("plugin", "lock", "-o", "set.lock")[0] == 0
    for words in (
        ["permissions", "tea", "reset", "database"],
        ["permissions", "tea", "grant", NET],
        ["config", "tea", "cups", "4"],
        ["config", "tea", "milk", "true"],
        ["disable", "tea"],
    ):
        assert cli("plugin", *words)[0] == 0
    code, _, err = cli("plugin", "sync", "set.lock")
    assert code == 4
    assert "grant permissions to tea 1.0 from tea" in err
    assert "asks for database" in err
    said = cli("plugin", "sync", "set.lock", "--yes")[1].splitlines()
    assert said == [
        "tea: database is granted",
        "tea: cups is set to 3",
        "tea: milk stays set as it is: the file does not have it",
        "tea: is turned on",
    ]
    rows = as_json(cli, "plugin", "permissions", "tea")["permissions"]
    assert {row["permission"]: row["state"] for row in rows} == {"database": "granted", NET: "undecided"}
    assert cli("plugin", "sync", "set.lock")[1] == "tea: milk stays set as it is: the file does not have it\n"
    assert cli("plugin", "config", "tea", "milk", "--unset")[0] == 0
    assert cli("plugin", "sync", "set.lock")[1] == "Everything is as the file says.\n"


@pytest.mark.parametrize(("answer", "code", "runs"), [("n", 4, "1.0"), ("y", 0, "2.0")])
def test_an_update_that_asks_for_more_asks_the_user(cli: Any, shop: Any, answer: str, code: int, runs: str) -> None:
    shop.plugin("tea", "1.0", permissions=["database"])
    assert cli("plugin", "install", "tea", "--yes")[0] == 0
    shop.plugin("tea", "2.0", permissions=["database", NET])
    terminal = Terminal("plugin", "update", "tea")
    terminal.until("[n]o")
    terminal.type(answer)
    assert terminal.end() == code, terminal.seen
    assert f"asks for {NET}" in terminal.seen
    assert "asks for database" not in terminal.seen, "it has been granted"
    assert shop.said() == runs
    rows = as_json(cli, "plugin", "permissions", "tea")["permissions"]
    granted = sorted(row["permission"] for row in rows if row["state"] == "granted")
    assert granted == ["database", *([NET] if code == 0 else [])]


def test_an_update_that_fails_its_trial_is_taken_back(cli: Any, shop: Any) -> None:
    shop.plugin("tea", "1.0")
    assert cli("plugin", "install", "tea")[0] == 0
    shop.plugin("tea", "2.0", body="raise RuntimeError('the kettle is broken')")
    code, out, err = cli("plugin", "update", "tea")
    assert (code, out) == (3, "")
    assert "the kettle is broken" in err
    info = as_json(cli, "plugin", "info", "tea")
    assert [(each["version"], each["current"]) for each in info["versions"]] == [("1.0", True)]
    assert [(each["action"], each["outcome"]) for each in info["history"]] == [
        ("install", "done"),
        ("update", "failed"),
    ]
    assert shop.said() == "1.0"
    assert shop.left_behind() == []


def test_the_user_goes_back_to_any_version_that_is_kept(cli: Any, shop: Any) -> None:
    for version in ("1.0", "2.0", "3.0"):
        shop.plugin("tea", version)
        assert cli("plugin", *(("install", "tea") if version == "1.0" else ("update", "tea")))[0] == 0
    assert cli("plugin", "rollback", "tea", "1.0")[:2] == (0, "tea 1.0 runs again\n")
    code, _, err = cli("plugin", "rollback", "tea")
    assert code == 3
    assert "no older version of tea is kept" in err
    assert "3.0, 2.0, 1.0 (runs now)" in err
    assert cli("plugin", "rollback", "tea", "4.0")[0] == 3
    assert as_json(cli, "plugin", "rollback", "tea", "3.0") == {
        "plugin": "tea",
        "version": "3.0",
        "trusted": False,
    }
    assert shop.said() == "3.0"
    assert shop.left_behind() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["install", "absent-plugin"], 3, "absent-plugin"),
        (["install", "./absent.whl"], 2, "there is no such wheel"),
        (["install", "./tea-1.0-py3-none-any (1).whl"], 2, "give it the name that it was built with"),
        (["install", "tea", "--version", "1.0\n-e /evil"], 2, "is not a distribution's name"),
        (["install", "tea", "--version", "new"], 2, "Invalid specifier: '==new'"),
        (["install", "http://example.org/x.whl"], 2, "https"),
        (["install", "https://[x/tea-1.0-py3-none-any.whl"], 2, "is no address: Invalid IPv6 URL"),
        (["install", "https://a..b/tea-1.0-py3-none-any.whl"], 2, "is no address: "),
        (["uninstall", "absent"], 3, "the store has no plugin called 'absent'"),
        (["uninstall", "execution"], 3, "It is in the environment; pip or uv put it there"),
        (["rollback", "absent"], 3, "the store has no plugin called 'absent'"),
        (["update"], 2, "name a plugin, or give --all or --check"),
        (["update", "tea", "--all"], 2, "name a plugin, or give --all or --check"),
        (["update", "tea", "--check"], 3, "the store has no plugin called 'tea'"),
        (["update", "--all", "--version", "1"], 2, "--version needs the name of one plugin"),
        (["sync", "absent.lock"], 1, "cannot read absent.lock"),
    ],
)
def test_what_is_wrong_is_said(cli: Any, shop: Any, words: list[str], code: int, said: str) -> None:
    Path("tea-1.0-py3-none-any (1).whl").touch()
    got, _, err = cli("plugin", *words)
    assert said in err
    assert got == code
    assert shop.left_behind() == []


def test_newer_versions_are_looked_for_on_schedule_and_told_of(
    cli: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.plugin("tea", "1.0")
    assert cli("plugin", "install", "tea")[0] == 0
    shop.plugin("tea", "2.0")
    file = shop.home / "state" / "updates.json"
    assert cli("audit")[0] == 0
    assert not file.exists(), "nothing is looked for unless the user says so"
    monkeypatch.setenv("PROXIMA_SETTING__store__update_check", "daily")
    assert cli("audit")[0] == 0
    known = wait_for(file, "newer")
    assert known["newer"] == {"tea": "2.0"}
    terminal = Terminal("audit")
    assert terminal.end() == 0
    assert "newer plugins: tea 2.0" in terminal.seen
    again = Terminal("audit")
    assert again.end() == 0
    assert "newer plugins" not in again.seen, "once a day is enough"
    assert cli("plugin", "update", "tea")[0] == 0
    assert json.loads(file.read_text())["newer"] == {}


def test_looking_runs_nothing_that_lies_where_the_user_stands(
    cli: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, mark = shop.root / "somewhere", shop.root / "ran"
    (here / "proxima").mkdir(parents=True)
    for name in ("argparse.py", "proxima/__init__.py"):
        (here / name).write_text(f"open({str(mark)!r}, 'w')\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PROXIMA_SETTING__store__update_check", "daily")
    program = [sys.executable, "-P", "-m", "proxima", "audit"]
    subprocess.run(program, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
    wait_for(shop.home / "state" / "updates.json", "newer")
    assert not mark.exists()


def test_updates_by_themselves_ask_for_nothing_new(cli: Any, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tea", "cake", "milk"):
        shop.plugin(name, "1.0")
        assert cli("plugin", "install", name, *(("--trust", "--yes") if name == "milk" else ()))[0] == 0
    shop.plugin("tea", "2.0")
    shop.plugin("milk", "2.0")
    shop.plugin("cake", "2.0", permissions=[NET])
    monkeypatch.setenv("PROXIMA_SETTING__store__update_check", "daily")
    monkeypatch.setenv("PROXIMA_SETTING__store__update", "auto")
    assert cli("plugin", "update", "--all", "--in-background")[0] == 0
    assert (shop.said("tea"), shop.said("cake"), shop.pointer("milk").name[:4]) == ("2.0", "1.0", "1.0-")
    assert wait_for(shop.home / "state" / "updates.json", "newer")["newer"] == {"cake": "2.0", "milk": "2.0"}
    assert [each["action"] for each in as_json(cli, "plugin", "info", "milk")["history"]] == ["install"]


def test_a_password_in_an_address_is_told_to_nobody(cli: Any, shop: Any) -> None:
    shop.plugin()
    address = shop.index.url.replace("/simple/", "/files/tea-1.0-py3-none-any.whl")
    said = cli("plugin", "install", address.replace("http://", "http://anna:s3cret@"))
    assert said[0] == 0, said[2]
    for words in (["info", "tea"], ["info", "tea", "--json"], ["list", "--json"], ["lock", "-o", "set.lock"]):
        said += cli("plugin", *words)
    lock = (shop.root / "set.lock").read_text()
    said += (lock, (shop.store / "history.jsonl").read_text())
    assert "s3cret" not in str(said)
    assert str(said).count(address) >= 4
    having = [path for path in shop.home.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert [(path.name, path.stat().st_mode & 0o777) for path in having] == [("install.json", 0o600)], "for updates"
    with shop.kernel() as kernel:
        assert kernel.store.installed()[0].source.text.startswith("http://anna:s3cret@")


def wait_for(file: Path, key: str) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if file.exists() and key in (known := json.loads(file.read_text())):
            return known
        time.sleep(0.1)
    raise AssertionError(f"{file} has no {key}")
