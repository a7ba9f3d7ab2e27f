"""Compiles ``plugin.yaml`` into the ``proxima-plugin.json`` that discovery reads.

``python -m proxima_sdk.manifest.compile PLUGIN.YAML...`` writes the compiled manifests, ``--check`` only compares them,
and ``--schema`` prints the JSON Schema.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from proxima.errors import ManifestError, ProximaError
from proxima.plugins.scan import GROUP, MANIFEST_NAME, MAX_FILE_BYTES
from proxima_sdk.manifest.model import ManifestModel, check_manifest, json_schema
from proxima_sdk.manifest.pyproject import read_project


class _Loader(yaml.SafeLoader):
    """YAML with 1.2's floating-point numbers (PyYAML reads ``1e-6`` as text), no duplicate keys and no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few lines of them stand for gigabytes
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not accepted", self.get_mark())
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:  # a date such as 2024-13-45
            raise yaml.constructor.ConstructorError(None, None, f"no {node.tag}: {error}", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value if node.id == "mapping" else ():  # a tag may claim what is none
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"expected text as a key, got {key!r:.40}"
            elif key in seen:
                problem = f"the key {key!r} occurs twice"
            else:
                seen.add(key)
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def load_yaml(path: Path) -> ManifestModel:
    """Reads and checks a ``plugin.yaml``.

    Raises:
        ManifestError: With the field's path, or the line and column of a YAML error.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise ManifestError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        return check_manifest(yaml.load(data, _Loader), source=str(path))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    except RecursionError:
        raise ManifestError(f"{path}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ManifestError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from None


def compiled_text(manifest: ManifestModel) -> str:
    """The compiled manifest as it is written: JSON whose first line is what `scan.read_header` takes apart."""
    data = manifest.compiled()
    header = json.dumps({key: data.pop(key) for key in ("format", "fits", "kinds")})
    return header[:-1] + ",\n" + json.dumps(data, indent=1, sort_keys=True)[1:].lstrip("\n") + "\n"


def compile_manifest(path: Path) -> tuple[Path, str]:
    """Where the compiled manifest of a ``plugin.yaml`` belongs, and its text.

    Raises:
        ManifestError: The manifest is wrong, or disagrees with the ``pyproject.toml`` beside it.
    """
    manifest = load_yaml(path)
    pyproject = path.parent / "pyproject.toml"
    project = read_project(pyproject)
    points = project.entry_points.get(GROUP, {})
    if list(points) != [manifest.name]:
        raise ManifestError(
            f'{pyproject}: project.entry-points."{GROUP}": expected the one name {manifest.name!r}, got {list(points)}'
        )
    if project.version != manifest.version:
        raise ManifestError(
            f"{path}: version: {manifest.version} differs from {project.version} in {pyproject}",
            hint="say the same in both",
        )
    package = points[manifest.name].partition(":")[0].partition(".")[0]
    directory = path.parent / "src" / package
    if not directory.is_dir():
        raise ManifestError(f"{pyproject}: the entry point names package {package!r}, but there is no {directory}")
    return directory / MANIFEST_NAME, compiled_text(manifest)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns 1 where ``--check`` finds a difference, 2 where a manifest is wrong."""
    parser = argparse.ArgumentParser(prog="python -m proxima_sdk.manifest.compile", description=__doc__)
    parser.add_argument("manifests", nargs="*", type=Path, metavar="PLUGIN.YAML")
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 where one is out of date")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of plugin.yaml")
    args = parser.parse_args(arguments)
    if args.schema:
        print(json.dumps(json_schema(), indent=1, sort_keys=True))
        return 0
    stale = 0
    for path in args.manifests:
        try:
            target, text = compile_manifest(path)
        except ProximaError as error:
            print(f"{error}\n{error.hint}" if error.hint else error, file=sys.stderr)
            return error.exit_code
        if target.exists() and target.read_bytes() == text.encode():
            continue
        stale += 1
        if args.check:
            again = f"`python -m proxima_sdk.manifest.compile {path}` makes it anew"
            print(f"{target} is out of date: {again}", file=sys.stderr)
        else:
            target.write_bytes(text.encode())
            print(target)
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
