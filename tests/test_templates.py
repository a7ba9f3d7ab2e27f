"""Each template's plugin as an outsider meets it: made, tested, built, judged; and as its reader meets it: typed and tidy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxima.sandbox.interfaces import INTERFACES
from proxima.sandbox.probe import HostSupport, probe
from proxima_sdk.build import built_wheel
from proxima_sdk.new import TYPES, Project, create_project
from proxima_sdk.validate.report import validate_wheel

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def host() -> HostSupport:
    return probe()


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("projects")
    return {
        kind: create_project(Project(name=f"made-{kind}", type=kind, author="Ada Lovelace"), folder, git=False)
        for kind in TYPES
    }


@pytest.mark.parametrize("kind", TYPES)
def test_a_new_plugin_passes_its_tests(kind: str, projects: dict[str, Path], tmp_path: Path) -> None:
    environ = os.environ | {"PROXIMA_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "proxima", "plugin", "test", str(projects[kind]), "--json", "--pytest=-W error"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0, json.dumps(told["runs"], indent=1)
    places = [run["where"] for run in told["runs"]]
    in_worker = _kinds(projects[kind]) <= set(INTERFACES) and sys.platform == "linux"
    assert places == ["in-process", "sandboxed"] if in_worker else ["in-process"]


def _kinds(project: Path) -> set[str]:
    (manifest,) = project.glob("src/*/proxima-plugin.json")
    return set(json.loads(manifest.read_bytes())["entry_points"])


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
@pytest.mark.parametrize("kind", TYPES)
def test_its_wheel_is_judged_without_a_complaint(kind: str, projects: dict[str, Path], host: HostSupport) -> None:
    with built_wheel(projects[kind], isolated=False) as wheel:
        report = validate_wheel(wheel, host=host)
    assert [str(problem) for problem in report.problems if problem.level != "note"] == []
    assert report.contributions


def test_what_is_made_is_typed_and_tidy(projects: dict[str, Path]) -> None:
    folders = [str(project) for project in projects.values()]
    for command in (
        ["ruff", "check", "--isolated", "--line-length=120", "--select=E,W,F,I,UP,B", *folders],
        ["ruff", "format", "--isolated", "--line-length=120", "--check", *folders],
        ["mypy", "--config-file", str(ROOT / "pyproject.toml"), *(f"{folder}/src" for folder in folders)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
