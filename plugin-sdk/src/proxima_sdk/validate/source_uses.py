"""What a plugin's source uses, read from its syntax tree, against the permissions that it declares.

A reader's aid, not a border: what code does at run time is the sandbox's to hold. So each finding is a warning.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxima.store.problems import Problem

_PROCESS = "starts other programs"
_WRITES = "creates, changes or removes files"


def _names(module: str, functions: str) -> list[str]:
    return [f"{module}.{function}" for function in functions.split()]


# fmt: off
_NEEDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("network", "connects to other computers"): (
        "socket", "ssl", "socketserver", "http.client", "http.server", "urllib.request", "xmlrpc", "ftplib", "smtplib",
        "imaplib", "poplib", "asyncio.open_connection", "asyncio.start_server", "requests", "httpx", "urllib3",
        "aiohttp", "websockets", "websocket", "grpc", "paramiko", "boto3", "openai", "anthropic",
    ),
    ("subprocess", _PROCESS): (
        "subprocess", "multiprocessing", "pty", "pexpect", "concurrent.futures.ProcessPoolExecutor",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
        *_names("os", "system popen fork forkpty posix_spawn posix_spawnp startfile execl execle execlp execlpe execv "
                      "execve execvp execvpe spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe"),
    ),
    ("file_write", _WRITES): (
        "sqlite3", "dbm",
        *_names("os", "remove unlink rename renames replace mkdir makedirs rmdir removedirs link symlink truncate"),
        *_names("shutil", "copy copy2 copyfile copytree move rmtree"),
    ),
    ("file_read", "looks into directories"): (*_names("os", "listdir scandir walk fwalk"), "glob.glob", "glob.iglob"),
    ("gpu", "computes on the graphics card"): ("cupy", "pycuda", "pyopencl", "cuquantum", "numba.cuda", "torch.cuda"),
    ("", "calls native code, which this cannot read"): ("ctypes", "cffi"),
    ("", "runs whatever code the data holds"): ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"),
    ("", "runs code that is made while it runs"): ("eval", "exec", "runpy", "code.interact"),
}
# fmt: on
_BY_NAME = {name: need for need, names in _NEEDS.items() for name in names}
_METHODS = {
    "read_text": "file_read",
    "read_bytes": "file_read",
    "write_text": "file_write",
    "write_bytes": "file_write",
}
_OPENS = ("open", "io.open", "os.open")
_OWN_FILES = ("__file__", "resources")  # a package may read what it brought along


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that source uses: its dotted name, the permission that it needs (or none has), what it does, where."""

    name: str
    permission: str
    what: str
    line: int


def uses(source: str | bytes) -> Iterator[Use]:
    """What a module uses, each name once, in order of its first line.

    Raises:
        SyntaxError: It cannot be parsed.
    """
    tree = ast.parse(source)
    found: dict[tuple[str, str], Use] = {}
    aliases = _aliases(tree)
    for node in _run(tree):
        for use in _uses_of(node, aliases):
            first = found.get((use.name, use.permission))
            if first is None or use.line < first.line:
                found[use.name, use.permission] = use
    yield from sorted(found.values(), key=lambda use: (use.line, use.name))


def undeclared(files: Mapping[str, bytes], declared: Sequence[str]) -> Iterator[Problem]:
    """Warnings for what Python files use and no declared permission covers.

    Args:
        files: Name to source.
        declared: The manifest's permissions, as text.
    """
    kinds = {text.partition(":")[0] for text in declared}
    for file, source in files.items():
        try:
            used = list(uses(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            yield Problem("syntax", f"cannot be parsed: {error}", f"{file}:{line}", "warning")
            continue
        for use in used:
            where = f"{file}:{use.line}"
            if not use.permission:
                hint = "a reviewer will ask why; where you can, do without"
                yield Problem("unsafe", f"{use.name} {use.what}", where, "warning", hint)
            elif use.permission not in kinds:
                hint = f"declare {use.permission} under permissions in plugin.yaml, or do without"
                message = f"{use.name} {use.what}, and {use.permission} is not declared"
                yield Problem("permission-undeclared", message, where, "warning", hint)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from _run(other)
            continue
        yield node
        yield from _run(node)


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Name in the module to what it stands for: ``run`` to ``subprocess.run`` after ``from subprocess import run``."""
    aliases = {}
    for node in _run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            aliases.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return aliases


def _uses_of(node: ast.AST, aliases: Mapping[str, str]) -> Iterator[Use]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _known(alias.name, node.lineno)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield from _known(f"{node.module}.{alias.name}", node.lineno)
    elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
        if name := _dotted(node, aliases):
            yield from _known(name, node.lineno)
    elif isinstance(node, ast.Call):
        yield from _file_use(node, aliases)
        if any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords):
            yield Use("allow_pickle", *_BY_NAME["pickle"], node.lineno)


def _known(name: str, line: int) -> Iterator[Use]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        prefix = ".".join(parts[:length])
        if prefix in _BY_NAME:
            permission, what = _BY_NAME[prefix]
            yield Use(prefix, permission, what, line)
            return


def _dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """``os.path.join`` for such an expression whose first name was imported, or is a builtin; else empty."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    first = aliases.get(node.id) or (node.id if node.id in ("eval", "exec", "open") else "")
    return ".".join([first, *reversed(parts)]) if first else ""


def _file_use(call: ast.Call, aliases: Mapping[str, str]) -> Iterator[Use]:
    """An `open`, or a path's method that reads or writes."""
    shown = ast.unparse(call)
    if any(own in shown for own in _OWN_FILES):
        return
    name = _dotted(call.func, aliases)
    if name in _OPENS:
        given = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
        mode = given[0].value if given and isinstance(given[0], ast.Constant) else "r"
        writes = (set(mode) & set("wax+")) if isinstance(mode, str) else True
        permission = "file_write" if writes else "file_read"
        yield Use(f"{name}()", permission, _WRITES if writes else "reads files", call.lineno)
    elif isinstance(call.func, ast.Attribute) and (permission := _METHODS.get(call.func.attr, "")):
        what = _WRITES if permission == "file_write" else "reads files"
        yield Use(f"{call.func.attr}()", permission, what, call.lineno)
