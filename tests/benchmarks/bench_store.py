"""What the plugin store costs: the list of 1000, an installation with numpy beside uv's own, updates, swaps."""

from __future__ import annotations

import base64
import compileall
import hashlib
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from timing import interleaved, ratio, seconds

from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.plugins.scan import FoundPlugin
from proxima.store.pointer import pointer_text
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

PLUGINS = 1000
ROUNDS = 30

CODE = """
import numpy as np
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl


class Sum:
    name = "NAME"

    def definition(self):
        return ToolDefinition("NAME", "Adds up", {"type": "object"})

    def call(self, arguments):
        return ToolResult(str(np.arange(4).sum()))


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Sum()]


plugin = Plugin()
"""

INSTALL = """
import sys
from proxima.kernel import Kernel
with Kernel() as kernel:
    kernel.store.install(sys.argv[1])
"""


def wheel(directory: Path, name: str, version: str) -> Path:
    """A plugin with one tool, which needs numpy."""
    package = name.replace("-", "_")
    info = f"{package}-{version}.dist-info"
    tool = {"name": name, "class": f"{package}.Sum", "description": "Adds up"}
    fields = {"name": name, "version": version, "description": "Adds up", "license": "MIT", "type": "tool"}
    manifest = check_manifest(fields | {"entry_points": {"tools": [tool]}}, source=name)
    entries = {
        f"{package}/__init__.py": CODE.replace("NAME", name),
        f"{package}/proxima-plugin.json": compiled_text(manifest),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: numpy>=2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[proxima.plugins]\n{name} = {package}:plugin\n",
    }
    rows = []
    for path, text in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    made = directory / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in entries.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return made


def environ(home: Path) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PROXIMA_HOME": str(home)}


def start(env: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list_of_many(tmp_path: Path) -> None:
    current = Path(Paths.under(str(tmp_path)).data) / "store" / "current"
    current.mkdir(parents=True)
    for number in range(PLUGINS):
        found = FoundPlugin(f"dummy-{number}", f"dummy_{number}:plugin", f"dummy-{number}", "1.0", "")
        found.fits, found.kinds = "kernel-api>=1 python>=3.11", "tools"
        (current / found.id).write_text(pointer_text(found, "1.0-0123456789ab"))
    cache = tmp_path / "bytecode"
    env = environ(tmp_path) | {"PYTHONPYCACHEPREFIX": str(cache)}
    script = str(Path(sys.executable).with_name("proxima"))
    calls: dict[str, Callable[[], object]] = {
        "bare": partial(start, env, sys.executable, "-c", "pass"),
        "list": partial(start, env, script, "plugin", "list"),
    }
    assert start(env, script, "plugin", "list").count("\ndummy-") == PLUGINS
    times = interleaved(calls, ROUNDS)
    print(
        f"\nproxima plugin list with {PLUGINS} in the store: {ratio(times, 'list', 'bare'):.2f} x python -c pass "
        f"(goal 2.5); {1000 * statistics.median(times['list']):.1f} ms"
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where one plugin with numpy is installed, so that numpy is fetched and unpacked."""
    root = tmp_path_factory.mktemp("home")
    for name in ("numpy", "jsonschema", "proxima"):  # as installers and a first start leave it
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        compileall.compile_dir(os.path.dirname(spec.origin), quiet=2)
    start(environ(root), sys.executable, "-c", INSTALL, str(wheel(root, "first", "1.0")))
    return root


def test_installation_with_numpy(home: Path, tmp_path: Path) -> None:
    made = wheel(home, "second", "1.0")
    env, beside = environ(home), Path(sys.executable).with_name
    uv, proxima = str(beside("uv")), str(beside("proxima"))
    fresh = tmp_path / "environment"

    def by_uv() -> None:
        start(env, uv, "venv", "-q", "--python", sys.executable, str(fresh))
        start(env, uv, "pip", "install", "-q", "--python", str(fresh / "bin" / "python"), str(made))

    def by_store() -> None:
        start(env, proxima, "plugin", "install", "--yes", str(made))

    times: dict[str, list[float]] = {"store": [], "uv": []}
    for round_ in range(25):
        took = seconds(by_store), seconds(by_uv)
        shutil.rmtree(fresh)
        with Kernel(paths=Paths.under(str(home))) as kernel:
            kernel.store.uninstall("second")
        if round_:
            for name, value in zip(times, took, strict=True):
                times[name].append(value)
    print(
        f"\nplugin with numpy installed, warm, tried in a worker: {statistics.median(times['store']):.2f} s (goal 3), "
        f"{ratio(times, 'store', 'uv'):.2f} x uv into a fresh environment (goal 1.5)"
    )


def test_update_swap_and_rollback(home: Path) -> None:
    wheels = [wheel(home, "first", f"1.{number}") for number in range(1, 6)]
    updates: list[float] = []
    rollbacks: list[float] = []
    for made in wheels:
        with Kernel(paths=Paths.under(str(home))) as kernel:
            updates.append(seconds(partial(kernel.store.update, "first", source=str(made))))
    for version in ("1.4", "1.5", "1.3", "1.5", "1.4", "1.5"):
        with Kernel(paths=Paths.under(str(home))) as kernel:
            store = kernel.store
            kernel.permissions  # noqa: B018 - opened, as any use of a plugin does
            started = time.perf_counter()
            store.rollback("first", version)
            rollbacks.append(time.perf_counter() - started)
    print(
        f"\nupdate with the same dependencies: {statistics.median(updates):.2f} s (goal 1); "
        f"rollback, which is a swap: {1000 * statistics.median(rollbacks):.1f} ms (goal 50)"
    )
