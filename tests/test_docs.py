"""Every command and every Python example in the documentation works as it stands, and made pages match the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxima.sandbox.interfaces import INTERFACES
from proxima_sdk.new import TYPES

ROOT = Path(__file__).resolve().parent.parent
NATIVE = find_spec("proxima_lret_core") is not None  # it takes a C++ compiler
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs" / "user-guide").glob("*.md") if NATIVE or not p.stem.startswith("lret-")),
    ROOT / "docs" / "developer-guide" / "plugin-development.md",
    ROOT / "docs" / "developer-guide" / "sandbox.md",
    ROOT / "docs" / "developer-guide" / "store.md",
]
# Engines that are not on every platform: lret takes a C++ compiler, the others have no wheels for some.
ENGINES = {"lret": "proxima_lret_core", "--backend quest": "qoqo_quest", "--backend stim": "stim"}
ABSENT = [words for words, module in ENGINES.items() if find_spec(module) is None]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def _commands(page: Path) -> list[str]:
    lines = "\n".join(_blocks(page, "console")).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in commands if not any(named in line for named in ABSENT)]


@pytest.fixture
def place(tmp_path: Path) -> dict[str, object]:
    """A directory with the examples in it, a home of its own, and the environment's commands on the path."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PROXIMA_HOME": str(tmp_path / "home"), "PATH": path, "COLUMNS": "100"}
    return {"cwd": tmp_path, "env": env, "capture_output": True, "text": True, "timeout": 120}


@pytest.mark.parametrize("page", [p for p in PAGES if _commands(p)], ids=lambda p: p.stem)
def test_commands_work(page: Path, place: dict[str, object]) -> None:
    for command in _commands(page):
        done = subprocess.run(["bash", "-c", command], **place)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), command


def _examples(page: Path) -> str:
    blocks = _blocks(page, "python")
    return "\n".join(block for block in blocks if "_lret_" not in block or NATIVE)


@pytest.mark.parametrize("page", [p for p in PAGES if _examples(p)], ids=lambda p: p.stem)
def test_python_examples_work(page: Path, place: dict[str, object]) -> None:
    done = subprocess.run([sys.executable, "-c", _examples(page)], **place)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


def test_every_template_is_listed() -> None:
    page = (ROOT / "docs" / "developer-guide" / "plugin-development.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|.* \| (in a worker|in-process)", page, re.MULTILINE)
    listed = {name: where == "in a worker" for name, where in rows}
    assert listed == {name: f"{name.replace('-', '_')}s" in INTERFACES for name in TYPES}


def test_made_pages_match_the_code() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_code_of_a_problem_with_a_wheel_is_explained() -> None:
    said = re.compile(r'(?:Problem\(|refused\(|failed\(|return |wrong = )\s*"([a-z-]+)",')
    files = [*ROOT.glob("kernel/src/proxima/store/*.py"), *ROOT.glob("plugin-sdk/src/proxima_sdk/validate/*.py")]
    codes = {code for file in files for code in said.findall(file.read_text("utf-8"))}
    page = (ROOT / "docs" / "developer-guide" / "wheel.md").read_text("utf-8")
    assert {"bomb", "smoke", "licence"} <= codes
    assert sorted(codes - set(re.findall(r"`([a-z-]+)`", page))) == []
