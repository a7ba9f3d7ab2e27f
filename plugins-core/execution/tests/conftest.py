"""A kernel with the execution, results and format plugins and a small test plugin of exact simulators."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import proxima
from proxima.contracts.execution import Execution
from proxima.permissions import Permission
from proxima_sdk.manifest.compile import compiled_text, load_yaml

PLUGINS = ["backend-exact", "execution", "format-openqasm", "results"]
GRANT = ("backend-exact", Permission.parse("execute_circuits"))


@pytest.fixture(scope="session")
def exact_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory laid out as site-packages with the test plugin installed."""
    source = Path(__file__).parent / "exact_plugin"
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(source / "proxima_exact", site / "proxima_exact")
    (site / "proxima_exact/proxima-plugin.json").write_text(compiled_text(load_yaml(source / "plugin.yaml")))
    info = site / "backend_exact-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: backend-exact\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[proxima.plugins]\nbackend-exact = proxima_exact:plugin\n")
    return site


@pytest.fixture
def home(exact_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh Proxima home, the test plugin on the path and allowed to run circuits."""
    monkeypatch.setattr(sys, "path", [str(exact_site), *sys.path])
    monkeypatch.setenv("PROXIMA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROXIMA_PLUGINS", ",".join(PLUGINS))
    monkeypatch.setenv("PROXIMA_SETTING__ISOLATION__DEFAULT", "in-process")  # what holds a plugin is tested elsewhere
    monkeypatch.chdir(tmp_path)
    with proxima.open() as kernel:
        kernel.permissions.grants.grant(*GRANT, scope="always")
    return tmp_path


@pytest.fixture
def kernel(home: Path):
    with proxima.open() as opened:
        yield opened


@pytest.fixture
def execution(kernel):
    return kernel.services.require(Execution)


BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0], q[1];
measure q -> c;
"""


@pytest.fixture
def bell_file(home: Path) -> Path:
    path = home / "bell.qasm"
    path.write_text(BELL)
    return path
