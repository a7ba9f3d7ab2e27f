"""Each template's plugin as its author meets it: made, tested, built and judged, typed and tidy."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from proxima.sandbox.probe import HostSupport, probe
from proxima_sdk.build import build_project, built_wheel
from proxima_sdk.docs.pages import pages_of, write_pages
from proxima_sdk.new import TYPES, Project, create_project
from proxima_sdk.validate.report import validate_wheel

ROOT = Path(__file__).resolve().parents[1]
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def host() -> HostSupport:
    return probe()


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each with a name as long as the templates' own, so that lines break where they do there."""
    folder = tmp_path_factory.mktemp("projects")
    names = {kind: f"made-{kind.replace('-', '')[:4]}" for kind in TYPES}
    return {
        kind: create_project(Project(name=name, type=kind, author="Ada Lovelace"), folder, git=False)
        for kind, name in names.items()
    }


@pytest.fixture(scope="module")
def runs(projects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Done]]]:
    """`proxima plugin test` of every project, two at a time; the journey of each type tells of those in a worker."""
    environ = os.environ | {"PROXIMA_HOME": str(tmp_path_factory.mktemp("home"))}

    def tested(project: Path) -> Done:
        command = [sys.executable, "-m", "proxima", "plugin", "test", str(project), "--in-process", "--json"]
        command.append("--pytest=-W error")
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)

    with ThreadPoolExecutor(2) as pool:
        yield {kind: pool.submit(tested, project) for kind, project in projects.items()}


@pytest.mark.parametrize("kind", TYPES)
def test_a_new_plugin_passes_its_tests(kind: str, projects: dict[str, Path], runs: dict[str, Future[Done]]) -> None:
    done = runs[kind].result()
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert done.returncode == 0, json.dumps(told["runs"], indent=1)
    assert [run["where"] for run in told["runs"]] == ["in-process"]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
@pytest.mark.parametrize("kind", TYPES)
def test_its_wheel_is_judged_without_a_complaint(kind: str, projects: dict[str, Path], host: HostSupport) -> None:
    with built_wheel(projects[kind], isolated=False) as wheel:
        report = validate_wheel(wheel, host=host)
    assert [str(problem) for problem in report.problems if problem.level != "note"] == []
    assert report.contributions


def test_what_is_published_has_its_pages_and_what_changed(projects: dict[str, Path]) -> None:
    project = projects["format"]
    write_pages(pages_of(project), project / "docs")
    built = build_project(project, isolated=False, try_it=False)
    assert [str(problem) for problem in built.report.problems] == []
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    package = project.name.replace("-", "_")
    assert {"docs/index.md", "docs/api.md", f"src/{package}/CHANGELOG.md"} <= names


def test_what_is_made_is_typed_and_tidy(projects: dict[str, Path]) -> None:
    folders = [str(project) for project in projects.values()]
    here = {kind: project for kind, project in projects.items() if kind != "screen" or find_spec("textual")}
    typed = [str(project / "src") for project in here.values()]
    for command in (
        ["ruff", "check", "--isolated", "--line-length=120", "--select=E,W,F,UP,B", *folders],
        ["ruff", "format", "--isolated", "--line-length=120", "--exclude=docs", "--check", *folders],
        ["mypy", "--config-file", str(ROOT / "pyproject.toml"), *typed],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_workflow_installs_what_the_plugin_needs(tmp_path: Path) -> None:
    """With the real pip, in this environment, which has everything but the engine that is added."""
    project = create_project(Project(name="made-with-engine", type="view", author="Ada"), tmp_path, git=False)
    workflow = yaml.safe_load((project / ".github" / "workflows" / "test.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    (words,) = [shlex.split(step) for step in steps if step.startswith("pip install")]
    assert " ".join(words) in (project / "README.md").read_text()
    command = [sys.executable, "-m", *words, "--dry-run", "--no-index", "--no-build-isolation"]
    programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])  # uv_build's

    def installed() -> Done:
        environ = os.environ | {"PATH": programs}
        return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=120)

    done = installed()
    assert done.returncode == 0, done.stderr
    table = project / "pyproject.toml"
    table.write_text(table.read_text().replace('"proxima-kernel"', '"proxima-kernel", "no-such-engine-here"'))
    assert "no-such-engine-here" in installed().stderr
