"""A workshop that makes real plugins, installs them and runs `proxima` on them."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import proxima
from proxima.cli import main
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

COMMAND = """
from proxima.hookspecs import hookimpl


class Greet:
    name = "NAME"
    summary = "Greets"

    def configure(self, parser):
        parser.add_argument("--loud", action="store_true")

    def run(self, args, kernel):
        print("HELLO" if args.loud else "hello")
        return 0


class Plugin:
    @hookimpl
    def proxima_commands(self):
        return [Greet()]


plugin = Plugin()
"""


class Workshop:
    """Plugins in `site`, Proxima's files under `home`; each plugin's import leaves a line in `imported()`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "site"
        self.home = root / "home"
        self.site.mkdir()
        self._log = root / "imported"

    def package(self, name: str) -> str:
        return f"plug_{name.replace('-', '_')}"

    def manifest(self, name: str, **fields: Any) -> dict[str, Any]:
        """A manifest as an author would write it, of one command called as the plugin is."""
        command = {"name": name, "class": f"{self.package(name)}.Greet", "description": f"Greets from {name}"}
        return {
            "name": name,
            "version": "1.0",
            "description": f"The plugin {name}",
            "license": "MIT",
            "type": "command",
            "entry_points": {"commands": [command]},
        } | fields

    def code(self, name: str, code: str = COMMAND) -> str:
        log = f"import os\nwith open({str(self._log)!r}, 'a') as log:\n    log.write({name!r} + '\\n')\n"
        return log + code.replace("NAME", name)

    def lay_out(
        self,
        name: str,
        code: str = COMMAND,
        *,
        site: Path | None = None,
        distribution: str | None = None,
        compiled: str | bytes | None = None,
        points: str | bytes | None = None,
        **fields: Any,
    ) -> Path:
        """Puts package and dist-info where pip would; returns the package's directory."""
        site = site or self.site
        manifest = self.manifest(name, **fields)
        if compiled is None:
            compiled = compiled_text(check_manifest(manifest, source=name))
        if points is None:
            points = f"[proxima.plugins]\n{name} = {self.package(name)}:plugin\n"
        package = site / self.package(name)
        info = site / f"{(distribution or name).replace('-', '_')}-{manifest['version']}.dist-info"
        for directory in (package, info):
            directory.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or name}\nVersion: 1.0\n")
        for path, content in (
            (info / "entry_points.txt", points),
            (package / "proxima-plugin.json", compiled),
            (package / "__init__.py", self.code(name, code)),
        ):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return package

    def source(self, name: str, code: str = COMMAND, **fields: Any) -> Path:
        """A project as an author has it, its manifest compiled by the SDK's command."""
        project = self.root / "projects" / name
        package = project / "src" / self.package(name)
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(self.code(name, code))
        (project / "plugin.yaml").write_text(json.dumps(self.manifest(name, **fields)))  # JSON is YAML
        (project / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            f'[project.entry-points."proxima.plugins"]\n{name} = "{package.name}:plugin"\n'
            '[build-system]\nrequires = ["uv_build>=0.11,<0.14"]\nbuild-backend = "uv_build"\n'
            f'[tool.uv.build-backend]\nmodule-name = "{package.name}"\n'
        )
        self.module("proxima_sdk.manifest.compile", str(project / "plugin.yaml"))
        return project

    def wheel(self, project: Path) -> Path:
        out = project / "dist"
        self.module("uv", "build", "-q", "--offline", "--wheel", "--no-build-isolation", str(project), "-o", str(out))
        (built,) = out.glob("*.whl")
        return built

    def install(self, wheel: Path) -> None:
        self.module("uv", "pip", "install", "-q", "--offline", "--no-deps", "--target", str(self.site), str(wheel))

    def module(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def environ(self, **extra: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PROXIMA_", "COV_"))}
        return kept | {"PYTHONPATH": str(self.site), "PROXIMA_HOME": str(self.home)} | extra

    def proxima(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command line in a process of its own."""
        return self.python("-m", "proxima", *words, env=env, **options)

    def python(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 60} | options
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run([sys.executable, *words], env=self.environ(**(env or {})), **options)

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], env=self.environ(), cwd=self.root, capture_output=True, text=True, timeout=60
        )

    def main(self, *words: str) -> tuple[int, str, str]:
        """Runs the command line in this process, which is faster; gives exit code, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words)
        return code, out.getvalue(), err.getvalue()

    def json(self, *words: str) -> Any:
        code, out, err = self.main(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def states(self) -> dict[str, str]:
        """What `proxima plugin list` says of the plugins made here."""
        ours = {path.name.removeprefix("plug_").replace("_", "-") for path in self.site.glob("plug_*")}
        rows = [line.split() for line in self.main("plugin", "list")[1].splitlines()[1:]]
        return {row[0]: row[2] if row[1][0].isdigit() else row[1] for row in rows if row[0] in ours}

    def imported(self) -> list[str]:
        """The plugins whose code ran, in order, by any process."""
        return self._log.read_text().split() if self._log.exists() else []

    def kernel(self, **options: Any) -> Kernel:
        """A kernel in this process that sees the plugins made here and no others."""
        kernel = Kernel(paths=Paths.under(str(self.home)), **options)
        kernel.registry.path = [str(self.site)]
        return kernel


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    shop = Workshop(tmp_path)
    monkeypatch.syspath_prepend(shop.site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("PROXIMA_PLUGINS", raising=False)
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    forget_plugins()
    yield shop
    forget_plugins()


def forget_plugins() -> None:
    """Makes the next activation in this process import anew."""
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


@pytest.fixture
def as_user() -> Callable[..., list[str]]:
    """Prefixes a command so that an ordinary user runs it, for whom permissions on files hold."""
    if os.getuid() != 0:
        return lambda *command: list(command)
    from shutil import which

    if which("setpriv") is None:
        pytest.skip("root, and no setpriv to become somebody else")
    return lambda *command: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@pytest.fixture(scope="session")
def kernel_source() -> Path:
    return Path(proxima.__file__).parent
