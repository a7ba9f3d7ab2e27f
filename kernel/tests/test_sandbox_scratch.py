"""What a worker at tier B removes counts until nobody holds it; its functions remove and rename as those of `os` do."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxima.paths import Paths
from proxima.sandbox.linux import limits
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.scratch import FOR_ROOT, ScratchSpace, delete_removed, remove_tree, trash_of, used_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")


def laid_aside(tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    (scratch / ".removed").mkdir(parents=True)
    os.mkdir(trash_of(str(scratch)))
    (scratch / ".removed" / "0").write_bytes(bytes(1 << 20))
    return scratch


def held_open(path: Path) -> object:
    return open(path, "rb")


class Mapped:
    """A mapping without a descriptor, which Python's own would keep."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self.address = call("mmap", 0, 4096, 1, 1, file.fileno(), 0)

    def close(self) -> None:
        call("munmap", self.address, 4096)


def in_flight(path: Path) -> object:
    import array
    import socket

    ours, theirs = socket.socketpair()
    with open(path, "rb") as file:
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
    ours.close()
    return theirs


@pytest.mark.parametrize("hold", [held_open, Mapped, in_flight])
def test_a_removed_file_counts_for_as_long_as_anybody_holds_it(tmp_path: Path, hold: object) -> None:
    scratch = laid_aside(tmp_path)
    held = hold(scratch / ".removed" / "0")  # type: ignore[operator]
    for _ in range(2):
        delete_removed(str(scratch))
        assert used_bytes(trash_of(str(scratch))) >= 1 << 20
    assert os.listdir(scratch / ".removed") == []
    held.close()
    delete_removed(str(scratch))
    assert os.listdir(trash_of(str(scratch))) == []


def test_where_leases_do_not_tell_of_mappings_nothing_is_deleted(tmp_path: Path) -> None:
    """On overlayfs, in a mount namespace of root's: a mapping there holds another file than the one that was opened."""
    if not limits.is_root():
        pytest.skip("only root may mount an overlay here")
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            call("unshare", 0x20000)
            call("mount", None, b"/", None, 0x44000, None)
            options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
            call("mount", b"overlay", os.fsencode(tmp_path / "merged"), b"overlay", 0, options.encode())
            scratch = laid_aside(tmp_path / "merged")
            held = Mapped(scratch / ".removed" / "0")
            delete_removed(str(scratch))
            code = 0 if used_bytes(trash_of(str(scratch))) >= 1 << 20 else 2
            held.close()
        except OSError as error:
            code = 3 if error.errno == errno.ENODEV else 1
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 3:
        pytest.skip("this kernel has no overlayfs")
    assert status == 0


def test_what_is_laid_aside_and_is_no_file_stays_and_counts(tmp_path: Path) -> None:
    scratch = laid_aside(tmp_path)
    (scratch / ".removed" / "directory").mkdir()
    delete_removed(str(scratch))
    assert used_bytes(trash_of(str(scratch))) == 4096
    remove_tree(str(scratch / ".removed"))
    (scratch / ".removed").write_text("a file in its place")
    delete_removed(str(scratch))
    remove_tree(str(scratch))
    remove_tree(trash_of(str(scratch)))
    delete_removed(str(scratch))  # the worker has ended meanwhile


REMOVING = """
import json, os, shutil, sys, tempfile
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from proxima.sandbox import worker_removal
os.chdir(sys.argv[2])
worker_removal.install(os.getcwd())
def meets(function, *arguments, **named):
    try: function(*arguments, **named)
    except OSError as error: return type(error).__name__
    return "done"
def content(name): return Path(name).read_text()
found = {}
Path("a").write_text("a"); Path("b").write_text("b"); os.mkdir("d"); os.mkdir("e"); Path("e/x").write_text("x")
found["a directory"] = meets(os.remove, "d")
found["nothing"] = meets(os.unlink, "missing")
found["over a directory"] = meets(os.rename, "a", "d")
found["a directory over a file"] = meets(os.rename, "d", "a")
found["over a full directory"] = meets(os.replace, "d", "e")
found["a full directory over an empty one"] = meets(os.replace, "e", "d"), content("d/x")
found["over a file"] = meets(os.replace, "a", "b"), content("b"), os.path.exists("a")
found["onto itself"] = meets(os.rename, "b", "b"), content("b")
found["by Path"] = meets(Path("b").rename, "c"), meets(Path("c").unlink), os.path.exists("c")
found["a tree"] = meets(shutil.rmtree, "d"), os.path.exists("d")
here = os.open(".", os.O_RDONLY)
Path("f").touch()
found["by descriptor"] = meets(os.unlink, "f", dir_fd=here), os.path.exists("f")
with tempfile.NamedTemporaryFile() as file: name = file.name
with tempfile.TemporaryDirectory() as directory: Path(directory, "y").touch()
found["temporary"] = os.path.exists(name), os.path.exists(directory)
with tempfile.TemporaryFile() as file:
    file.write(b"still mine"); file.seek(0)
    found["removed and open"] = file.read().decode()
found["left"] = sorted(os.listdir("."))
print(json.dumps(found))
"""


def test_removing_and_renaming_are_as_they_were(tmp_path: Path) -> None:
    paths = json.dumps([each for each in sys.path if each])
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", REMOVING, paths, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "a directory": "IsADirectoryError",
        "nothing": "FileNotFoundError",
        "over a directory": "IsADirectoryError",
        "a directory over a file": "NotADirectoryError",
        "over a full directory": "OSError",
        "a full directory over an empty one": ["done", "x"],
        "over a file": ["done", "a", False],
        "onto itself": ["done", "a"],
        "by Path": ["done", "done", False],
        "a tree": ["done", False],
        "by descriptor": ["done", False],
        "temporary": [False, False],
        "removed and open": "still mine",
        "left": [".removed"],
    }


def test_a_worker_of_root_at_tier_b_gets_through_to_its_directory(tmp_path: Path) -> None:
    closed, opened = tmp_path / "closed", Path("/var/tmp") / f"proxima-test-{os.getpid()}"
    cache = Paths.under(str(opened)).cache
    os.makedirs(cache)
    try:
        for path in (opened, Path(cache)):
            path.chmod(0o711)
        assert limits.first_closed(str(closed)) is not None
        assert limits.first_closed(cache) is None
        as_root = limits.is_root()
        hidden = ScratchSpace(Paths.under(str(closed)), "B")
        assert hidden.root.startswith(FOR_ROOT if as_root else str(closed))
        space = ScratchSpace(Paths.under(str(opened)), "B")
        space.open()
        assert (limits.first_closed(space.root) is None) == as_root
        assert ScratchSpace(Paths.under(str(closed)), "A").root.startswith(str(closed))
        space.close()
    finally:
        remove_tree(str(opened))
