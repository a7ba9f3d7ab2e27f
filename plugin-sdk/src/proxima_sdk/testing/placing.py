"""Putting a plugin where the kernel finds it, as an installer would, without touching the user's environment."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from proxima.errors import UnavailableError, UsageError
from proxima.plugins.scan import scan
from proxima.storage import write_atomic
from proxima_sdk.manifest.compile import compile_manifest
from proxima_sdk.manifest.pyproject import read_project
from proxima_sdk.requirements import unmet


@dataclass(frozen=True, slots=True)
class Placed:
    """A plugin that lies ready to be imported.

    Attributes:
        id: The plugin's.
        package: Its top-level package.
        version: Its distribution's.
        paths: The directories to import it from: the one with its metadata, and its source directory if it has one.
    """

    id: str
    package: str
    version: str
    paths: tuple[str, ...]

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Puts it on ``sys.path``, before all else; afterwards takes it off, and forgets what was imported of it."""
        before = set(sys.modules)
        sys.path[:0] = self.paths
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for path in self.paths:
                sys.path.remove(path)
            for name in [n for n in sys.modules if n.partition(".")[0] == self.package and n not in before]:
                del sys.modules[name]


def place(plugin: Path, directory: Path) -> Placed:
    """Lays a plugin out.

    A source directory stays where it is, and its ``proxima-plugin.json`` is written anew where ``plugin.yaml`` says
    something else; a wheel is unpacked.

    Args:
        plugin: A directory with ``plugin.yaml`` and ``pyproject.toml``, or a wheel.
        directory: An empty directory, which gets the metadata, and the wheel's content.

    Raises:
        UsageError: It is neither, or its manifest is wrong.
        UnavailableError: What it depends on is not installed.
    """
    if plugin.is_dir():
        sources = _place_source(plugin, directory)
    elif plugin.suffix == ".whl":
        sources = _unpack(plugin, directory)
    else:
        raise UsageError(f"{plugin}: neither a directory nor a wheel", hint="name the directory that holds plugin.yaml")
    found = scan([str(directory)])
    if len(found) != 1:
        raise UsageError(f"{plugin}: expected one plugin in it, found {', '.join(p.id for p in found) or 'none'}")
    return Placed(found[0].id, found[0].package, found[0].version, (str(directory), *sources))


def _unpack(wheel: Path, directory: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheel}: cannot be unpacked: {error}") from None
    metadata = next(directory.glob("*.dist-info/METADATA"), None)
    if metadata is None:
        raise UsageError(f"{wheel}: holds no metadata", hint="build it with a build backend: proxima plugin build")
    with metadata.open("rb") as file:
        listed = BytesHeaderParser().parse(file).get_all("Requires-Dist") or []
    try:
        _require([Requirement(str(each)) for each in listed], wheel)
    except InvalidRequirement as error:
        raise UsageError(f"{wheel}: Requires-Dist: {error}") from None
    return ()


def _place_source(source: Path, directory: Path) -> tuple[str, ...]:
    manifest = source / "plugin.yaml"
    if not manifest.is_file():
        raise UsageError(f"there is no {manifest}", hint="name the directory that holds plugin.yaml")
    target, text = compile_manifest(manifest)
    if not target.exists() or target.read_text("utf-8") != text:
        write_atomic(str(target), text)
    project = read_project(source / "pyproject.toml")
    _require(project.dependencies, source)
    info = directory / f"{project.name.replace('-', '_')}-{project.version}.dist-info"
    info.mkdir()
    fields = ["Metadata-Version: 2.1", f"Name: {project.name}", f"Version: {project.version}"]
    fields += [f"Requires-Dist: {each}" for each in project.dependencies]
    (info / "METADATA").write_text("\n".join([*fields, ""]), "utf-8")
    groups = project.entry_points.items()
    points = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items()) for group, names in groups]
    (info / "entry_points.txt").write_text("\n".join(points), "utf-8")
    return (str(target.parent.parent.resolve()),)


def _require(requirements: Sequence[Requirement], plugin: Path) -> None:
    if missing := list(unmet(requirements)):
        hint = f"install it into this environment, e.g. pip install {plugin}"
        raise UnavailableError(f"{plugin} needs {', '.join(missing)}", hint=hint)
