"""Which calls in a module read or write files: what a path is, and what only looks like one."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from proxima_sdk.validate.names import dotted, run_nodes, text_of

Kind = Literal["", "path", "own", "memory"]
"""What an expression is: of no interest, a path, a path to what the package brought along, or a file in memory."""

_READ = ("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile")
_WRITE = ("numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt")
_BY_MODE = {
    **dict.fromkeys(("open", "io.open", "io.FileIO"), (1, "r")),
    **dict.fromkeys(("gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile"), (1, "r")),
    "numpy.memmap": (2, "r+"),
}
"""At which position their mode is, and which it is by default."""
FUNCTIONS = (*_READ, *_WRITE, *_BY_MODE, "os.open", "pathlib.Path")

# fmt: off
_METHODS = {
    **dict.fromkeys(("read_text", "read_bytes", "iterdir", "rglob"), "file_read"),
    **dict.fromkeys(("write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "symlink_to", "hardlink_to",
                     "extractall", "tofile", "savefig"), "file_write"),
}
"""Methods that are known by their names, whatever they are called on."""
_OF_PATHS = {
    **dict.fromkeys(("glob", "walk"), "file_read"),
    **dict.fromkeys(("rename", "replace", "chmod", "copy", "copy_into", "move", "move_into"), "file_write"),
}
"""Methods that others than paths have too."""
_TO_FILES = ("tofile", "savefig")  # of what is no path itself
_PATHS = {
    "absolute", "expanduser", "joinpath", "parent", "parents", "readlink", "relative_to", "resolve", "with_name",
    "with_segments", "with_stem", "with_suffix", "glob", "iterdir", "rglob", "cwd", "home",
}
"""What of a path is another, or several."""
# fmt: on
_PASSING = ("str", "next", "list", "sorted")
_MEMORY = ("io.BytesIO", "io.StringIO")
_WRITE_FLAGS = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")


def file_uses(tree: ast.AST, aliases: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Name, permission and line of each call that reads or writes files.

    What a package reads of its own, found by ``__file__`` or `importlib.resources`, is left out, and so is what goes
    into memory.
    """
    paths = _Paths(aliases)
    calls = []
    for node in run_nodes(tree):
        paths.learn(node)
        if isinstance(node, ast.Call):
            calls.append(node)
    for call in calls:
        name, permission, file = _call(call, paths, aliases)
        kind = paths.kind(file) if file is not None else ""
        if permission and kind != "memory" and not (kind == "own" and permission == "file_read"):
            yield f"{name}()", permission, call.lineno


def _call(call: ast.Call, paths: _Paths, aliases: Mapping[str, str]) -> tuple[str, str, ast.expr | None]:
    """The function's or method's name, the permission that it needs, if any, and the file that it is about."""
    name = dotted(call.func, aliases)
    first = call.args[0] if call.args else _keyword(call, "fileobj", "file", "filename", "fname", "name")
    if name in _READ or name in _WRITE:
        return name, "file_read" if name in _READ else "file_write", first
    if name in _BY_MODE:
        return name, _mode(call, *_BY_MODE[name]), first
    if name == "os.open":
        writes = _WRITE_FLAGS.search(" ".join(map(ast.unparse, call.args[1:2])))
        return name, "file_write" if writes else "file_read", first
    of_a_module = name.partition(".")[0] in sys.stdlib_module_names - {"pathlib"}
    if of_a_module or not isinstance(call.func, ast.Attribute):
        return "", "", None
    method, owner = call.func.attr, call.func.value
    if permission := _METHODS.get(method, ""):
        return method, permission, first if method in _TO_FILES else owner
    if paths.kind(owner) in ("path", "own"):
        if method == "open":
            return method, _mode(call, 0, "r"), owner
        return method, _OF_PATHS.get(method, ""), owner
    return "", "", None


def _keyword(call: ast.Call, *names: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg in names), None)


def _mode(call: ast.Call, position: int, default: str) -> str:
    """The permission by a mode such as ``"rb"`` or, for archives, ``"w:xz"``; one that is not written down reads."""
    given = call.args[position] if len(call.args) > position else _keyword(call, "mode")
    mode = default if given is None else text_of(given) or ""
    return "file_write" if set(re.split(r"[:|]", mode)[0]) & set("wax+") else "file_read"


class _Paths:
    """What the names of a module are bound to, wherever that is done."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = aliases
        self._bound: dict[str, set[Kind]] = {"__file__": {"own"}}
        self._kinds: dict[ast.expr, Kind] = {}

    def learn(self, node: ast.AST) -> None:
        """Takes in what a statement binds."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, self.kind(node.value))
        elif isinstance(node, ast.AnnAssign):
            annotated = self._annotated(node.annotation)
            self._bind(node.target, (self.kind(node.value) if node.value else "") or annotated)
            if annotated and isinstance(node.target, ast.Name):  # a dataclass's field, as its methods see it
                self._bound.setdefault(f"self.{node.target.id}", set()).add(annotated)
        elif isinstance(node, ast.arg):
            self._bind(node, self._annotated(node.annotation))
        elif isinstance(node, ast.NamedExpr):
            self._bind(node.target, self.kind(node.value))
        elif isinstance(node, ast.withitem) and node.optional_vars:
            self._bind(node.optional_vars, self.kind(node.context_expr))
        elif isinstance(node, ast.For | ast.comprehension):
            self._bind(node.target, self.kind(node.iter))

    def _bind(self, target: ast.AST, kind: Kind) -> None:
        if name := target.arg if isinstance(target, ast.arg) else _name(target):
            self._bound.setdefault(name, set()).add(kind)
            self._kinds.clear()

    @staticmethod
    def _annotated(annotation: ast.expr | None) -> Kind:
        return "path" if annotation and "Path" in re.findall(r"\w+", ast.unparse(annotation)) else ""

    def kind(self, node: ast.expr) -> Kind:
        """What an expression is."""
        if node not in self._kinds:
            self._kinds[node] = self._kind(node)
        return self._kinds[node]

    def _kind(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Name | ast.Attribute):
            bound = self._bound.get(_name(node), set())
            if bound:
                return "path" if "path" in bound else next(iter(bound)) if len(bound) == 1 else ""
        if isinstance(node, ast.Call):
            return self._made(node)
        if isinstance(node, ast.Attribute):
            return self.kind(node.value) if node.attr in _PATHS else ""
        if isinstance(node, ast.Subscript | ast.Starred | ast.FormattedValue):
            return self.kind(node.value)
        if isinstance(node, ast.BinOp):
            return self._either([node.left, node.right])
        if isinstance(node, ast.JoinedStr):
            return self._either(node.values)
        return ""

    def _made(self, call: ast.Call) -> Kind:
        name = dotted(call.func, self._aliases)
        if name in _MEMORY:
            return "memory"
        if name.startswith("importlib.resources."):
            return "own"
        passing = isinstance(call.func, ast.Name) and call.func.id in _PASSING
        if passing or name.startswith(("pathlib.", "os.path.", "os.fspath")):
            return self._either(call.args) or ("path" if name.startswith("pathlib.") else "")
        return self.kind(call.func)

    def _either(self, nodes: Collection[ast.expr]) -> Kind:
        kinds = [self.kind(node) for node in nodes]
        return "own" if "own" in kinds else "path" if "path" in kinds else ""


def _name(node: ast.AST) -> str:
    """``self.path`` for such an expression; empty for one that is more than names."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
