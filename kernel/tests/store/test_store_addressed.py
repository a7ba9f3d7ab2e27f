"""A dependency that is given by an address: nothing of it is run while versions are looked for."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from proxima.store.errors import StoreError
from proxima.store.problems import WheelError
from proxima.store.resolve import DRIVERS

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
