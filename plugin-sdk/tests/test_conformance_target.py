"""Finding the backend under test and what it declares."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxima.contracts.operations import Op
from proxima.errors import NotFoundError, UsageError
from proxima_sdk.conformance.target import Capabilities, manifest_of, resolve
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest
from proxima_sdk.testing import session

_DECLARED = {
    "methods": ["statevector"],
    "wants": ["counts"],
    "precisions": ["single"],
    "noise": False,
    "dynamic": False,
    "operations": ["h", "cx"],
}
_SOURCE = """
from proxima_sdk import hookimpl

class Tiny:
    name = "tiny"
    def plan(self, request): ...

class Plugin:
    @hookimpl
    def proxima_backends(self):
        return [Tiny()]

plugin = Plugin()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin package with a manifest and an entry point, installed in a directory of its own."""
    package = tmp_path / "proxima_tiny"
    package.mkdir()
    (package / "__init__.py").write_text(_SOURCE, encoding="utf-8")
    backend = {"name": "tiny", "class": "proxima_tiny.Tiny", "capabilities": _DECLARED}
    manifest = {"name": "tiny", "version": "1", "description": "Tiny", "license": "MIT", "type": "backend"}
    compiled = compiled_text(check_manifest({**manifest, "entry_points": {"backends": [backend]}}, source="tiny"))
    (package / "proxima-plugin.json").write_text(compiled, encoding="utf-8")
    dist_info = tmp_path / "proxima_tiny-1.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: proxima-tiny\nVersion: 1\n", encoding="utf-8")
    (dist_info / "entry_points.txt").write_text("[proxima.plugins]\ntiny = proxima_tiny:plugin\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    session.close()
    yield package
    session.close()
    sys.modules.pop("proxima_tiny", None)


def test_finds_a_backend_by_name_through_entry_points(installed: Path) -> None:
    target = resolve("tiny")
    assert target.backend.name == "tiny"
    assert target.capabilities.wants == ("counts",)
    assert dict(target.reference) == {"name": "tiny"}


def test_reading_a_manifest_imports_nothing(installed: Path) -> None:
    assert manifest_of("proxima_tiny") is not None
    assert "proxima_tiny" not in sys.modules


def test_reads_plugin_yaml_where_nothing_is_compiled(installed: Path) -> None:
    (installed / "proxima-plugin.json").unlink()
    (installed.parent / "plugin.yaml").write_text("name: tiny\nentry_points: {backends: []}\n", encoding="utf-8")
    assert manifest_of("proxima_tiny") == {"name": "tiny", "entry_points": {"backends": []}}


def test_unknown_name_lists_those_declared(installed: Path) -> None:
    with pytest.raises(NotFoundError, match="'tinny'") as caught:
        resolve("tinny")
    assert "tiny" in str(caught.value.hint)


def test_capabilities_given_win_over_the_manifest(installed: Path) -> None:
    assert resolve("tiny", {**_DECLARED, "noise": True}).capabilities.noise


def test_no_manifest_and_no_capabilities_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare_backend.py").write_text(_SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import bare_backend

    with pytest.raises(UsageError, match="no manifest beside bare_backend"):
        resolve(bare_backend.Tiny)
    sys.modules.pop("bare_backend")


def test_capabilities_without_wants_are_refused() -> None:
    with pytest.raises(UsageError, match="lack 'wants'"):
        Capabilities.of({"precisions": ["single"]})


def test_channels_need_noise_and_resets_need_dynamic() -> None:
    plain = Capabilities.of({"wants": ["counts"], "precisions": ["single"]})
    rich = Capabilities.of({"wants": ["counts"], "precisions": ["single"], "noise": True, "dynamic": True})
    assert not plain.supports(Op.BIT_FLIP)
    assert not plain.supports(Op.RESET)
    assert plain.supports(Op.CCX)
    assert rich.supports(Op.BIT_FLIP)
    assert rich.supports(Op.RESET)


def test_listed_operations_are_all_that_is_supported() -> None:
    offered = Capabilities.of(_DECLARED)
    assert offered.known == {Op.H, Op.CX, Op.MEASURE}
    assert [op for op in (Op.X, Op.Z, Op.BARRIER) if offered.supports(op)] == []


def test_gates_that_can_be_written_in_those_listed_run_too() -> None:
    offered = Capabilities.of({**_DECLARED, "operations": ["h", "x", "cx"]})
    assert [op for op in (Op.H, Op.Z, Op.CZ, Op.BARRIER, Op.T, Op.BIT_FLIP) if offered.runs(op)] == [
        Op.H,
        Op.Z,
        Op.CZ,
        Op.BARRIER,
    ]


def test_entry_point_of_the_pytest_plugin_is_declared() -> None:
    names = {entry.name: entry.value for entry in importlib.metadata.entry_points(group="pytest11")}
    assert names["proxima-conformance"] == "proxima_sdk.conformance.pytest_plugin"
