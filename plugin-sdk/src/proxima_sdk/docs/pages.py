"""`write_pages`: index, manifest, API reference and examples of a plugin's project."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxima.errors import StorageError, UsageError
from proxima.permissions import Permission
from proxima.sandbox.interfaces import INTERFACES
from proxima.storage import write_atomic
from proxima_sdk.docs.api import Reference, reference_of
from proxima_sdk.docs.docstring import docstring_as_markdown, fenced, tidy
from proxima_sdk.manifest.compile import compile_manifest
from proxima_sdk.manifest.model import LimitsModel
from proxima_sdk.markdown import plain

MADE = "[//]: # (Made by `proxima plugin docs` from the project.)\n\n"
"""What a page made here begins with: a comment in Markdown's own words."""

_LONGEST_EXAMPLE = 64 << 10
_LANGUAGES = {".py": "python", ".sh": "sh", ".json": "json", ".yaml": "yaml", ".toml": "toml"}


@dataclass(frozen=True, slots=True)
class Pages:
    """A project's pages.

    Attributes:
        texts: By file name.
        undocumented: Public names without a docstring, with file and line.
    """

    texts: Mapping[str, str]
    undocumented: tuple[str, ...]


def pages_of(project: Path) -> Pages:
    """What the pages of a project say.

    Raises:
        ManifestError: ``plugin.yaml`` is wrong.
        UsageError: There is none, or a source file is no Python.
    """
    if not (project / "plugin.yaml").is_file():
        raise UsageError(f"there is no {project / 'plugin.yaml'}", hint="name the directory that holds plugin.yaml")
    compiled, text = compile_manifest(project / "plugin.yaml")
    manifest: dict[str, Any] = json.loads(text)
    reference = reference_of(compiled.parent)
    pages = {
        "index.md": _index(manifest),
        "manifest.md": _manifest(manifest),
        "api.md": _api(manifest, reference),
        "examples.md": _examples(project),
    }
    texts = {name: MADE + "\n".join(tidy(lines)) + "\n" for name, lines in pages.items()}
    return Pages(texts, reference.undocumented)


def write_pages(pages: Pages, out: Path) -> list[Path]:
    """Writes the pages that say something else than the files that are there, and returns those files.

    Raises:
        UsageError: A file of the name is there that was not made here.
        StorageError: It cannot be written.
    """
    changed = differing(pages, out)
    for file in changed:
        if file.exists() and not file.read_text("utf-8", "replace").startswith(MADE):
            hint = "rename it, or choose another --output"
            raise UsageError(f"{file} was written by somebody; it is not overwritten", hint=hint)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {out}: {error.strerror}") from error
    for file in changed:
        write_atomic(str(file), pages.texts[file.name])
    return changed


def differing(pages: Pages, out: Path) -> list[Path]:
    """The files that are missing or say something else."""
    files = {out / name: text for name, text in pages.texts.items()}
    return [file for file, text in files.items() if not file.is_file() or file.read_bytes() != text.encode()]


def _index(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {plain(manifest['display_name'])}"
    yield f"\n{plain(manifest['description'])}\n"
    yield from _table(
        ("", ""),
        [
            ("Id", f"`{manifest['name']}`"),
            ("Version", plain(manifest["version"])),
            ("Licence", plain(manifest["license"])),
            ("Author", plain(manifest["author"])),
            ("Made for", plain(f"kernel API {manifest['kernel_api']}, Python {manifest['python_version'] or 'any'}")),
        ],
    )
    yield "\n- [What it contributes, which permissions it asks for, its settings](manifest.md)"
    yield "- [API reference](api.md)"
    yield "- [Examples](examples.md)"


def _manifest(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "# Manifest\n\n## Contributions\n"
    rows = [
        (kind.replace("_", " ").removesuffix("s"), plain(entry["name"]), plain(entry["description"]), _runs(kind))
        for kind, entries in manifest["entry_points"].items()
        for entry in entries
    ]
    yield from _table(("kind", "name", "what it is", "runs"), rows)
    for entry in manifest["entry_points"].get("services", ()):
        yield f"\nThe service {plain(entry['name'])} is found by its contract, `{entry['contract']}`."
    for entry in manifest["entry_points"].get("formats", ()):
        if entry["extensions"]:
            yield f"\nFiles of the format {plain(entry['name'])} end in {', '.join(map(plain, entry['extensions']))}."
    for entry in manifest["entry_points"].get("backends", ()):
        if entry["capabilities"]:
            yield f"\n### What {plain(entry['name'])} can do\n"
            yield from _table(("", ""), list(_capabilities(entry["capabilities"])))
    yield "\n## Permissions\n"
    permissions = [Permission.parse(text) for text in manifest["permissions"]]
    yield from _table(
        ("permission", "allows it to", "risk"), [(plain(str(p)), plain(p.describe()), p.risk) for p in permissions]
    )
    if not permissions:
        yield "It asks for none."
    yield "\n## Settings\n"
    settings = [_setting(manifest["name"], name, schema) for name, schema in manifest["config_schema"].items()]
    yield from _table(("setting", "type", "default", "meaning"), settings)
    if not settings:
        yield "It has none."
    yield "\n## Limits\n"
    about = LimitsModel.model_fields
    limits = {name: value for name, value in (manifest["limits"] or {}).items() if value is not None}
    most = [(f"`{name}`", f"{value:,}", plain(about[name].description or "")) for name, value in limits.items()]
    yield from _table(("limit", "most", "of what"), most)
    if not limits:
        yield "It sets itself none: those of the host hold."
    yield "\n## Dependencies\n"
    needs = manifest["dependencies"]
    lines = [f"- {plain(text)}" for text in needs["python"]]
    lines += [f"- {plain(text)}, which is no Python package: it has to be there already" for text in needs["system"]]
    yield from lines or ["It has none beside Proxima."]


def _capabilities(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "methods", plain(", ".join(told["methods"]))
    yield "gives", plain(", ".join(told["wants"]))
    yield "precision", " or ".join(told["precisions"])
    yield "noise", "yes" if told["noise"] else "no"
    yield "conditions, reset, measurement in the middle", "yes" if told["dynamic"] else "no"
    yield "operations", "all" if told["operations"] == "all" else plain(", ".join(told["operations"]))
    if told["restricted_operations"]:
        yield "operations at some parameters only", plain(", ".join(told["restricted_operations"]))
    yield "qubits", "as memory allows" if told["max_qubits"] is None else f"at most {told['max_qubits']}"


def _runs(kind: str) -> str:
    return "in a worker" if kind in INTERFACES else "in Proxima's own process, where the user trusts it"


def _setting(plugin: str, name: str, schema: Mapping[str, Any]) -> tuple[str, ...]:
    limits = [f"{word.replace('Minimum', ' minimum').replace('Maximum', ' maximum')} {schema[word]}"
              for word in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if word in schema]  # fmt: skip
    if "enum" in schema:
        limits.append("one of " + ", ".join(map(str, schema["enum"])))
    default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else ""
    kind = ", ".join([str(schema.get("type", "anything")), *limits])
    return (plain(f"plugins.{plugin}.{name}"), plain(kind), plain(default), plain(str(schema.get("description", ""))))


def _api(manifest: Mapping[str, Any], reference: Reference) -> Iterator[str]:
    yield f"# API reference of {plain(manifest['display_name'])}\n"
    yield from reference.lines


def _examples(project: Path) -> Iterator[str]:
    yield "# Examples\n"
    folder = project / "examples"
    every = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink()]
    files = [file for file in every if "__pycache__" not in file.parts]
    for file in files:
        yield f"## {plain(file.relative_to(folder).as_posix())}\n"
        yield from _example(file)
    if not files:
        yield "There are none."


def _example(file: Path) -> Iterator[str]:
    data = file.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(data) > _LONGEST_EXAMPLE:
        yield f"A file of {len(data)} bytes.\n"
        return
    if file.suffix == ".py":
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{file}: {error}", hint="correct it first") from None
        yield from docstring_as_markdown(ast.get_docstring(tree) or "")
        if ast.get_docstring(tree) is not None:
            text = "".join(text.splitlines(keepends=True)[tree.body[0].end_lineno :])
    yield from ("", *fenced(text.strip(), _LANGUAGES.get(file.suffix, "text")), "")


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(headings)} |"
        yield "|" + "---|" * len(headings)
        for row in rows:
            yield f"| {' | '.join(row)} |"
