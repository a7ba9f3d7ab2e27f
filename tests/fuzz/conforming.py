"""An oracle of its own for what the codec accepts: whether a value is of the type that an annotation says."""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

import numpy as np

from proxima.contracts.circuit import Circuit

PLAIN = (type(None), bool, int, float, str, bytes, complex)


def wrong(value: Any, annotation: Any, *, finite: bool = True, where: str = "value") -> str:
    """Where a value is not what its annotation says, or an empty string."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(origin, "__value__"):
        return wrong(value, origin.__value__[args], finite=finite, where=where)
    if annotation is Any or annotation is object:
        return _wrong_anything(value, where)
    if origin in (typing.Union, types.UnionType):
        found = [wrong(value, arg, finite=finite, where=where) for arg in args]
        return "" if "" in found else " and ".join(found)
    if origin is Literal:
        return "" if value in args else f"{where}: {value!r}"
    if annotation is None:
        return "" if value is None else f"{where}: {value!r}"
    if annotation is float:
        good = type(value) is int or (type(value) is float and (math.isfinite(value) or not finite))
        return "" if good else f"{where}: {value!r} is no number"
    if annotation in PLAIN:
        return "" if type(value) is annotation else f"{where}: {value!r} is no {annotation.__name__}"
    if origin in (tuple, list, frozenset, set):
        return _wrong_items(value, origin, args, finite, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if type(value) is not dict:
            return f"{where}: {type(value)}"
        found = [wrong(key, args[0], finite=finite, where=f"{where} key") for key in value]
        found += [wrong(item, args[1], finite=finite, where=f"{where}[{key!r:.20}]") for key, item in value.items()]
        return next(filter(None, found), "")
    if origin is np.ndarray or annotation is np.ndarray:
        return _wrong_array(value, typing.get_args(args[1])[0] if args else Any, where)
    if issubclass(annotation, Enum):
        return "" if type(value) is annotation else f"{where}: {value!r}"
    if type(value) is not annotation:
        return f"{where}: {type(value)} is no {annotation}"
    return "" if annotation is Circuit else _wrong_fields(value, where)


def _wrong_items(value: Any, kind: type, args: tuple[Any, ...], finite: bool, where: str) -> str:
    wanted = frozenset if kind is set else kind
    if type(value) is not wanted:
        return f"{where}: {type(value)} is no {wanted}"
    if kind is tuple and args[-1:] != (...,):
        if len(value) != len(args):
            return f"{where}: {len(value)} items"
        pairs = list(zip(value, args, strict=True))
    else:
        pairs = [(item, args[0]) for item in value]
    return next(filter(None, (wrong(item, arg, finite=finite, where=f"{where}[]") for item, arg in pairs)), "")


def _wrong_array(value: Any, scalar: Any, where: str) -> str:
    if type(value) is not np.ndarray or (not value.flags.owndata and value.base is None):
        return f"{where}: {type(value)}"
    if value.dtype.kind not in "biufc" or (scalar is not Any and value.dtype != np.dtype(scalar)):
        return f"{where}: elements of {value.dtype}"
    if value.dtype.kind == "b" and value.size and value.view("u1").max() > 1:
        return f"{where}: a truth value that is neither"
    return ""


def _wrong_fields(value: Any, where: str) -> str:
    from proxima.sandbox.carried import NOT_FINITE

    cls = type(value)
    hints = typing.get_type_hints(cls, vars(sys.modules[cls.__module__]))
    for field in dataclasses.fields(cls):
        name = f"{cls.__name__}.{field.name}"
        said = wrong(getattr(value, field.name), hints[field.name], finite=name not in NOT_FINITE, where=name)
        if said:
            return f"{where}: {said}"
    return ""


def _wrong_anything(value: Any, where: str) -> str:
    if type(value) in PLAIN or isinstance(value, Circuit):
        return ""
    if type(value) in (tuple, list, frozenset):
        return next(filter(None, (_wrong_anything(item, f"{where}[]") for item in value)), "")
    if type(value) is dict:
        return next(filter(None, (_wrong_anything(item, f"{where}[]") for item in (*value, *value.values()))), "")
    if type(value) is np.ndarray:
        return _wrong_array(value, Any, where)
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("proxima.contracts."):
        return _wrong_fields(value, where)
    return f"{where}: {type(value)}"
