"""What a start costs with 1000 plugins installed, in bare interpreter starts: `python -c pass` run in turn with it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from timing import interleaved, ratio

from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

PLUGINS = 1000
ROUNDS = 30


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that sees the plugins; importing one of them would end it."""
    site = tmp_path_factory.mktemp("site")
    for number in range(PLUGINS):
        name, package = f"dummy-{number}", site / f"dummy_{number}"
        manifest = {
            "name": name,
            "version": "1.0",
            "description": "One of many",
            "license": "MIT",
            "type": "tool",
            "python_version": ">=3.11",
            "entry_points": {"tools": [{"name": name, "class": f"dummy_{number}.Tool"}]},
        }
        info = site / f"dummy_{number}-1.0.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").write_text("import os\nos._exit(99)\n")
        (package / "proxima-plugin.json").write_text(compiled_text(check_manifest(manifest, source=name)))
        (info / "entry_points.txt").write_text(f"[proxima.plugins]\n{name} = dummy_{number}:plugin\n")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    home = tmp_path_factory.mktemp("home")
    cache = tmp_path_factory.mktemp("bytecode")  # as installers leave it: nobody compiles at each start
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(site), "PROXIMA_HOME": str(home), "PYTHONPYCACHEPREFIX": str(cache)}


@pytest.mark.parametrize(("words", "goal"), [("--version", 1.5), ("plugin list", 2.5)])
def test_start(environ: dict[str, str], words: str, goal: float) -> None:
    script = str(Path(sys.executable).with_name("proxima"))
    calls: dict[str, Callable[[], object]] = {
        "bare": partial(start, environ, sys.executable, "-c", "pass"),
        words: partial(start, environ, script, *words.split()),
    }
    assert start(environ, script, "plugin", "list").count("\ndummy-") == PLUGINS
    times = interleaved(calls, ROUNDS)
    medians = {name: 1000 * statistics.median(each) for name, each in times.items()}
    print(
        f"\nproxima {words} with {PLUGINS} plugins: {ratio(times, words, 'bare'):.2f} x python -c pass (goal {goal}); "
        f"{medians[words]:.1f} ms and {medians['bare']:.1f} ms, medians of {ROUNDS}"
    )


def start(environ: dict[str, str], *command: str) -> str:
    return subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout
