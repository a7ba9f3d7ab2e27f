"""Contract values from plain data: a closed mapping, checked field by field, without pickle.

What is decoded may come from a hostile process. A decoder follows the annotations of the contract types, so a field
that is missing, unknown or of another type is refused; what holds beyond types is checked by `carried`. NumPy scalars
come back as Python numbers, and arrays in C order.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from proxima.contracts.lazy_numpy import np, npt
from proxima.errors import CircuitError, UsageError
from proxima.sandbox.carried import CARRIED, CIRCUIT, NOT_FINITE, class_of, mistake, tag_of
from proxima.sandbox.encoding import DTYPES, MAX_DEPTH, MAX_INT_BYTES, TAG
from proxima.sandbox.encoding import Encoded as Encoded
from proxima.sandbox.errors import ProtocolError

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

MAX_DIMENSIONS = 32
MAX_COLLIDING = 1000
_MAX_LENGTH = 1 << 48


def decode(data: object, expected: Any = Any, memory: Any = None) -> Any:
    """The value that `Encoded` made of it.

    Everything is copied out of ``memory`` before it is checked, because the other side can still write there.

    Args:
        data: As msgpack read it.
        expected: The type the value must have, as an annotation: ``RunResult``, ``tuple[str, ...]``, ``Any``. A class
            that is carried may stand there by its name, and is imported when such a value is first expected.
        memory: The shared buffer that came with the message.

    Raises:
        ProtocolError: It is not such a value.
    """
    return _decoder(expected, "the value", True)(data, _Source(memory))


class _Source:
    """What one decoding has used so far."""

    __slots__ = ("depth", "left", "memory")

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.left = 0 if memory is None else len(memory)
        self.depth = 0

    def enter(self, where: str) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ProtocolError(f"{where}: nested deeper than {MAX_DEPTH}")

    def copy(self, where: str, dtype: np.dtype[Any], count: int, offset: object) -> npt.NDArray[Any]:
        """Copies elements out of the buffer; a message cannot have more copied than its buffer holds."""
        size = count * dtype.itemsize
        if type(offset) is not int or offset < 0 or self.memory is None or offset + size > len(self.memory):
            raise ProtocolError(f"{where}: {size:,} bytes at {offset!r} lie outside the shared buffer")
        self.left -= size
        if self.left < 0:
            raise ProtocolError(f"{where}: the parts of a shared buffer overlap")
        return np.frombuffer(self.memory, dtype, count, offset).copy()


_Decoder = Callable[[object, _Source], Any]


def _refuse(where: str, wanted: str, got: object) -> NoReturn:
    tag = got.get(TAG) if isinstance(got, dict) else None
    shown = tag if isinstance(tag, str) else type(got).__name__
    raise ProtocolError(f"{where}: expected {wanted}, got {shown[:80]}")


@lru_cache(maxsize=1024)
def _decoder(expected: Any, where: str, finite: bool) -> _Decoder:
    """A decoder for an annotation; ``where`` names the field in errors."""
    if isinstance(expected, str):
        expected = class_of(expected)
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if (alias := getattr(origin, "__value__", None)) is not None:  # of a `type` statement, as in numpy for Python 3.12
        return _decoder(alias[args], where, finite)
    if expected is Any or expected is object:
        return lambda data, source: _anything(data, source, where)
    if expected is None or expected is type(None):
        return _plain(where, type(None), "nothing")
    if expected in (bool, str):
        return _plain(where, expected, expected.__name__)
    if expected is int:
        return lambda data, _: _whole(data, where)
    if expected is float:
        return lambda data, _: _number(data, where, finite)
    if expected is complex:
        return lambda data, source: _complex(data, source, where)
    if expected is bytes:
        return lambda data, source: _octets(data, source, where)
    if origin is Literal:
        return _one_of(where, args)
    if origin in (typing.Union, types.UnionType):
        return _one_type_of(where, {arg: _decoder(arg, where, finite) for arg in args})
    if origin in (tuple, list):
        return _sequence(where, origin, args, finite)
    if origin in (frozenset, set):
        item = _decoder(args[0], where, finite)
        return lambda data, source: _set(data, source, where, item)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(where, args, finite)
    if isinstance(expected, type) and issubclass(expected, Enum):
        return _member_of(where, expected)
    if isinstance(expected, type) and (tag := tag_of(expected)):
        return _carried(where, tag)
    if origin is np.ndarray or expected is np.ndarray:
        scalar = typing.get_args(args[1])[0] if args else Any
        dtype = None if scalar is Any else np.dtype(scalar)
        return lambda data, source: _array(data, source, where, dtype)
    raise TypeError(f"{where}: no value of type {expected!r} crosses a process border")


def _plain(where: str, kind: type, name: str) -> _Decoder:
    def decode_plain(data: object, _: _Source) -> object:
        if type(data) is not kind:
            _refuse(where, name, data)
        return data

    return decode_plain


def _whole(data: object, where: str) -> int:
    if type(data) is int:
        return data
    if isinstance(data, dict) and data.get(TAG) == "int" and len(data) == 2:
        octets = data.get("v")
        if isinstance(octets, bytes) and len(octets) <= MAX_INT_BYTES:
            return int.from_bytes(octets, "little", signed=True)
    _refuse(where, "a whole number", data)


def _number(data: object, where: str, finite: bool) -> float:
    if type(data) is not float:
        number = _whole(data, where)
        if abs(number) > sys.float_info.max:  # code that reckons with it would raise
            _refuse(where, "a number that is not larger than all", data)
        return number
    if finite and not math.isfinite(data):
        _refuse(where, "a finite number", data)
    return data


def _complex(data: object, source: _Source, where: str) -> complex:
    value = _anything(data, source, where)
    if type(value) is not complex or not (math.isfinite(value.real) and math.isfinite(value.imag)):
        _refuse(where, "a finite complex number", data)
    return value


def _octets(data: object, source: _Source, where: str) -> bytes:
    if type(data) is bytes:
        return data
    if isinstance(data, dict) and data.get(TAG) == "bytes" and data.keys() == {TAG, "n", "o"}:
        size = data["n"]
        if type(size) is int and 0 <= size <= _MAX_LENGTH:
            return source.copy(where, np.dtype(np.uint8), size, data["o"]).tobytes()
    _refuse(where, "bytes", data)


def _circuit(data: object, source: _Source, where: str) -> Circuit:
    if not isinstance(data, dict) or data.get(TAG) != CIRCUIT or len(data) != 2:
        _refuse(where, "a circuit", data)
    try:
        return cast("Circuit", class_of(CIRCUIT).from_bytes(_octets(data.get("v"), source, where)))
    except (CircuitError, ArithmeticError, TypeError, ValueError, AttributeError, LookupError, MemoryError) as error:
        raise ProtocolError(f"{where}: {str(error) or type(error).__name__}") from None


def _array(data: object, source: _Source, where: str, dtype: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
    if not isinstance(data, dict) or data.get(TAG) != "array" or len(data) != 4:
        _refuse(where, "an array", data)
    name, shape = data.get("d"), data.get("s")
    if not isinstance(name, str) or name not in DTYPES or (dtype is not None and np.dtype(name) != dtype):
        raise ProtocolError(f"{where}: an array of {name!r:.80} is not accepted")
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_DIMENSIONS
        or any(type(length) is not int or not 0 <= length <= _MAX_LENGTH for length in shape)
    ):
        raise ProtocolError(f"{where}: {str(shape)[:80]} is not a shape")
    # A byte that is neither 0 nor 1 in an array of bool would mislead code that counts them.
    stored = np.dtype("u1" if name == "|b1" else name)
    count = math.prod(shape)
    if "b" in data:
        octets = data["b"]
        if type(octets) is not bytes or len(octets) != count * stored.itemsize:
            raise ProtocolError(f"{where}: the array's bytes do not fill its shape")
        flat = np.frombuffer(octets, stored).copy()
    else:
        flat = source.copy(where, stored, count, data.get("o"))
    try:
        return (flat != 0 if name == "|b1" else flat).reshape(shape)
    except ValueError as error:  # a length of 0 beside lengths whose product is out of range
        raise ProtocolError(f"{where}: {error}") from None


def _items(data: object) -> list[Any] | None:
    """The items of a tuple or a list."""
    if isinstance(data, dict) and data.get(TAG) == "list" and len(data) == 2:
        data = data.get("v")
    return data if isinstance(data, list) else None


def _pairs(data: object) -> list[Any] | None:
    """The key-value pairs of a dict."""
    if not isinstance(data, dict):
        return None
    if TAG not in data:
        return list(data.items())
    pairs = data.get("v") if data[TAG] == "dict" and len(data) == 2 else None
    if isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return pairs
    return None


def _one_of(where: str, choices: tuple[Any, ...]) -> _Decoder:
    def decode_choice(data: object, _: _Source) -> object:
        if not any(type(data) is type(choice) and data == choice for choice in choices):
            raise ProtocolError(f"{where}: {str(data)[:80]!r} is not one of {', '.join(map(str, choices))}")
        return data

    return decode_choice


def _one_type_of(where: str, choices: dict[Any, _Decoder]) -> _Decoder:
    optional = choices.pop(type(None), None) is not None
    named = {choice: tag_of(choice) for choice in choices if isinstance(choice, type)}
    records = {tag: choices[choice] for choice, tag in named.items() if tag}

    def decode_union(data: object, source: _Source) -> object:
        if optional and data is None:
            return None
        if isinstance(data, dict) and isinstance(tag := data.get(TAG), str) and tag in records:
            return records[tag](data, source)
        depth, left = source.depth, source.left
        for one in choices.values():
            try:
                return one(data, source)
            except ProtocolError:
                source.depth, source.left = depth, left
                if len(choices) == 1:
                    raise
        _refuse(where, " or ".join(getattr(choice, "__name__", str(choice)) for choice in choices), data)

    return decode_union


def _sequence(where: str, kind: type, args: tuple[Any, ...], finite: bool) -> _Decoder:
    repeated = kind is list or (len(args) == 2 and args[1] is Ellipsis)
    decoders = [_decoder(arg, where, finite) for arg in (args[:1] if repeated else args)]

    def decode_sequence(data: object, source: _Source) -> object:
        items = _items(data)
        if items is None:
            _refuse(where, "a sequence", data)
        if repeated:
            one = decoders[0]
            return kind(one(item, source) for item in items)
        if len(items) != len(decoders):
            raise ProtocolError(f"{where}: expected {len(decoders)} items, got {len(items)}")
        return tuple(one(item, source) for one, item in zip(decoders, items, strict=True))

    return decode_sequence


def _set(data: object, source: _Source, where: str, item: _Decoder) -> frozenset[Any]:
    if not isinstance(data, dict) or data.get(TAG) != "set" or len(data) != 2 or not isinstance(data.get("v"), list):
        _refuse(where, "a set", data)
    try:
        return frozenset(_spread([item(part, source) for part in data["v"]], where))
    except TypeError:
        raise ProtocolError(f"{where}: a set holds something that cannot be hashed") from None


def _mapping(where: str, args: tuple[Any, ...], finite: bool) -> _Decoder:
    key, value = (_decoder(arg, where, finite) for arg in args)

    def decode_mapping(data: object, source: _Source) -> object:
        pairs = _pairs(data)
        if pairs is None:
            _refuse(where, "a mapping", data)
        try:
            keys = _spread([key(name, source) for name, _ in pairs], where)
            return {name: value(item, source) for name, (_, item) in zip(keys, pairs, strict=True)}
        except TypeError:
            raise ProtocolError(f"{where}: a key cannot be hashed") from None

    return decode_mapping


def _spread(keys: list[Any], where: str) -> list[Any]:
    """The keys, few of which have the same hash: each would be compared with all of that hash before it.

    Text and bytes are hashed with a secret; numbers, and tuples of them, can be made to collide.
    """
    if len(keys) > MAX_COLLIDING and max(Counter(map(hash, keys)).values()) > MAX_COLLIDING:
        raise ProtocolError(f"{where}: more than {MAX_COLLIDING} keys have the same hash")
    return keys


def _member_of(where: str, enum: type[Enum]) -> _Decoder:
    def decode_member(data: object, _: _Source) -> object:
        if type(data) not in (int, str):
            _refuse(where, enum.__name__, data)
        try:
            return enum(data)
        except ValueError:
            raise ProtocolError(f"{where}: {str(data)[:80]!r} is no {enum.__name__}") from None

    return decode_member


def _carried(where: str, name: str) -> _Decoder:
    """A decoder for a class; its fields are looked at on first use, for a `Group` may hold a `Group`."""
    if name == CIRCUIT:
        return lambda data, source: _circuit(data, source, where)
    cls: Any = class_of(name)

    def decode_record(data: object, source: _Source) -> object:
        if not isinstance(data, dict) or data.get(TAG) != name:
            _refuse(where, name, data)
        fields = _fields(cls)
        if len(data) != len(fields) + 1 or not fields.keys() <= data.keys():
            missing = sorted(fields.keys() - data.keys()) or ["no more fields"]
            raise ProtocolError(f"{name}: expected {', '.join(missing)}")
        source.enter(name)
        try:
            value = cls(**{field: one(data[field], source) for field, one in fields.items()})
        except UsageError as error:  # a class that checks itself
            raise ProtocolError(f"{name}: {error}") from None
        source.depth -= 1
        if wrong := mistake(value):
            raise ProtocolError(f"{name}.{wrong}")
        return value

    return decode_record


@lru_cache(maxsize=len(CARRIED))
def _fields(cls: Any) -> dict[str, _Decoder]:
    hints = typing.get_type_hints(cls, vars(sys.modules[cls.__module__]))
    out: dict[str, _Decoder] = {}
    for field in dataclasses.fields(cls):
        where = f"{cls.__name__}.{field.name}"
        out[field.name] = _decoder(hints[field.name], where, where not in NOT_FINITE)
    if cls.__name__ == "RunResult":
        plain = out["counts"]
        out["counts"] = lambda data, source: (
            _counts(data, source) if isinstance(data, dict) and data.get(TAG) == "counts" else plain(data, source)
        )
    return out


def _counts(data: dict[str, object], source: _Source) -> dict[str, int]:
    where = "RunResult.counts"
    keys = _octets(data.get("keys"), source, where)
    values = _array(data.get("values"), source, where, np.dtype(np.int64))
    if values.ndim != 1 or not values.size or len(keys) % values.size or not keys.isascii():
        raise ProtocolError(f"{where}: keys and numbers do not belong together")
    width, text = len(keys) // values.size, keys.decode("ascii")
    counts = {text[i * width : (i + 1) * width]: number for i, number in enumerate(values.tolist())}
    if len(counts) != values.size:
        raise ProtocolError(f"{where}: a bit string occurs twice")
    return counts


def _anything(data: object, source: _Source, where: str) -> Any:
    """A value that says itself what it is."""
    if data is None or type(data) in (bool, int, float, str, bytes):
        return data
    source.enter(where)
    if isinstance(data, list):
        value: Any = tuple(_anything(item, source, where) for item in data)
    elif not isinstance(data, dict):
        _refuse(where, "data", data)
    elif TAG not in data:
        if not all(type(key) is str for key in data):
            _refuse(where, "keys of text", data)
        value = {key: _anything(item, source, where) for key, item in data.items()}
    else:
        value = _tagged(data, source, where)
    source.depth -= 1
    return value


def _tagged(data: dict[str, object], source: _Source, where: str) -> Any:
    tag = data[TAG]
    match tag:
        case "list" if (items := _items(data)) is not None:
            return [_anything(item, source, where) for item in items]
        case "dict" if (pairs := _pairs(data)) is not None:
            try:
                keys = _spread([_anything(key, source, where) for key, _ in pairs], where)
                return {key: _anything(item, source, where) for key, (_, item) in zip(keys, pairs, strict=True)}
            except TypeError:
                raise ProtocolError(f"{where}: a key cannot be hashed") from None
        case "set":
            return _set(data, source, where, lambda part, inner: _anything(part, inner, where))
        case "array":
            return _array(data, source, where)
        case "bytes":
            return _octets(data, source, where)
        case "int":
            return _whole(data, where)
        case "complex" if (
            isinstance(parts := data.get("v"), list) and len(parts) == 2 and all(type(part) is float for part in parts)
        ):
            return complex(*parts)
        case str() if tag in CARRIED:
            return _carried(where, tag)(data, source)
    raise ProtocolError(f"{where}: {str(tag)[:80]!r} is not a value that crosses a process border")
