"""`Manifest`: a compiled manifest as the kernel reads it at run time.

The full model, with every rule for authors, is the SDK's: it needs pydantic, which costs 25 bare interpreter starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from proxima.errors import ManifestError
from proxima.plugins.scan import read_small

KINDS = (
    "backends",
    "formats",
    "algorithms",
    "visualizations",
    "codegens",
    "tools",
    "agents",
    "llm_providers",
    "mcp_servers",
    "commands",
    "screens",
    "views",
    "themes",
    "services",
)
"""Contribution kinds; the hook that hands over the objects of a kind is called ``proxima_<kind>``."""

FORMAT = 1
"""Version of the compiled manifest's own layout."""

MAX_DEPTH = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contribution:
    """One thing that a plugin's manifest says it contributes; nothing has been imported to know it.

    Attributes:
        target: ``package.module.Class`` of the object.
        data: The whole entry, with what belongs to its kind, e.g. a backend's ``capabilities``.
    """

    kind: str
    name: str
    plugin: str
    target: str
    description: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Manifest(NamedTuple):
    """What the kernel needs of a manifest; ``raw`` keeps all of it.

    Attributes:
        fits: What it needs of kernel and Python, as `compatibility.unfit` reads it.
    """

    id: str
    version: str
    display_name: str
    description: str
    type: str
    fits: str
    permissions: tuple[str, ...]
    contributions: tuple[Contribution, ...]
    config_schema: Mapping[str, Any]
    raw: Mapping[str, Any]

    @classmethod
    def from_dict(cls, raw: Any, *, source: str) -> Manifest:
        """Reads a compiled manifest.

        Raises:
            ManifestError: Naming ``source``, the field's path and what was expected.
        """
        _expect(raw, dict, source, "the manifest")
        if raw.get("format") != FORMAT:
            raise ManifestError(
                f"{source}: format: expected {FORMAT}, got {raw.get('format')!r}",
                hint="compile plugin.yaml with this kernel's `proxima plugin build`",
            )
        plugin_id = _get(raw, "name", str, source)
        entry_points = _get(raw, "entry_points", dict, source)
        unknown = sorted(set(entry_points) - set(KINDS))
        if unknown:
            raise ManifestError(f"{source}: entry_points.{unknown[0]}: no such kind; the kinds are {', '.join(KINDS)}")
        contributions = []
        for kind, entries in entry_points.items():
            for i, entry in enumerate(_expect(entries, list, source, f"entry_points.{kind}")):
                at = f"entry_points.{kind}[{i}]"
                _expect(entry, dict, source, at)
                name, target = (_get(entry, key, str, source, at) for key in ("name", "class"))
                contributions.append(
                    Contribution(kind, name, plugin_id, target, str(entry.get("description", "")), entry)
                )
        permissions = _get(raw, "permissions", list, source)
        for i, permission in enumerate(permissions):
            _expect(permission, str, source, f"permissions[{i}]")
        config_schema = _get(raw, "config_schema", dict, source)
        for key, fragment in config_schema.items():
            _expect(fragment, dict, source, f"config_schema.{key}")
        return cls(
            id=plugin_id,
            version=_get(raw, "version", str, source),
            display_name=_get(raw, "display_name", str, source),
            description=_get(raw, "description", str, source),
            type=_get(raw, "type", str, source),
            fits=_get(raw, "fits", str, source),
            permissions=tuple(permissions),
            contributions=tuple(contributions),
            config_schema=config_schema,
            raw=raw,
        )


def read_manifest(path: str) -> Manifest:
    """Reads a compiled manifest from its file.

    Raises:
        ManifestError: The file is missing, too large, not JSON, or has a wrong field.
    """
    text = read_small(path)
    if text is None:
        raise ManifestError(f"{path}: missing, larger than 1 MiB, or not UTF-8 text")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: not JSON: {error}") from None
    if _deeper_than(raw, MAX_DEPTH):
        raise ManifestError(f"{path}: nested deeper than {MAX_DEPTH}")
    return Manifest.from_dict(raw, source=path)


def _deeper_than(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        level = [item for each in inner for item in each]
    return bool(level)


def _get(data: Mapping[str, Any], key: str, kind: type[T], source: str, at: str = "") -> T:
    where = f"{at}.{key}" if at else key
    if key not in data:
        raise ManifestError(f"{source}: {where}: missing; expected {_WORDS[kind]}")
    return _expect(data[key], kind, source, where)


def _expect(value: Any, kind: type[T], source: str, where: str) -> T:
    if not isinstance(value, kind):
        raise ManifestError(f"{source}: {where}: expected {_WORDS[kind]}, got {value!r:.60}")
    return value


_WORDS: dict[type[Any], str] = {str: "text", list: "a list", dict: "a mapping"}
