"""Every default plugin passes what third-party plugins are judged by, from its source distribution on."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxima.sandbox.probe import HostSupport, probe
from proxima_sdk.build import built_wheel
from proxima_sdk.validate.report import validate_wheel

ROOT = Path(__file__).resolve().parents[1]
EDITABLE_ENGINE = find_spec("_editable_skbc_proxima_lret_core") is not None
PLUGINS = [
    pytest.param(
        path.parent,
        id=path.parent.name,
        marks=pytest.mark.skipif(
            EDITABLE_ENGINE and path.parent.name.startswith("backend-lret-"),
            reason="the worker of a plugin that is not editable sees no editable lret-core",
        ),
    )
    for path in sorted(ROOT.glob("plugins-core/*/plugin.yaml"))
]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")


@pytest.fixture(scope="module")
def host() -> HostSupport:
    return probe()


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of site-packages with what plugins share: a wheel that is judged sees no editable install."""
    site = tmp_path_factory.mktemp("libraries") / "site-packages"
    source = ROOT / "plugins-core" / "trajectories" / "src" / "proxima_trajectories"
    shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return site


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_passes_validate(
    plugin: Path, host: HostSupport, libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(libraries)
    with built_wheel(plugin, isolated=False) as wheel:
        report = validate_wheel(wheel, host=host)
    assert [str(problem) for problem in report.problems if problem.level == "error"] == []
    assert report.contributions
