"""Every default plugin passes what third-party plugins are judged by, from its source distribution on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxima.sandbox.probe import HostSupport, probe
from proxima_sdk.build import built_wheel
from proxima_sdk.validate.report import Report, validate_wheel

ROOT = Path(__file__).resolve().parents[1]
NATIVE = find_spec("proxima_lret_core") is not None
SHARED = ["proxima_trajectories", *(["proxima_lret_core"] if NATIVE else [])]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins-core/*/plugin.yaml"))
ON_LRET = [path for path in PLUGINS if path.name.startswith("backend-lret-")]

WRONG_COUNTS = """

from dataclasses import replace

_run = LretBackend.run
LretBackend.run = lambda self, plan, context: replace(_run(self, plan, context), counts={"01": plan.request.shots})
"""

Judge = Callable[[Path], Report]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")


def named(path: Path) -> str:
    return path.name


@pytest.fixture(scope="module")
def host() -> HostSupport:
    return probe()


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of site-packages with what plugins share: a wheel that is judged sees no editable install."""
    site = tmp_path_factory.mktemp("libraries") / "site-packages"
    for name in SHARED:
        spec = find_spec(name)
        assert spec is not None
        # An editable install of what has a compiled part has two: of the sources, and of what was compiled.
        for directory in spec.submodule_search_locations or ():
            shutil.copytree(directory, site / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return site


@pytest.fixture
def judged(host: HostSupport, libraries: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Builds a plugin's wheel and judges it."""

    def judge(project: Path) -> Report:
        if project.name.startswith("backend-lret-") and not NATIVE:
            pytest.skip("lret-core is not built: there was no C++ compiler")
        with built_wheel(project, isolated=False) as wheel:
            return validate_wheel(wheel, host=host)

    monkeypatch.syspath_prepend(libraries)
    return judge


def errors(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems if problem.level == "error"]


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
def test_plugin_passes_validate(plugin: Path, judged: Judge) -> None:
    report = judged(plugin)
    assert errors(report) == []
    assert report.contributions


@pytest.mark.parametrize("plugin", ON_LRET, ids=named)
def test_wrong_counts_of_a_plugin_on_lret_core_are_found(plugin: Path, judged: Judge, tmp_path: Path) -> None:
    project = tmp_path / plugin.name
    shutil.copytree(plugin, project)
    (backend,) = project.glob("src/*/backend.py")
    backend.write_text(backend.read_text("utf-8") + WRONG_COUNTS, "utf-8")
    (error,) = errors(judged(project))
    assert "128 shots of a Bell pair gave {'01': 128}; only 00 and 11 can occur" in error
