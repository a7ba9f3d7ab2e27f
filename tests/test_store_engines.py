"""Backends by somebody else, around engines of PyPI that this environment lacks, each with a numpy of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.store.tool import beside_python
from proxima_sdk.conformance import BackendConformance

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PLUGINS = EXAMPLES / "plugins"
REVERSED = "likely cause: rotation sign reversed"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engines as an author of a plugin has them: in site-packages, here for the tests' processes alone."""
    directory = tmp_path_factory.mktemp("author") / "site-packages"
    uv = beside_python("uv")
    assert uv, "uv is one of the workspace's packages"
    command = [uv, "pip", "install", "--python", sys.executable, "--target", str(directory), "--no-deps"]
    command += ["--only-binary=:all:", "qulacs>=0.6.10,<0.7", "pyquest==0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"the engines' wheels cannot be had: {done.stderr.strip()[-500:]}")
    return directory


@pytest.fixture(scope="module")
def home(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with both plugins installed from their directories."""
    home = tmp_path_factory.mktemp("home")
    for name in ("qulacs", "pyquest"):
        done = proxima(home, "plugin", "install", PLUGINS / name, "--yes")
        assert done.returncode == 0, done.stderr
    return home


def proxima(home: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxima", *map(str, words)]
    env = os.environ | {"PROXIMA_HOME": str(home)} | environment
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def tried(project: Path, site: Path, *words: str) -> dict[str, Any]:
    """What `proxima plugin test` says of a project's run in a worker."""
    done = proxima(project.parent, "plugin", "test", project, "--sandboxed", "--json", *words, PYTHONPATH=str(site))
    assert done.stdout, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert run["where"] == "sandboxed"
    assert done.returncode == (0 if run["ok"] else 1), done.stderr
    return dict(run)


def copied(name: str, directory: Path) -> Path:
    return Path(shutil.copytree(PLUGINS / name, directory / name))


def test_the_plugin_around_qulacs_passes_its_tests_in_a_worker(site: Path, tmp_path: Path) -> None:
    run = tried(copied("qulacs", tmp_path), site)
    assert run["ok"], run["failures"]
    assert run["passed"] > 100


def test_the_kit_names_the_sign_that_qulacs_reverses(site: Path, tmp_path: Path) -> None:
    project = copied("qulacs", tmp_path)
    engine = project / "src" / "lab_qulacs" / "engine.py"
    right = engine.read_text("utf-8")
    assert right.count("\nSIGN = -1") == 1
    engine.write_text(right.replace("\nSIGN = -1", "\nSIGN = 1"), "utf-8")
    run = tried(project, site, "--pytest=-k 'test_gate and not order'")
    wrong = {each["test"].partition("test_gate")[2]: each["message"] for each in run["failures"]}
    assert sorted(wrong) == ["[rx]", "[ry]", "[rz]"]
    for name, message in wrong.items():
        assert message.startswith(f"{name[1:-1]}(theta=0.7) on qubits [0] of 4: the statevector differs"), message
        assert REVERSED in message
    assert run["passed"] > 20, "every other gate is right"


def test_two_engines_that_need_different_numpys_are_compared_in_one_command(home: Path) -> None:
    words = ("compare", EXAMPLES / "qaoa_10.qasm", "--backends", "pyquest,qulacs", "--seed", "7", "--json")
    done = proxima(home, *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "agree", told["reason"]
    runs = {run["backend"]: run["result"] for run in told["runs"]}
    assert sorted(runs) == ["pyquest", "qulacs"]
    assert runs["pyquest"]["versions"]["pyquest"] == "0.0.1"
    numpys = {name: runs[name]["versions"]["numpy"] for name in ("pyquest", "qulacs")}
    assert (numpys["pyquest"].partition(".")[0], numpys["qulacs"].partition(".")[0]) == ("1", "2")
    assert all(runs[name]["tier"] in ("A", "B") for name in numpys), "each in a worker"


class TestPyquest(BackendConformance):
    """The kit with numpy 2 on this side of the pipe, and a backend with numpy 1 on the other."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _installed(cls, home: Path) -> Iterator[None]:
        with Kernel(paths=Paths.under(str(home))) as kernel:
            (found,) = [each for each in kernel.contributions("backends") if each.name == "pyquest"]
            cls.backend = staticmethod(lambda: kernel.get("backends", "pyquest"))
            cls.capabilities = found.data["capabilities"]
            yield
