"""The part of a ``pyproject.toml`` that a plugin's project is read by, without building anything."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name

from proxima.errors import ManifestError

_HINT = "correct it; `proxima plugin new` makes one that is right"


@dataclass(frozen=True, slots=True)
class ProjectTable:
    """What stands under ``project``.

    Attributes:
        name: The distribution's normalised name.
        dependencies: Its own; those that are ``dynamic`` are not known here.
        entry_points: By group, each name to its object.
    """

    name: str
    version: str
    dependencies: tuple[Requirement, ...]
    entry_points: Mapping[str, Mapping[str, str]]


def read_project(path: Path) -> ProjectTable:
    """Reads a ``pyproject.toml``.

    Raises:
        ManifestError: It is not there, is not TOML, or a field is missing or wrong; the message names it.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: is not TOML: {error}", hint=_HINT) from None
    project = tables.get("project")
    if not isinstance(project, dict):
        raise ManifestError(f"{path}: there is no table [project]", hint=_HINT)
    name = _text(path, project, "name")
    try:
        name = canonicalize_name(name, validate=True)
    except InvalidName:
        raise ManifestError(f"{path}: project.name: {name!r} is not a distribution's name", hint=_HINT) from None
    points = project.get("entry-points", {})
    if not isinstance(points, dict) or not all(map(_is_texts, points.values())):
        raise ManifestError(f"{path}: project.entry-points: expected a table of tables of texts", hint=_HINT)
    return ProjectTable(name, _text(path, project, "version"), tuple(_dependencies(path, project)), points)


def _text(path: Path, project: Mapping[str, Any], field: str) -> str:
    value, dynamic = project.get(field), project.get("dynamic")
    if isinstance(value, str) and value:
        return value
    if isinstance(dynamic, list) and field in dynamic:
        message = f"{path}: project.{field} is dynamic, so only a build would tell it"
        raise ManifestError(message, hint=f"write it down as project.{field}, and take it out of project.dynamic")
    said = "is missing" if value is None else f"expected text, got {value!r:.40}"
    raise ManifestError(f"{path}: project.{field} {said}", hint=_HINT)


def _is_texts(table: object) -> bool:
    return isinstance(table, dict) and all(isinstance(value, str) for value in table.values())


def _dependencies(path: Path, project: Mapping[str, Any]) -> Iterator[Requirement]:
    listed = project.get("dependencies", [])
    if not isinstance(listed, list):
        raise ManifestError(f"{path}: project.dependencies: expected a list, got {listed!r:.40}", hint=_HINT)
    for text in listed:
        try:
            yield Requirement(text)
        except (InvalidRequirement, TypeError) as error:
            said = str(error).partition("\n")[0]
            message = f"{path}: project.dependencies: {text!r} is not a requirement: {said}"
            raise ManifestError(message, hint='write it like "numpy>=2.0"') from None
