"""The API reference of a package, read from its syntax tree: none of it is imported."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from proxima.errors import UsageError
from proxima_sdk.docs.docstring import docstring_as_markdown, fenced
from proxima_sdk.docs.signature import (
    Assignment,
    Definition,
    Fields,
    Function,
    fields_of,
    shortened,
    signature,
    target,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What was read.

    Attributes:
        lines: The page, from its second heading on.
        undocumented: Public names without a docstring, with file and line.
    """

    lines: tuple[str, ...]
    undocumented: tuple[str, ...]


def reference_of(package: Path) -> Reference:
    """The public modules, classes and functions of a package, in the order in which they are written.

    Args:
        package: Its directory.

    Raises:
        UsageError: A file is no Python.
    """
    lines: list[str] = []
    undocumented: list[str] = []
    for file in sorted(package.rglob("*.py")):
        parts = (package.name, *file.relative_to(package).with_suffix("").parts)
        names = parts[:-1] if parts[-1] == "__init__" else parts
        if any(name.startswith("_") for name in names[1:]):
            continue
        tree = _parsed(file)
        lines += [f"## `{'.'.join(names)}`", "", *_prose(tree), ""]
        for entry in _entries(tree.body, fields_of(tree.body)):
            if entry.line:
                undocumented.append(f"{file}:{entry.line}: {entry.name}")
            heading = f"{'#' * entry.level} `{entry.name}`"
            lines += [heading, "", *fenced(entry.signature, "python"), "", *entry.prose, ""]
    return Reference(tuple(lines), tuple(undocumented))


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:  # a null byte is a ValueError
        where = f"{file}:{getattr(error, 'lineno', None) or 1}"
        raise UsageError(f"{where}: {getattr(error, 'msg', error)}", hint="correct it first") from None


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    level: int
    signature: str
    prose: Sequence[str]
    line: int  # 0 where it has a docstring, or needs none


def _entries(
    body: Sequence[ast.stmt], fields: Mapping[ast.ClassDef, Fields | None], level: int = 3
) -> Iterator[_Entry]:
    """What is public, each name once: constants, functions with their overloads, classes with their methods."""
    named: dict[str, list[Definition]] = {}
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            named.setdefault(node.name, []).append(node)
    for node, following in pairwise([*body, ast.Pass()]):
        if isinstance(node, Assignment):
            yield from _constant(node, following)
        elif isinstance(node, Definition) and node is named.get(node.name, [None])[0]:
            same = named[node.name]
            told = next((each for each in same if ast.get_docstring(each) is not None), None)
            text = "\n\n".join(signature(each, fields, method=level > 3) for each in same)
            yield _Entry(node.name, level, text, _prose(told) if told else (), 0 if told else node.lineno)
            if isinstance(node, ast.ClassDef):
                yield from _entries([each for each in node.body if isinstance(each, Function)], fields, level + 1)


def _constant(node: Assignment, following: ast.stmt) -> Iterator[_Entry]:
    """A name that begins with a capital, as constants and types do, or one with a docstring beneath it."""
    value = following.value if isinstance(following, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
    name = target(node)
    if not name.startswith("_") and (text or name[0].isupper()):
        prose = docstring_as_markdown(inspect.cleandoc(text))
        yield _Entry(name, 3, ast.unparse(shortened(node)), prose, 0)


def _prose(node: ast.Module | Definition) -> list[str]:
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return []
    # Not what cleandoc does: where all that follows the first line is code, it would take the code's indentation away.
    indent = node.body[0].col_offset
    lines = [line[indent:] if not line[:indent].strip() else line for line in text.expandtabs().splitlines()]
    return docstring_as_markdown("\n".join([lines[0].strip(), *lines[1:]]).strip() if lines else "")
