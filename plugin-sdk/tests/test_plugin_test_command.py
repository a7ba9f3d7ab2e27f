"""`proxima plugin test` on a real project: in-process, in a real worker, from its source and from its wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import UnavailableError, UsageError
from proxima_sdk.testing import open_kernel

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

PYPROJECT = """
[project]
name = "proxima-tea"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["numpy>=2.0"]

[project.entry-points."proxima.plugins"]
tea = "proxima_tea:plugin"
"""
MANIFEST = """
name: tea
version: "1.0"
description: Makes tea
license: MIT
type: tool
entry_points:
  tools:
    - name: brew
      class: proxima_tea.brew.Brew
      description: Brews tea
"""
BREW = '''
import os

from proxima.contracts.tool import ToolResult
from proxima_sdk import Tool


class Brew(Tool):
    """Brews a pot of tea."""

    name = "brew"

    def call(self, arguments):
        return ToolResult("tea", {"process": os.getpid()})
'''
TESTS = """
import os


def test_brews(proxima_kernel):
    made = proxima_kernel.get("tools", "brew").call({})
    place = proxima_kernel.registry.get("tea").isolation
    assert made.text == "tea"
    assert (made.data["process"] == os.getpid()) == (place == "in-process")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plugin's source directory, whose manifest is not compiled yet."""
    root = tmp_path / "tea"
    package = root / "src" / "proxima_tea"
    package.mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "plugin.yaml").write_text(MANIFEST)
    (root / "tests" / "test_tea.py").write_text(TESTS)
    (package / "__init__.py").write_text("from proxima_sdk import Plugin\n\nplugin = Plugin(__package__)\n")
    (package / "brew.py").write_text(BREW)
    return root


def wheel_of(project: Path, directory: Path) -> Path:
    """A wheel of the project, whose manifest has been compiled."""
    from proxima_sdk.manifest.compile import compile_manifest

    target, text = compile_manifest(project / "plugin.yaml")
    wheel = directory / "proxima_tea-1.0-py3-none-any.whl"
    info = "proxima_tea-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("__init__.py", "brew.py"):
            archive.write(target.parent / name, f"proxima_tea/{name}")
        archive.writestr("proxima_tea/proxima-plugin.json", text)
        metadata = "Metadata-Version: 2.1\nName: proxima-tea\nVersion: 1.0\nRequires-Dist: numpy>=2.0\n\nTea.\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/entry_points.txt", "[proxima.plugins]\ntea = proxima_tea:plugin\n")
    return wheel


def proxima(tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROXIMA_HOME": str(tmp_path / "home"), "COLUMNS": "100"}
    command = [sys.executable, "-m", "proxima", "plugin", "test", *map(str, words)]
    return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240)


def report_of(tmp_path: Path, *words: object) -> tuple[int, dict[str, Any]]:
    done = proxima(tmp_path, *words, "--json")
    return done.returncode, json.loads(done.stdout)


@ON_LINUX
def test_tests_and_kits_run_in_process_and_in_a_worker(project: Path, tmp_path: Path) -> None:
    done = proxima(tmp_path, project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TestBrew0: 8 passed" in done.stdout
    assert [line.split()[:3] for line in done.stdout.splitlines()[-2:]] == [
        ["in-process", "9", "passed,"],
        ["sandboxed", "9", "passed,"],
    ]
    assert (project / "src" / "proxima_tea" / "proxima-plugin.json").is_file()
    assert not (tmp_path / "home" / "data").exists()


def test_a_fault_is_told_in_json_with_its_explanation(project: Path, tmp_path: Path) -> None:
    brew = project / "src" / "proxima_tea" / "brew.py"
    brew.write_text(BREW.replace('"tea", {', '"", {'))
    code, report = report_of(tmp_path, project, "--in-process")
    assert (code, report["plugin"], report["ok"]) == (1, "tea", False)
    (run,) = report["runs"]
    failed = {failure["test"].rpartition(".")[2]: failure["message"] for failure in run["failures"]}
    assert set(failed) == {"test_brews", "test_call"}
    assert "expected:     text that says what came out" in failed["test_call"]


def test_the_authors_own_kit_takes_the_place_of_the_made_one(project: Path, tmp_path: Path) -> None:
    own = (
        "from proxima_sdk.conformance import ToolConformance\n\n\nclass TestMine(ToolConformance):\n    tool = 'brew'\n"
    )
    (project / "tests" / "test_mine.py").write_text(own)
    done = proxima(tmp_path, project, "--in-process")
    assert "TestMine: 8 passed" in done.stdout
    assert "TestBrew0" not in done.stdout


@ON_LINUX
def test_a_kit_that_is_given_a_class_does_not_stand_for_the_worker(project: Path, tmp_path: Path) -> None:
    own = (
        "from proxima_sdk.conformance import ToolConformance\nfrom proxima_tea.brew import Brew\n\n\n"
        "class TestMine(ToolConformance):\n    tool = Brew\n"
    )
    (project / "tests" / "test_mine.py").write_text(own)
    done = proxima(tmp_path, project)
    here, worker = done.stdout.split("-- tea, sandboxed")
    assert "TestMine: 7 passed, 1 skipped" in here
    assert "TestBrew0" not in here
    assert "TestBrew0: 8 passed" in worker


def test_a_wheel_is_tested_as_it_is(project: Path, tmp_path: Path) -> None:
    wheel = wheel_of(project, tmp_path)
    code, report = report_of(tmp_path, wheel, "--in-process")
    assert code == 0, report
    assert report["runs"][0]["passed"] == 8


def test_options_go_to_pytest(project: Path, tmp_path: Path) -> None:
    _, report = report_of(tmp_path, project, "--in-process", "--pytest", "-k definition")
    assert report["runs"][0]["passed"] == 1


def test_tests_that_cannot_be_imported_fail(project: Path, tmp_path: Path) -> None:
    (project / "tests" / "test_tea.py").write_text("import no_such_module\n")
    code, report = report_of(tmp_path, project, "--in-process")
    assert code == 1
    assert "no_such_module" in json.dumps(report["runs"][0])


def test_what_cannot_run_in_a_worker_is_said(project: Path, tmp_path: Path) -> None:
    themes = "  mcp_servers:\n    - {name: files, class: proxima_tea.brew.Files, description: Files}\n"
    (project / "plugin.yaml").write_text(MANIFEST + themes)
    brew = project / "src" / "proxima_tea" / "brew.py"
    server = "\n\nfrom proxima_sdk import MCPServer\n\n\nclass Files(MCPServer):\n    name = 'files'\n"
    brew.write_text(BREW + server + "    url = 'https://example.org/mcp'\n")
    done = proxima(tmp_path, project, "--pytest", "-k test_contract")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sandboxed   not run: it contributes mcp servers, which run in-process only" in done.stdout
    refused = proxima(tmp_path, project, "--sandboxed")
    assert refused.returncode == 3
    assert "tea cannot be tested in a worker" in refused.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "said"),
    [
        ("plugin.yaml", "type: tool", "type: teapot", 2, "type: expected"),
        ("plugin.yaml", 'version: "1.0"', 'version: "2.0"', 2, "version: 2.0 differs from 1.0"),
        ("pyproject.toml", "numpy>=2.0", "numpy>=900", 3, "numpy>=900 ("),
        ("pyproject.toml", "numpy>=2.0", "no-such-distribution-here", 3, "no-such-distribution-here (not installed)"),
        ("pyproject.toml", "numpy>=2.0", "numpy>>2.0", 2, "'numpy>>2.0' is not a requirement"),
        ("pyproject.toml", 'name = "proxima-tea"', "", 2, "project.name is missing"),
        ("pyproject.toml", 'version = "1.0"', 'dynamic = ["version"]', 2, "project.version is dynamic"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(
    project: Path, tmp_path: Path, file: str, old: str, new: str, code: int, said: str
) -> None:
    path = project / file
    path.write_text(path.read_text().replace(old, new))
    done = proxima(tmp_path, project)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("file", "table", "value"),
    [
        ("pyproject.toml", "[tool.pytest.ini_options]", '["error"]'),
        ("pytest.ini", "[pytest]", "error"),
        ("tox.ini", "[pytest]", "error"),
        ("setup.cfg", "[tool:pytest]", "error"),
    ],
)
def test_the_authors_settings_of_pytest_hold(project: Path, tmp_path: Path, file: str, table: str, value: str) -> None:
    warning = "import warnings\n\n\ndef test_warns():\n    warnings.warn('cold', stacklevel=1)\n"
    (project / "tests" / "test_tea.py").write_text(warning)
    with (project / file).open("a") as settings:
        settings.write(f"\n{table}\nfilterwarnings = {value}\n")
    code, report = report_of(tmp_path, project, "--in-process", "--pytest", "-k warns")
    assert code == 1, "the warning is an error"
    assert "UserWarning: cold" in report["runs"][0]["failures"][0]["message"]


def test_options_that_cannot_be_read_are_told(project: Path, tmp_path: Path) -> None:
    done = proxima(tmp_path, project, "--pytest", '-k "x')
    assert (done.returncode, done.stdout) == (2, "")
    assert "--pytest: No closing quotation" in done.stderr


@pytest.mark.parametrize("name", [".", "no-such-directory", "tea/pyproject.toml"])
def test_what_is_no_plugin_is_refused(project: Path, tmp_path: Path, name: str) -> None:
    done = proxima(tmp_path, name)
    assert done.returncode == 2
    assert "name the directory that holds plugin.yaml" in done.stderr


def test_open_kernel_on_a_wheel_leaves_nothing_behind(project: Path, tmp_path: Path) -> None:
    wheel, path = wheel_of(project, tmp_path), list(sys.path)
    with open_kernel(wheel) as kernel:
        assert kernel.get("tools", "brew").call({}).data == {"process": os.getpid()}
        home = Path(kernel.paths.data).parent
    assert sys.path == path
    assert "proxima_tea" not in sys.modules
    assert not home.exists()


@ON_LINUX
def test_open_kernel_runs_the_plugin_in_a_worker(project: Path) -> None:
    with open_kernel(project, sandboxed=True) as kernel:
        assert kernel.get("tools", "brew").call({}).data["process"] != os.getpid()
        assert kernel.registry.get("tea").isolation.startswith("worker, tier ")


def test_open_kernel_refuses_what_is_no_plugin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*plugin\.yaml"), open_kernel(tmp_path):
        pass
    damaged = tmp_path / "tea-1.0-py3-none-any.whl"
    damaged.write_bytes(b"PK")
    with pytest.raises(UsageError, match="cannot be unpacked"), open_kernel(damaged):
        pass
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("tea.py", "")
    with pytest.raises(UsageError, match="holds no metadata"), open_kernel(damaged):
        pass


def test_open_kernel_names_what_is_missing(project: Path) -> None:
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("numpy>=2.0", "no-such-distribution-here>=1"))
    with pytest.raises(UnavailableError, match="no-such-distribution-here>=1"), open_kernel(project):
        pass
