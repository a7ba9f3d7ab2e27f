"""Who may import whom, read from the source by syntax tree; and what the kernel costs to import."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ROOT / "kernel"
SDK = ROOT / "plugin-sdk"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins-core/*/pyproject.toml"))
PACKAGES = [KERNEL, SDK, *PLUGINS]
LIBRARIES = [path for path in PLUGINS if path.name in ("lret-core", "trajectories")]  # what plugins may share
KERNEL_LINES = 4000  # without the rooms below
ROOM_LINES = {"cli": 2000, "contracts": 4000, "sandbox": 8400, "store": 4400}


def import_name(package: Path) -> str:
    """The one top-level package below ``src``."""
    (folder,) = [path for path in (package / "src").iterdir() if (path / "__init__.py").exists()]
    return folder.name


def sources(package: Path) -> list[Path]:
    return sorted((package / "src").rglob("*.py"))


def module_name(package: Path, file: Path) -> str:
    parts = file.relative_to(package / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(statement: ast.Import | ast.ImportFrom, modules: set[str] | None = None) -> Iterator[str]:
    """The absolute names one statement imports; ``from a import b`` is ``a.b`` where that is one of `modules`."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    assert statement.level == 0, "relative imports are refused by ruff"
    assert statement.module is not None
    for alias in statement.names:
        inner = f"{statement.module}.{alias.name}"
        yield inner if modules and inner in modules else statement.module


def every_import(tree: ast.Module) -> Iterator[str]:
    """All imports of a file, those inside functions and under TYPE_CHECKING too, and literal import_module() calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def import_time(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when the module is imported: not in functions, not under TYPE_CHECKING."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from import_time(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            for field in ("body", "handlers", "orelse", "finalbody"):
                for part in getattr(node, field, []):
                    yield from import_time(part.body if isinstance(part, ast.ExceptHandler) else [part])


def import_cycle(modules: dict[str, ast.Module]) -> list[str] | None:
    """One cycle among `modules` by their import-time imports, or None."""
    graph = {
        name: {
            target
            for statement in import_time(tree.body)
            for target in imported(statement, set(modules))
            if target in modules and target != name
        }
        for name, tree in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return None


def refused_imports(package: Path, refused: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources(package)
        for name in every_import(ast.parse(file.read_text("utf-8")))
        if name.partition(".")[0] in refused
    ]


def modules_loaded_by(statement: str) -> set[str]:
    """What a fresh interpreter holds after `statement`, over what it starts with."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def loaded_by(statement: str) -> set[str]:
    """The same, top-level modules alone."""
    return {name.partition(".")[0] for name in modules_loaded_by(statement)}


def test_kernel_imports_no_plugin_and_no_sdk() -> None:
    refused = {import_name(package) for package in (SDK, *PLUGINS)}
    assert refused_imports(KERNEL, refused) == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugin_imports_no_other_plugin_and_not_the_sdk(plugin: Path) -> None:
    refused = {import_name(package) for package in (SDK, *PLUGINS) if package not in (plugin, *LIBRARIES)}
    assert refused_imports(plugin, refused) == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugin_uses_no_private_module_of_the_kernel(plugin: Path) -> None:
    names = {name for file in sources(plugin) for name in every_import(ast.parse(file.read_text("utf-8")))}
    assert [name for name in names if name.startswith("proxima.") and "._" in name] == []


def test_sdk_imports_no_plugin() -> None:
    assert refused_imports(SDK, {import_name(plugin) for plugin in PLUGINS}) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_package_has_no_import_cycle(package: Path) -> None:
    modules = {module_name(package, file): ast.parse(file.read_text("utf-8")) for file in sources(package)}
    assert import_cycle(modules) is None


def test_a_cycle_is_found() -> None:
    modules = {
        "p.a": ast.parse("from p.b import thing"),
        "p.b": ast.parse("try:\n    from p import c\nexcept ImportError:\n    raise"),
        "p.c": ast.parse("import p.a"),
    }
    cycle = import_cycle(modules)
    assert cycle is not None
    assert set(cycle) == {"p.a", "p.b", "p.c"}


@pytest.mark.parametrize(
    "late", ["def f():\n    import p.a", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.a"]
)
def test_a_late_or_typing_import_makes_no_cycle(late: str) -> None:
    assert import_cycle({"p.a": ast.parse("import p.b"), "p.b": ast.parse(late)}) is None


@pytest.mark.parametrize("module", ["proxima", "proxima.cli", "proxima.kernel", "proxima.hookspecs"])
def test_kernel_import_path_is_standard_library_and_pluggy(module: str) -> None:
    foreign = loaded_by(f"import {module}") - set(sys.stdlib_module_names) - {"proxima", "pluggy"}
    assert foreign == set()


def test_contracts_import_numpy_and_nothing_else_foreign() -> None:
    foreign = loaded_by("import proxima.contracts.circuit, proxima.contracts.result, proxima.contracts.backend")
    assert foreign - set(sys.stdlib_module_names) - loaded_by("import numpy") - {"proxima"} == set()


def test_what_a_plugin_is_written_on_needs_numpy_and_the_kernel_alone() -> None:
    foreign = loaded_by("import proxima_sdk; [getattr(proxima_sdk, name) for name in proxima_sdk.__all__]")
    kernel = {"proxima", "proxima_sdk", "pluggy"}
    assert "proxima_sdk" in foreign
    assert foreign - set(sys.stdlib_module_names) - loaded_by("import numpy") - kernel == set()


def test_importing_proxima_loads_no_numpy() -> None:
    assert "numpy" not in loaded_by("import proxima")


def test_what_installs_a_plugin_loads_no_numpy_before_there_is_an_array() -> None:
    assert "numpy" not in loaded_by("import proxima.cli.app, proxima.store.smoke, proxima.sandbox.proxies")
    assert "numpy" in loaded_by("from proxima.contracts.circuit import Circuit; Circuit.builder(1).h(0).build()")


def test_contracts_are_loaded_by_the_kinds_that_need_them() -> None:
    most = {f"proxima.contracts.{name}" for name in ("backend", "circuit", "execution", "result")}
    before = modules_loaded_by("import proxima.sandbox.proxies, proxima.sandbox.supervisor, proxima.sandbox.worker")
    assert most.isdisjoint(before)
    assert most <= modules_loaded_by("import proxima.sandbox.proxies.backends, proxima.sandbox.remote")


def test_kernel_is_small() -> None:
    """Lines that are not blank, docstrings and comments included."""
    lines = dict.fromkeys(("kernel", *ROOM_LINES), 0)
    for file in sources(KERNEL):
        room = file.relative_to(KERNEL / "src" / "proxima").parts[0]
        lines[room if room in ROOM_LINES else "kernel"] += sum(map(bool, map(str.strip, file.read_text().splitlines())))
    for room, most in {"kernel": KERNEL_LINES, **ROOM_LINES}.items():
        assert 0 < lines[room] < most, room
