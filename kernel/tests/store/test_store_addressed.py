"""A dependency that is given by an address: nothing of it is run while versions are looked for."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from proxima.store.errors import StoreError
from proxima.store.problems import WheelError
from proxima.store.resolve import DRIVERS, childless

TOOLS = [driver.name for driver in DRIVERS]


def hostile(root: Path, how: str) -> tuple[str, Path]:
    """The address of a project whose build leaves a mark, and where that would be."""
    mark, project = root / "mark", root / "evil"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (project / "backend.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    if how == "directory":
        return f"file://{project}", mark
    if how == "git":
        git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
        for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
            subprocess.run([*git, *command], cwd=project, check=True)
        return f"git+file://{project}", mark
    path = root / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(project, "evil-1.0")
    return f"file://{path}", mark


@pytest.mark.parametrize("how", ["directory", "sdist", "git"])
@pytest.mark.parametrize("tool", TOOLS)
def test_it_is_neither_built_nor_fetched_and_named(shop: Any, tool: str, how: str) -> None:
    address, mark = hostile(shop.root, how)
    shop.flags["store.resolver"] = tool
    shop.plugin("coffee", "1.0")
    path = shop.plugin("tea", "1.0", f"evil @ {address}")
    shop.library("leaf", "1.0", f"evil @ {address}")
    shop.plugin("cocoa", "1.0", "leaf")
    with shop.kernel() as kernel:
        kernel.store.install("coffee")
        shop.plugin("coffee", "2.0", f"evil @ {address}")
        for name, act in (
            ("leaf", lambda: kernel.store.install("cocoa")),
            ("coffee", lambda: kernel.store.newer("coffee")),
        ):
            with pytest.raises(
                StoreError, match=rf"{name}.* depends on .*evil.*, which is given by an address"
            ) as told:
                act()
            assert "Only wheels of an index are taken" in str(told.value.hint)
        with pytest.raises(WheelError, match=r"evil.* is fetched from an address, not an index"):
            kernel.store.install(str(path))
        assert not mark.exists()
    assert shop.left_behind() == []


STARTS = """
import os, subprocess, sys

for start in (
    os.fork,
    lambda: os.system("true"),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: subprocess.run(["true"]),
):
    try:
        start()
    except PermissionError as error:
        print(error)
print(subprocess.check_output(["keyring", "get"], text=True), end="")
"""


def test_nothing_is_started_but_what_tells_the_user_s_passwords(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    keyring = tmp_path / "keyring"
    keyring.write_text("#!/bin/sh\necho the password\n")
    keyring.chmod(0o755)
    environ = {"PYTHONPATH": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, "-P", childless.__file__, "starts"]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert said == f"{childless.REFUSED}\n" * 5 + "the password\n"
