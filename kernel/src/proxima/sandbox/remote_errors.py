"""Errors that cross a process border: a name from the kernel's error tree, texts, and never an object."""

from __future__ import annotations

import traceback
from typing import Any, TypeVar

from proxima import errors
from proxima.errors import CircuitSyntaxError, PluginBrokenError, ProximaError, RunError
from proxima.sandbox.errors import ProtocolError

MAX_TEXT = 4096
MAX_TRACEBACK = 16384

_PLACE = {"path": str, "line": int, "column": int, "token": str}


class RemoteTraceback(Exception):
    """The traceback of an error in another process, as text; stands as the error's ``__cause__``."""


def to_wire(error: BaseException, *, with_traceback: bool) -> list[object]:
    """Class name, message, hint, further fields and traceback; the name is empty where it is none of the tree's.

    The hint of an error that is none of ours is its notes: where a file was not found, they say that it was denied.
    """
    known = _by_name(type(error).__name__) is type(error)
    message = error.message if known and isinstance(error, ProximaError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, ProximaError) else " ".join(getattr(error, "__notes__", ())) or None
    place: dict[str, object] = {}
    if isinstance(error, CircuitSyntaxError):
        place = {"path": _text(error.path), "line": error.line, "column": error.column, "token": _text(error.token)}
    trace = "".join(traceback.format_exception(error)) if with_traceback else ""
    return [
        type(error).__name__ if known else "",
        _text(message),
        None if hint is None else _text(hint),
        place,
        _text(trace, MAX_TRACEBACK),
    ]


def from_wire(parts: list[Any], *, plugin: str | None) -> ProximaError:
    """The error that `to_wire` described.

    Args:
        parts: As msgpack read them.
        plugin: The plugin it came from; ``None`` where it came from the kernel.

    Raises:
        ProtocolError: It is not such a description.
    """
    if len(parts) != 5 or not all(isinstance(part, str) for part in (parts[0], parts[1], parts[4])):
        raise ProtocolError("an error that is not one")
    name, message, hint, place, trace = parts
    if not isinstance(hint, str | None) or not isinstance(place, dict):
        raise ProtocolError("an error that is not one")
    if max(map(len, (name, message, hint or ""))) > MAX_TEXT or len(trace) > MAX_TRACEBACK:
        raise ProtocolError("an error with a text that is too long")
    cls = _by_name(name)
    if cls is CircuitSyntaxError:
        if place.keys() != _PLACE.keys() or any(type(place[key]) is not kind for key, kind in _PLACE.items()):
            raise ProtocolError("a syntax error without its place")
        error: ProximaError = _bare(CircuitSyntaxError)
        ProximaError.__init__(error, message, hint=hint, plugin=plugin)
        for key, value in place.items():
            setattr(error, key, value)
    elif cls is not None:
        error = cls(message, hint=hint, plugin=plugin)
    elif plugin is None:
        error = RunError(f"the kernel failed: {message}", hint=hint)
    else:
        error = PluginBrokenError(f"plugin {plugin} raised {message}", hint=hint, plugin=plugin)
    if trace:
        error.__cause__ = RemoteTraceback(trace)
    return error


E = TypeVar("E", bound=ProximaError)


def again(error: E) -> E:
    """A new error like this one, for another thread to raise."""
    made = _bare(type(error))
    made.__dict__.update(error.__dict__)
    made.args = error.args
    return made


def _bare(cls: type[E]) -> E:
    """An error whose own `__init__` has not run: further arguments that it asks for are not known here."""
    base: Any = cls
    while base.__module__ != "builtins":
        base = base.__base__  # the one whose layout it has; that alone may make it
    made: E = base.__new__(cls)
    return made


def _by_name(name: str) -> type[ProximaError] | None:
    cls = vars(errors).get(name)
    return cls if isinstance(cls, type) and issubclass(cls, ProximaError) else None


def _text(text: str, most: int = MAX_TEXT) -> str:
    """Text that UTF-8 can carry, cut in the middle to a length."""
    if len(text) > most:
        half = most // 2 - 3
        text = f"{text[:half]} ... {text[-half:]}"
    return text.encode("utf-8", "replace").decode()
