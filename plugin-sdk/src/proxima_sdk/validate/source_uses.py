"""What a plugin's source uses, read from its syntax tree, against the permissions that it declares.

A reader's aid, not a border: what code does at run time is the sandbox's to hold. So each finding is a warning.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxima.store.problems import Problem
from proxima_sdk.validate.file_uses import FUNCTIONS, file_uses
from proxima_sdk.validate.names import aliases_in, dotted, plain, run_nodes, text_of

_PROCESS = "starts other programs"
_WRITES = "creates, changes or removes files"


def _names(module: str, functions: str) -> list[str]:
    return [f"{module}.{function}" for function in functions.split()]


# fmt: off
_NEEDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("network", "connects to other computers"): (
        "socket", "_socket", "ssl", "_ssl", "socketserver", "http.client", "http.server", "urllib.request", "xmlrpc",
        "ftplib", "smtplib", "imaplib", "poplib", "asyncio.open_connection", "asyncio.start_server", "requests",
        "httpx", "urllib3", "aiohttp", "websockets", "websocket", "grpc", "paramiko", "boto3", "openai", "anthropic",
    ),
    ("subprocess", _PROCESS): (
        "subprocess", "_posixsubprocess", "multiprocessing", "_multiprocessing", "pty", "pexpect",
        "concurrent.futures.ProcessPoolExecutor", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
        *_names("os", "system popen fork forkpty posix_spawn posix_spawnp startfile execl execle execlp execlpe execv "
                      "execve execvp execvpe spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe"),
    ),
    ("file_write", _WRITES): (
        "sqlite3", "dbm",
        *_names("os", "remove unlink rename renames replace mkdir makedirs rmdir removedirs link symlink truncate "
                      "chmod chown utime mkfifo mknod"),
        *_names("shutil", "copy copy2 copyfile copymode copystat copytree chown make_archive move rmtree "
                          "unpack_archive"),
    ),
    ("file_read", "looks into directories"): (*_names("os", "listdir scandir walk fwalk"), "glob.glob", "glob.iglob"),
    ("gpu", "computes on the graphics card"): ("cupy", "pycuda", "pyopencl", "cuquantum", "numba.cuda", "torch.cuda"),
    ("", "calls native code, which this cannot read"): ("ctypes", "_ctypes", "cffi"),
    ("", "runs whatever code the data holds"): (
        "pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib",
    ),
    ("", "runs code that is made while it runs"): ("eval", "exec", "runpy", "code.interact"),
}
# fmt: on
_BY_NAME = {name: need for need, names in _NEEDS.items() for name in names}
_IMPORTS = ("importlib.import_module", "__import__")


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
    aliases = aliases_in(tree, (*_BY_NAME, *_IMPORTS, *FUNCTIONS))
    for use in (*_named(tree, aliases), *_files(tree, aliases)):
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


def _named(tree: ast.AST, aliases: Mapping[str, str]) -> Iterator[Use]:
    for node in run_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _known(plain(alias.name), node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield from _known(plain(f"{node.module}.{alias.name}"), node.lineno)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _known(dotted(node, aliases), node.lineno)
        elif isinstance(node, ast.Call):
            yield from _known(dotted(node, aliases), node.lineno)  # getattr
            if dotted(node.func, aliases) in _IMPORTS:
                yield from _imported(node)
            if any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords):
                yield Use("allow_pickle", *_BY_NAME["pickle"], node.lineno)


def _files(tree: ast.AST, aliases: Mapping[str, str]) -> Iterator[Use]:
    for name, permission, line in file_uses(tree, aliases):
        yield Use(name, permission, _WRITES if permission == "file_write" else "reads files", line)


def _imported(call: ast.Call) -> Iterator[Use]:
    """What `importlib.import_module` and `__import__` are given."""
    module = text_of(call.args[0]) if call.args else None
    if module is None:
        yield Use(ast.unparse(call.func), "", "imports what is only known while it runs", call.lineno)
    elif not module.startswith("."):
        yield from _known(plain(module), call.lineno)


def _known(name: str, line: int) -> Iterator[Use]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        prefix = ".".join(parts[:length])
        if prefix in _BY_NAME:
            permission, what = _BY_NAME[prefix]
            yield Use(prefix, permission, what, line)
            return
