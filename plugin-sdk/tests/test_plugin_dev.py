"""`proxima plugin dev`: a real project that is edited while it is watched."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxima.errors import UsageError
from proxima.sandbox.probe import probe
from proxima_sdk.dev import changes, look, snapshot
from proxima_sdk.new import Project, create_project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

SECONDS = 60.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create_project(Project(name="pond", type="visualization", author="Ada"), tmp_path, git=False)


def command(project: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    environ = os.environ | {"PROXIMA_HOME": str(project.parent / "home"), "PYTHONUNBUFFERED": "1"}
    return [sys.executable, "-m", "proxima", "plugin", "dev", str(project), *words], environ


class Watched:
    """The command at work; its lines are waited for."""

    def __init__(self, project: Path) -> None:
        words, environ = command(project)
        self.process = subprocess.Popen(
            words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, text: str) -> str:
        """Everything up to a line that holds the text."""
        seen, end = "", time.monotonic() + SECONDS
        while text not in seen:
            try:
                seen += self._lines.get(timeout=end - time.monotonic())
            except (queue.Empty, ValueError):
                pytest.fail(f"no line with {text!r} in {SECONDS:g} s, but:\n{seen}")
        return seen


@pytest.fixture
def watched(project: Path) -> Iterator[Watched]:
    at_work = Watched(project)
    yield at_work
    at_work.process.kill()
    at_work.process.wait()
    assert at_work.process.stdout is not None
    at_work.process.stdout.close()


def test_an_edit_is_looked_at_and_ctrl_c_ends_it(project: Path, watched: Watched) -> None:
    source = project / "src" / "pond" / "histogram.py"
    text = source.read_text()
    watched.until("nothing is wrong with visualization pond")
    source.write_text(text + "\n1 / 0\n")
    seen = watched.until("1 errors")
    assert "src/pond/histogram.py\n" in seen
    assert f'File "{source}", line {len(text.splitlines()) + 2}' in seen
    assert "ZeroDivisionError" in seen
    assert "_hookexec" not in seen
    source.write_text(text)
    watched.until("nothing is wrong")
    manifest = project / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace('name: "pond"\n      class', 'name: "lake"\n      class'))
    assert "lake" in watched.until("1 errors")
    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(SECONDS) == 0


def once(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line, environ = command(project, "--once", *words)
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_once_with_tests(project: Path) -> None:
    done = once(project, "--test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is wrong" in done.stdout
    assert "passed" in done.stdout
    source = project / "src" / "pond" / "histogram.py"
    source.write_text(source.read_text().replace("count / highest", "1"))
    assert once(project).returncode == 0, "only a test finds it"
    failed = once(project, "--test")
    assert failed.returncode == 1
    assert "test_heights_are_in_proportion_to_the_counts" in failed.stdout


def test_what_is_used_and_not_declared_is_told(project: Path) -> None:
    source = project / "src" / "pond" / "histogram.py"
    source.write_text(
        source.read_text() + "\n\ndef ask() -> None:\n    import subprocess\n\n    subprocess.run(['ls'])\n"
    )
    done = once(project)
    assert done.returncode == 0, done.stdout
    assert "subprocess" in done.stdout
    assert "pond/histogram.py" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"proxima-kernel"', '"numpy>>2.0"', "'numpy>>2.0' is not a requirement"),
        ('name = "pond"\nversion', "version", "project.name is missing"),
        ("[project]", "[project", "is not TOML"),
    ],
)
def test_a_half_edited_project_is_told(project: Path, old: str, new: str, says: str) -> None:
    table = project / "pyproject.toml"
    table.write_text(table.read_text().replace(old, new, 1))
    done = once(project)
    assert (done.returncode, done.stderr) == (1, "")
    assert says in done.stdout
    assert "the project: 1 errors" in done.stdout


def test_a_host_that_cannot_lock_a_worker_is_no_fault_of_the_plugin(project: Path) -> None:
    seen = look(project, probe()._replace(tier="C", reasons=("no seccomp",)))
    assert seen.ok
    assert [(p.code, p.level) for p in seen.problems] == [("host", "warning")]
    assert "not tried: this host cannot lock a worker (no seccomp)" in str(seen.problems[0])


def test_a_directory_without_a_plugin(tmp_path: Path) -> None:
    done = once(tmp_path)
    assert done.returncode == 2
    assert "plugin.yaml" in done.stderr


def test_changes_wait_until_nothing_is_written_any_more(project: Path) -> None:
    seen = changes(project, 0.05)
    assert next(seen) == []
    added = project / "src" / "pond" / "added.py"

    def write() -> None:
        for number in range(10):
            added.write_text("#" * number)
            time.sleep(0.03)
        (project / "src" / "pond" / "proxima-plugin.json").touch()

    writer = threading.Thread(target=write)
    writer.start()
    assert next(seen) == [added]
    writer.join()
    added.unlink()
    assert added in next(seen)


def test_a_project_that_goes_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no directory"):
        snapshot(tmp_path / "gone")
