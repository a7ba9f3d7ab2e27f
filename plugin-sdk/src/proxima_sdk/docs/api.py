"""The API reference of a package, read from its syntax tree: none of it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxima.errors import UsageError
from proxima_sdk.docs.docstring import docstring_as_markdown

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Documented = ast.Module | ast.ClassDef | _Function


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
        lines += [f"## `{'.'.join(names)}`", "", *_prose(tree)]
        for node, level in _public(tree):
            if ast.get_docstring(node) is None:
                undocumented.append(f"{file}:{node.lineno}: {node.name}")
            lines += [f"{'#' * level} `{node.name}`", "", "```python", _signature(node), "```", "", *_prose(node)]
    return Reference(tuple(lines), tuple(undocumented))


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:  # a null byte is a ValueError
        where = f"{file}:{getattr(error, 'lineno', None) or 1}"
        raise UsageError(f"{where}: {getattr(error, 'msg', error)}", hint="correct it first") from None


def _public(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | _Function, int]]:
    """Classes with their methods, and functions, each with the level of its heading."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | _Function) and not node.name.startswith("_"):
            yield node, 3
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, _Function) and not inner.name.startswith("_"):
                    yield inner, 4


def _signature(node: ast.ClassDef | _Function) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in (*node.bases, *(keyword.value for keyword in node.keywords)))
        init = next((each for each in node.body if isinstance(each, _Function) and each.name == "__init__"), None)
        made = f"\n\n{node.name}{_arguments(init)}" if init is not None else ""
        return f"class {node.name}({bases})" + made if bases else f"class {node.name}" + made
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{word} {node.name}{_arguments(node)}{returns}"


def _arguments(node: _Function) -> str:
    """As a caller writes them: without ``self`` or ``cls`` of a method."""
    first = [*node.args.posonlyargs, *node.args.args][:1]
    text = ast.unparse(node.args)
    if first and first[0].arg in ("self", "cls"):
        text = text.partition(", ")[2]
    return f"({text.removeprefix('/, ')})"


def _prose(node: _Documented) -> list[str]:
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return [""]
    # Not what cleandoc does: where all that follows the first line is code, it would take the code's indentation away.
    indent = node.body[0].col_offset
    lines = [line[indent:] if not line[:indent].strip() else line for line in text.expandtabs().splitlines()]
    return [*docstring_as_markdown("\n".join([lines[0].strip(), *lines[1:]]).strip() if lines else ""), ""]
