"""`dataclass`: a frozen, slotted dataclass as the standard library makes it, in a fifth of the time.

A command makes a hundred of them while it starts. The standard library compiles six methods of each; five of those
are the same for all, and are shared here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        *, frozen: Literal[True], slots: Literal[True], kw_only: bool = False
    ) -> Callable[[type[Any]], type[Any]]:
        """As `dataclasses.dataclass`, for classes that are frozen and have slots.

        What is made is a dataclass to `fields`, `replace`, `asdict`, pattern matching, copying and pickling.
        """

        def made(cls: type[Any]) -> type[Any]:
            if any(dataclasses.is_dataclass(base) for base in cls.__mro__[1:]):
                return dataclasses.dataclass(frozen=True, slots=True, kw_only=kw_only)(cls)
            return _made(cls, kw_only)

        return made


def _made(cls: type[Any], kw_only: bool) -> type[Any]:
    own = cls.__dict__
    shared: dict[str, Any] = {name: method for name, method in _SHARED.items() if name not in own}
    if own.get("__hash__") is None:  # as Python leaves it where a class has an __eq__ of its own
        shared["__hash__"] = _hash
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else one is made from its signature, which takes longer than all of this
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    made.__dataclass_params__.frozen = made.__dataclass_params__.eq = made.__dataclass_params__.repr = True
    fields = dataclasses.fields(made)
    shared["__init__"] = _init(made, fields)
    shared["_compared"] = _compared([field.name for field in fields if field.compare])
    for name, method in shared.items():
        setattr(made, name, method)
    return made


def _init(cls: type[Any], fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    scope: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    given: list[str] = []
    named: list[str] = []
    lines = []
    for field in fields:
        name = value = parameter = field.name
        if field.default is not MISSING:
            scope[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        elif field.default_factory is not MISSING:
            scope[f"_make_{name}"] = field.default_factory
            parameter = f"{name}=_missing"
            value = f"_make_{name}() if {name} is _missing else {name}"
        (named if field.kw_only else given).append(parameter)
        lines.append(f" _set(self, {name!r}, {value})\n")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()\n")
    parameters = ", ".join(["self", *given, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n{''.join(lines) or ' pass'}", scope)  # noqa: S102 - of the fields' names
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return init


def _compared(names: list[str]) -> property:
    """The values that make two equal, as a tuple."""
    if len(names) > 1:
        return property(attrgetter(*names))
    return property(lambda self: tuple(getattr(self, name) for name in names))


def _frozen(self: Any, name: str) -> bool:
    """Whether it is a field; of a class that was derived without being made a dataclass, other attributes are free."""
    return "__dataclass_fields__" in type(self).__dict__ or name in self.__dataclass_fields__


def _setattr(self: Any, name: str, value: object) -> None:
    if _frozen(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:
    if _frozen(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return self._compared == other._compared


def _hash(self: Any) -> int:
    return hash(self._compared)


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_SHARED = {
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
