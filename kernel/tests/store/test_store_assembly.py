"""An import root, as it is made of links to unpacked wheels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxima.errors import DeadlineExceededError, StorageError
from proxima.store.errors import StoreError
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.trees import Assembly, Tree


def assembled(tmp_path: Path, *trees: Tree) -> Path:
    assembly = Assembly({str(tmp_path / "site"): trees})
    assembly.start()
    try:
        assembly.wait(Job(deadline=time.monotonic() + 60))
        assembly.keep(Layout(str(tmp_path / "store"), str(tmp_path / "cache")), Job())
    finally:
        assembly.discard()
    return tmp_path / "site"


def tree(tmp_path: Path, name: str, files: dict[str, str], *, new: bool = False) -> Tree:
    for path, text in files.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(text)
    return Tree(str(tmp_path / "store" / "wheels" / name) if new else str(tmp_path / name), str(tmp_path / name))


def test_of_a_file_that_two_wheels_have_the_first_one_s_is_taken(tmp_path: Path) -> None:
    trees = [tree(tmp_path, name, {"shared/same.py": name, f"shared/{name}.py": name}) for name in ("one", "two")]
    site = assembled(tmp_path, *trees)
    assert (site / "shared" / "same.py").read_text() == "one"
    assert {path.name for path in (site / "shared").iterdir()} == {"same.py", "one.py", "two.py"}


def test_what_is_new_is_compiled_wherever_it_lies(tmp_path: Path) -> None:
    """Tests are left out, those of the wheel and not the directory's own; a file that does not compile stays."""
    under = tmp_path / "tests"
    under.mkdir()
    files = {"tea/__init__.py": "x = 1", "tea/tests/big.py": "y = 2", "tea/broken.py": "def ("}
    site = assembled(under, tree(under, "tea", files, new=True), tree(under, "old", {"old.py": "z = 3"}))
    compiled = {path.name.partition(".")[0] for path in site.rglob("*.pyc")}
    assert compiled == {"__init__"}
    assert {path.name for path in (under / "store" / "wheels" / "tea" / "tea" / "__pycache__").iterdir()} == {
        path.name for path in (site / "tea" / "__pycache__").iterdir()
    }


def test_a_directory_where_another_wheel_has_a_file_is_refused(tmp_path: Path) -> None:
    trees = (tree(tmp_path, "one", {"same": "a file"}), tree(tmp_path, "two", {"same/inner.py": ""}))
    with pytest.raises(StorageError, match=r"site/same: File exists"):
        assembled(tmp_path, *trees)


def test_an_assembly_that_is_killed_is_no_import_root(tmp_path: Path) -> None:
    assembly = Assembly({str(tmp_path / "site"): [tree(tmp_path, "one", {"one.py": ""})]})
    assembly.start()
    assert assembly._process is not None
    os.killpg(assembly._process.pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceededError, match="links"):
        assembly.wait(Job(deadline=time.monotonic() + 0.2))
    os.killpg(assembly._process.pid, signal.SIGKILL)
    try:
        with pytest.raises(StoreError, match="ended before it was done"):
            assembly.wait(Job())
    finally:
        assembly.discard()


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """While it compiles, in several processes."""
    slow = "x = [" + "[1]," * 200_000 + "]\n"
    trees = [tree(tmp_path, name, {f"{name}{n}.py": slow for n in range(40)}, new=True) for name in ("one", "two")]
    code = (
        "import sys, os, signal\n"
        "from proxima.store.trees import Assembly, Tree\n"
        "from proxima.store.job import Job\n"
        "made = Assembly({sys.argv[1]: [Tree(*pair.split('=')) for pair in sys.argv[2:]]})\n"
        "made.start(); made.wait(Job()); print(made._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    pairs = [f"{each.place}={each.work}" for each in trees]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site"), *pairs], capture_output=True, text=True, timeout=60
    )
    group = int(done.stdout)
    deadline = time.monotonic() + 10
    while living(group):
        assert time.monotonic() < deadline, living(group)
        time.sleep(0.05)
    assert not list(tmp_path.rglob("two*.pyc"))  # it did not just come to its end


def living(group: int) -> list[int]:
    """The processes of a group that have not ended; one that nobody waited for has."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
