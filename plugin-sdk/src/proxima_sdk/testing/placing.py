"""Putting a plugin where the kernel finds it, as an installer would, without touching the user's environment."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from proxima.errors import UnavailableError, UsageError
from proxima.plugins.scan import scan
from proxima.storage import write_atomic
from proxima_sdk.manifest.compile import compile_manifest


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
    (metadata,) = directory.glob("*.dist-info/METADATA")
    lines = metadata.read_text("utf-8").partition("\n\n")[0].splitlines()
    key = "Requires-Dist: "
    _require([line.removeprefix(key) for line in lines if line.startswith(key)], wheel)
    return ()


def _place_source(source: Path, directory: Path) -> tuple[str, ...]:
    manifest = source / "plugin.yaml"
    if not manifest.is_file():
        raise UsageError(f"there is no {manifest}", hint="name the directory that holds plugin.yaml")
    target, text = compile_manifest(manifest)
    if not target.exists() or target.read_text("utf-8") != text:
        write_atomic(str(target), text)
    project: dict[str, Any] = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    requirements = [str(each) for each in project.get("dependencies", [])]
    _require(requirements, source)
    name, version = str(project["name"]), str(project["version"])
    info = directory / f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}.dist-info"
    info.mkdir()
    fields = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*fields, *(f"Requires-Dist: {r}" for r in requirements), ""]), "utf-8")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items()) for group, names in groups]
    (info / "entry_points.txt").write_text("\n".join(points), "utf-8")
    return (str(target.parent.parent.resolve()),)


def _require(requirements: list[str], plugin: Path) -> None:
    missing = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            here = distribution(wanted.name).version
        except PackageNotFoundError:
            missing.append(f"{text} (not installed)")
        else:
            if not wanted.specifier.contains(here, prereleases=True):
                missing.append(f"{text} ({here} is installed)")
    if missing:
        hint = f"install it into this environment, e.g. pip install {plugin}"
        raise UnavailableError(f"{plugin} needs {', '.join(missing)}", hint=hint)
