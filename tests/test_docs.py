"""Every command and every Python example in the documentation works as it stands, and made pages match the code."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proxima.sandbox.interfaces import INTERFACES
from proxima.store.options import Options
from proxima_sdk.build import built_wheel
from proxima_sdk.manifest.compile import compile_manifest
from proxima_sdk.new import TYPES, Project, create_project
from proxima_sdk.testing import open_kernel

ROOT = Path(__file__).resolve().parent.parent
NATIVE = find_spec("proxima_lret_core") is not None  # it takes a C++ compiler
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs" / "user-guide").glob("*.md") if NATIVE or not p.stem.startswith("lret-")),
    ROOT / "docs" / "developer-guide" / "backend.md",
    ROOT / "docs" / "developer-guide" / "plugin-development.md",
    ROOT / "docs" / "developer-guide" / "sandbox.md",
    ROOT / "docs" / "developer-guide" / "store.md",
    *([ROOT / "docs" / "developer-guide" / "lowrank.md"] if NATIVE else []),
    ROOT / "docs" / "marketplace" / "publishing-guide.md",
]
WITH_INDEX = ("plugins", "publishing-guide")
# Engines that are not on every platform: lret takes a C++ compiler, the others have no wheels for some.
ENGINES = {"lret": "proxima_lret_core", "--backend quest": "qoqo_quest", "--backend stim": "stim"}
ABSENT = [words for words, module in ENGINES.items() if find_spec(module) is None]
SHOWN = re.compile(r"^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)  # what the commands above it print
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


@pytest.fixture(scope="session")
def lab_queue(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Wheels of the example plugin: as it is, and a next version that asks for one permission more."""
    project = tmp_path_factory.mktemp("project") / "lab-queue"
    shutil.copytree(ROOT / "examples" / "plugins" / "lab-queue", project)
    wheels = []
    for version, more in (("0.1.0", ""), ("0.2.0", '  - "file_read:workspace"\n')):
        for name in ("plugin.yaml", "pyproject.toml"):
            text = (project / name).read_text("utf-8").replace('"0.1.0"', f'"{version}"')
            (project / name).write_text(text + more * (name == "plugin.yaml"), "utf-8")
        with built_wheel(project, isolated=False) as wheel:
            wheels.append(Path(shutil.copy(wheel, project)))
    return wheels


@pytest.fixture
def index(place: dict[str, Any], tmp_path: Path, lab_queue: list[Path]) -> Iterator[None]:
    """The directory ``index``, which a web server lists: all that a package index has to be."""
    folder = tmp_path / "index" / "lab-queue"
    folder.mkdir(parents=True)
    for wheel in lab_queue:
        shutil.copy(wheel, folder)
    handler = partial(_Quiet, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place["env"]["PROXIMA_SETTING__store__index_url"] = f"http://127.0.0.1:{server.server_address[1]}/"
        yield
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Tests read what is printed."""


@pytest.mark.parametrize("page", [p for p in PAGES if _commands(p)], ids=lambda p: p.stem)
def test_commands_work(page: Path, place: dict[str, object], request: pytest.FixtureRequest) -> None:
    if page.stem in WITH_INDEX:
        request.getfixturevalue("index")
    said = ""
    for command in _commands(page):
        done = subprocess.run(["bash", "-c", command], **place)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), command
        said += done.stderr + done.stdout
    for shown in SHOWN.findall(page.read_text("utf-8")):
        for line in shown.splitlines():
            assert line in said, line


@pytest.mark.usefixtures("index")
def test_what_a_user_is_asked_is_what_the_page_shows(place: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "user-guide" / "plugins.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(install lab-queue .*?)^```", page, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-m", "proxima", "plugin", "install", "lab-queue", "--version", "0.1.0"]
    asking, asked = pty.openpty()
    with subprocess.Popen(command, cwd=place["cwd"], env=place["env"], stdin=asked, stdout=asked, stderr=asked) as done:
        os.close(asked)
        told = b""
        while b"permissions: " not in told and (more := os.read(asking, 4096)):
            told += more
        os.write(asking, b"no\n")
        assert done.wait(60) == 4
    os.close(asking)
    assert told.decode().replace("\r\n", "\n").rpartition("\x1b[K")[2].lstrip("\r") == shown.rstrip("\n") + " "


def _examples(page: Path) -> str:
    blocks = _blocks(page, "python")
    return "\n".join(block for block in blocks if "_lret_" not in block or NATIVE)


@pytest.mark.parametrize("page", [p for p in PAGES if _examples(p)], ids=lambda p: p.stem)
def test_python_examples_work(page: Path, place: dict[str, object]) -> None:
    done = subprocess.run([sys.executable, "-c", _examples(page)], **place)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
def test_a_plugin_in_a_worker_has_the_settings_and_services_that_the_page_says(tmp_path: Path) -> None:
    page = ROOT / "docs" / "developer-guide" / "plugin-development.md"
    (code,) = [block for block in _blocks(page, "python") if "class Timer" in block]
    (schema,) = re.findall(r"^```yaml\n(config_schema:.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    project = create_project(Project(name="my-timer", type="tool", author="Ada"), tmp_path, git=False)
    looks = """
    def definition(self):
        from proxima.contracts.execution import Execution
        from proxima.contracts.executor import Executor
        from proxima.contracts.records import ResultStore

        kernel = self._kernel
        public = [name for name in dir(kernel) if not name.startswith("_")]
        found = [kernel.services.get(each) is not None for each in (Execution, ResultStore, Executor)]
        of_services = sorted(name for name in dir(kernel.services) if not name.startswith("_"))
        assert (public, found) == (["services", "settings"], [True, True, False]), (public, found)
        assert of_services == ["get", "llm", "require", "secret"], of_services
        assert kernel.settings.section("plugins.my-timer") == {"unit": "us"}
        return super().definition()
"""
    (project / "src" / "my_timer" / "counting.py").write_text(code + looks)
    manifest = project / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace("counting.CountGates", "counting.Timer") + schema)
    compiled, text = compile_manifest(manifest)
    compiled.write_text(text)
    with open_kernel(project, sandboxed=True, settings={"plugins.my-timer.unit": "us"}) as kernel:
        tool = kernel.get("tools", "my-timer")
        assert tool.definition().name == "my-timer"
        assert tool.call({}).text == "0.035 us"


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


def test_every_setting_of_the_store_is_told_with_its_default() -> None:
    page = (ROOT / "docs" / "developer-guide" / "store.md").read_text("utf-8")
    told = {name: row for row in re.findall(r"^\| `.*", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    for name, default in Options()._asdict().items():
        value = f"{default:g}" if isinstance(default, float) else default or ""
        assert f"| {value} |".replace("  ", " ") in told[name], name


def test_every_plugin_to_read_is_there() -> None:
    page = (ROOT / "docs" / "developer-guide" / "plugin-examples.md").read_text("utf-8")
    named = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    examples = {path.name for path in (ROOT / "examples" / "plugins").iterdir() if (path / "plugin.yaml").exists()}
    ours = {path.parent.name for path in ROOT.glob("plugins-core/*/plugin.yaml")}
    assert examples <= set(named) <= examples | ours
