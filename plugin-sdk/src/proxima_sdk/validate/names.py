"""What the names in a module stand for, as far as its imports tell."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

BUILTINS = ("eval", "exec", "open", "__import__")
_SAME = {"builtins": "", "posix": "os.", "_io": "io."}  # modules whose names are those of another


def run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from run_nodes(other)
            continue
        yield node
        yield from run_nodes(node)


def aliases_in(tree: ast.AST, known: Collection[str]) -> dict[str, str]:
    """Name in the module to what it stands for: ``run`` to ``subprocess.run`` after ``from subprocess import run``.

    Args:
        tree: The module.
        known: Dotted names; those that a ``from MODULE import *`` may bring are taken to be brought.
    """
    aliases = {}
    for node in run_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if alias.name != "*":
                    aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    continue
                module = plain(f"{node.module}.")
                brought = (name for name in known if name.rpartition(".")[0] == module.rstrip("."))
                aliases.update({name.rpartition(".")[2]: name for name in brought})
    return aliases


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """``os.path.join`` for such an expression whose first name was imported, or is a builtin; else empty.

    ``getattr(os, "system")`` is ``os.system``.
    """
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            if len(node.args) < 2 or not isinstance(attribute := text_of(node.args[1]), str):
                return ""
            parts.append(attribute)
            node = node.args[0]
        else:
            break
    if not isinstance(node, ast.Name):
        return ""
    first = aliases.get(node.id) or (node.id if node.id in BUILTINS else "")
    return plain(".".join([first, *reversed(parts)])) if first else ""


def plain(name: str) -> str:
    """A dotted name under the module where it is at home."""
    top, point, rest = name.partition(".")
    return f"{_SAME[top]}{rest}" if point and top in _SAME else name


def text_of(node: ast.expr | None) -> str | None:
    """The text that an expression is, where it is written down."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
