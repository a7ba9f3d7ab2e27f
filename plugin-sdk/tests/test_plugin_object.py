"""`Plugin` hands over what the compiled manifest declares, in this process and in a worker."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import proxima_sdk
from proxima.contracts.service import Service
from proxima.contracts.theme import Theme
from proxima.errors import ManifestError
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

INIT = """
from proxima_sdk import Plugin

plugin = Plugin(__package__)
"""

PARTS = """
from typing import Protocol

from proxima.contracts.tool import ToolResult
from proxima_sdk import MCPServer, Service, Theme, Tool


class Paper(Theme):
    name = "paper"
    dark = False
    colours = {"background": "#ffffff"}


class Files(MCPServer):
    name = "files"
    command = ("mcp-files",)


class Shout(Tool):
    \"\"\"Says it in capitals.\"\"\"

    name = "shout"

    def call(self, arguments):
        return ToolResult(arguments["text"].upper())


class Clock(Protocol):
    def now(self) -> float: ...


class Stopped(Service, Clock):
    closed = False

    def now(self):
        return 0.0

    def close(self):
        type(self).closed = True
"""


def write_plugin(site: Path, package: str, kinds: tuple[str, ...], init: str = INIT) -> Path:
    """A package with its metadata, as pip would install it."""
    entries = {
        "themes": {"name": "paper", "class": f"{package}.parts.Paper"},
        "mcp_servers": {"name": "files", "class": f"{package}.parts.Files"},
        "tools": {"name": "shout", "class": f"{package}.parts.Shout"},
        "services": {"name": "clock", "class": f"{package}.parts.Stopped", "contract": f"{package}.parts.Clock"},
    }
    name = package.replace("_", "-")
    manifest = {"name": name, "version": "1.0", "description": "Parts", "license": "MIT", "type": "tool"}
    manifest |= {"entry_points": {kind: [entries[kind]] for kind in kinds}}  # type: ignore[dict-item]
    folder = site / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(init)
    (folder / "parts.py").write_text(PARTS)
    (folder / "proxima-plugin.json").write_text(compiled_text(check_manifest(manifest, source=name)))
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[proxima.plugins]\n{name} = {package}:plugin\n")
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "site-packages"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    return path


def kernel_on(tmp_path: Path, package: str, place: str) -> Kernel:
    name = package.replace("_", "-")
    return Kernel(paths=Paths.under(str(tmp_path / "home")), only=[name], flags={f"isolation.{name}": place})


def test_contributions_of_every_sort_reach_the_kernel(site: Path, tmp_path: Path) -> None:
    write_plugin(site, "parts_here", ("themes", "mcp_servers", "tools", "services"))
    with kernel_on(tmp_path, "parts_here", "in-process") as kernel:
        assert kernel.get("themes", "paper").colours == {"background": "#ffffff"}
        assert kernel.get("mcp_servers", "files").command == ("mcp-files",)
        assert dict(kernel.get("mcp_servers", "files").environment) == {}
        tool = kernel.get("tools", "shout")
        assert tool.definition().description == "Says it in capitals."
        assert tool.call({"text": "a"}).text == "A"
        clock = import_module("parts_here.parts").Clock
        stopped: Any = kernel.services.require(clock)
        assert stopped.kernel is kernel
        assert isinstance(kernel.get("services", "clock"), Service)
    assert stopped.closed


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
def test_contributions_reach_the_kernel_from_a_worker(site: Path, tmp_path: Path) -> None:
    write_plugin(site, "parts_away", ("themes", "tools"))
    with kernel_on(tmp_path, "parts_away", "worker") as kernel:
        assert kernel.get("themes", "paper") == Theme("paper", False, {"background": "#ffffff"})
        assert kernel.get("tools", "shout").call({"text": "a"}).text == "A"
        assert kernel.registry.get("parts-away").isolation.startswith("worker")
    assert "parts_away" not in sys.modules


def test_importing_the_plugin_imports_no_contribution(site: Path) -> None:
    write_plugin(site, "parts_late", ("themes",))
    import_module("parts_late")
    assert "parts_late.parts" not in sys.modules


def test_a_hook_of_the_authors_own_is_called_instead(site: Path, tmp_path: Path) -> None:
    own = """
from proxima_sdk import Plugin, hookimpl


class Own(Plugin):
    @hookimpl
    def proxima_tools(self):
        from parts_own.parts import Shout

        tool = Shout()
        tool.parameters = {"made": "by hand"}
        return [tool]


plugin = Own(__package__)
"""
    write_plugin(site, "parts_own", ("tools",), own)
    with kernel_on(tmp_path, "parts_own", "in-process") as kernel:
        assert kernel.get("tools", "shout").definition().parameters == {"made": "by hand"}


def test_a_missing_manifest_is_told_with_what_to_do(site: Path) -> None:
    (write_plugin(site, "parts_without", ("tools",)) / "proxima-plugin.json").unlink()
    with pytest.raises(ManifestError, match=r"there is no .*proxima-plugin\.json") as caught:
        import_module("parts_without")
    assert "compile" in str(caught.value.hint)


def test_a_damaged_manifest_is_told(site: Path) -> None:
    folder = write_plugin(site, "parts_damaged", ("tools",))
    (folder / "proxima-plugin.json").write_text(json.dumps({"entry_points": None})[:-3])
    with pytest.raises(ManifestError, match="cannot be read"):
        import_module("parts_damaged")


def test_every_kind_has_a_base_class_that_is_exported() -> None:
    from proxima.plugins.manifest import KINDS

    assert set(proxima_sdk.BASES) == set(KINDS)
    for name in proxima_sdk.__all__:
        assert getattr(proxima_sdk, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Widget'"):
        _ = proxima_sdk.Widget
