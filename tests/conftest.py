"""What the tests that cross packages share: a kernel, and the real command, on a temporary home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import proxima
from proxima.paths import Paths

Proxima = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def px(tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxima.Kernel]:
    """A kernel with every installed plugin, on a home of its own."""
    with proxima.open(paths=Paths.under(str(tmp_path_factory.mktemp("home")))) as kernel:
        yield kernel


@pytest.fixture
def run_proxima(tmp_path: Path) -> Proxima:
    """Runs the real command in a process of its own, with a temporary home, in an empty directory."""
    work = tmp_path / "work"
    work.mkdir()

    def run(
        *words: object, stdin: str = "", home: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PROXIMA_HOME": str(home or tmp_path / "home"), "COLUMNS": "100"} | environment
        command = [sys.executable, "-m", "proxima", *map(str, words)]
        return subprocess.run(command, input=stdin, env=env, cwd=work, capture_output=True, text=True, timeout=120)

    return run
