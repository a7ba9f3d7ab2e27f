"""The other side of `proxima.sandbox.evaluate`: what evaluates a restricted expression.

It serves in a locked worker. Where the host locks nothing it runs as a script for one expression, without
site-packages, and imports RestrictedPython from the directory that it is given. Nothing in here is relied on to hold an
expression that escapes RestrictedPython; the process is.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, Sequence, ValuesView
from types import GeneratorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxima.sandbox.channel import Channel

METHODS: dict[type, frozenset[str]] = {
    str: frozenset({"lower", "upper", "strip", "startswith", "endswith", "count", "isdigit"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "keys", "values", "items"}),
}
"""The attributes there are; above all not `format`, through which text reaches any attribute of what it formats."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (abs, all, any, bool, dict, float, int, len, list, max, min, range, round, sorted, str, sum, tuple, zip)
}

_ITERABLE = (str, list, tuple, dict, range, set, zip, KeysView, ValuesView, ItemsView, GeneratorType)


MAX_DATA = 1 << 20
MAX_DEPTH = 32
MAX_BITS = 4096


class NotAllowedError(Exception):
    """The expression asks for what it may not have."""


def plain_data(value: Any, depth: int = 0) -> Any:
    """A copy of plain data made of nothing but the exact builtin types; a tuple becomes a list.

    Raises:
        NotAllowedError: It is something else, nested too deep, or a number too large.
    """
    kind = type(value)
    if depth > MAX_DEPTH:
        raise NotAllowedError(f"data nested deeper than {MAX_DEPTH}")
    if value is None or kind in (bool, float):
        return value
    if kind is int and value.bit_length() > MAX_BITS:
        raise NotAllowedError(f"a whole number of more than {MAX_BITS} bits")
    if kind is str and any("\ud800" <= each <= "\udfff" for each in value):
        raise NotAllowedError("text with half a character in it")
    if kind in (int, str):
        return value
    if kind in (list, tuple):
        return [plain_data(item, depth + 1) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {plain_data(key): plain_data(item, depth + 1) for key, item in value.items()}
    if kind is dict:
        raise NotAllowedError("a dictionary with keys that are not text")
    raise NotAllowedError(f"{kind.__name__} is not plain data: numbers, text, lists, dictionaries, bool and None")


def _get_attribute(value: Any, name: str) -> Any:
    if name in METHODS.get(type(value), ()):
        return getattr(value, name)
    raise NotAllowedError(f"{type(value).__name__} has no attribute {name!r} here")


def _get_item(value: Any, key: Any) -> Any:
    if type(value) in (str, list, tuple, dict, range):
        return value[key]
    raise NotAllowedError(f"{type(value).__name__} has no items here")


def _iterate(value: Any) -> Iterator[Any]:
    if isinstance(value, _ITERABLE):
        iterator: Iterator[Any] = iter(value)
        return iterator
    raise NotAllowedError(f"{type(value).__name__} cannot be gone through")


def _apply(*arguments: Any, **named: Any) -> Any:
    raise NotAllowedError("a call with * or ** is not allowed")


def evaluate_restricted(expression: str, variables: dict[str, Any]) -> Any:
    """Compile and evaluate.

    Raises:
        NotAllowedError: It asks for what it may not have.
        Exception: Whatever it raises.
    """
    from RestrictedPython.compile import compile_restricted_eval
    from RestrictedPython.Guards import guarded_iter_unpack_sequence

    compiled = compile_restricted_eval(expression.strip(), "<expression>")
    if compiled.code is None:
        raise NotAllowedError("; ".join(compiled.errors))
    guards = {
        "_getattr_": _get_attribute,
        "_getitem_": _get_item,
        "_getiter_": _iterate,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_apply_": _apply,
        "__builtins__": {},
    }
    return eval(compiled.code, {**FUNCTIONS, **variables, **guards})


def answer(request: bytes) -> bytes:
    """The answer to a request of `proxima.sandbox.evaluate`, as JSON: what kind it is, and the value or the message."""
    asked = json.loads(request)
    try:
        return json.dumps(["value", plain_data(evaluate_restricted(asked["expression"], asked["variables"]))]).encode()
    except MemoryError:
        return b'["memory", ""]'
    except NotAllowedError as error:
        return json.dumps(["refused", str(error)[:1000]]).encode()
    except Exception as error:  # noqa: BLE001 - an expression may raise anything
        return json.dumps(["raised", f"{type(error).__name__}: {error}"[:1000]]).encode()


def serve(channel: Channel, import_paths: Sequence[str]) -> None:
    """Answers requests in a locked worker until the kernel ends it."""
    sys.path.extend(import_paths)
    importlib.import_module("RestrictedPython.Guards")
    while True:
        request, _ = channel.receive()
        assert isinstance(request, bytes)
        channel.send(_bounded(answer(request), MAX_DATA))


def _bounded(said: bytes, most: int) -> bytes:
    if len(said) <= most:
        return said
    return json.dumps(["refused", f"its value is larger than {most:,} bytes"]).encode()


def _main(packages: str, seconds: str, memory_bytes: str, most_bytes: str) -> None:
    import math
    import resource
    import signal

    sys.path.extend(json.loads(packages))
    importlib.import_module("RestrictedPython.Guards")  # before the clock runs, and before files cannot be opened
    lock = _lock() if sys.platform == "linux" else lambda: None
    request = sys.stdin.buffer.read()
    lock()  # before the limits, as it takes a descriptor
    for name, limit in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NOFILE", 3),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_AS", int(memory_bytes)),
        ("RLIMIT_CPU", math.ceil(float(seconds)) + 1),
    ):
        if hasattr(resource, name):  # each system has its own
            resource.setrlimit(getattr(resource, name), (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, float(seconds))
    sys.stdout.buffer.write(_bounded(answer(request), int(most_bytes)))
    sys.stdout.buffer.flush()


def _lock() -> Callable[[], object]:
    """What leaves this process its pipes and its computing: no files, new processes, sockets, or signals to others."""
    import os

    from proxima.sandbox.linux import landlock, seccomp
    from proxima.sandbox.linux.script import Script

    set_no_new_privs = 38
    script = Script(None, (0, 1, 2))
    script.close_all_but((0, 1, 2))
    script.call("prctl", set_no_new_privs, 1, 0, 0, 0)
    if version := landlock.abi():  # a limit of no descriptors keeps files from being opened, but not from being removed
        landlock.restrict(script, {}, version=version)
    seccomp.install(script, seccomp.program(os.uname().machine, os.getpid()))
    return script.run


if __name__ == "__main__":
    _main(*sys.argv[1:])
