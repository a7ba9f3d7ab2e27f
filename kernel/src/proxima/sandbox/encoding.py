"""Contract values as plain data that msgpack can carry; `codec` is the way back.

On the wire ``None``, ``bool``, ``int``, ``float``, ``str`` and ``bytes`` stand for themselves, an array for a tuple and
a map with string keys for a dict. Everything else is a map whose key ``$`` says what it is. Arrays and bytes from 64
KiB on lie in shared memory, and the map says where.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from proxima.contracts.lazy_numpy import np, npt
from proxima.errors import UsageError
from proxima.sandbox.carried import CIRCUIT, tag_of

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

INLINE = 64 << 10
"""Arrays and bytes of this many bytes or more go by shared memory."""

MAX_INLINE = 1 << 20
"""So do smaller ones, once a message holds this many bytes of them."""

MAX_DEPTH = 64
MAX_INT_BYTES = 512
TAG = "$"

_WIDER = ("u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16")
DTYPES = frozenset({"|b1", "|u1", "|i1", *(f"<{kind}" for kind in _WIDER)})
"""Element types of arrays that may cross."""

_ALIGNMENT = 64
_COLUMNS = 4096  # counts with more keys than this travel as two columns


class Encoded:
    """A value ready to be sent.

    Attributes:
        data: What msgpack can carry.
        size: Bytes of shared memory that `place` fills; 0 where none is needed.
    """

    __slots__ = ("_inline", "_placed", "data", "size")

    def __init__(self, value: object) -> None:
        self.size = 0
        self._inline = 0
        self._placed: list[tuple[int, npt.NDArray[Any]]] = []
        self.data = self._encode(value, 0)

    def place(self, memory: Any) -> None:
        """Copies the large arrays into a buffer of at least ``size`` bytes."""
        for offset, array in self._placed:
            target = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
            np.copyto(target, array)

    def _encode(self, value: object, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise UsageError(f"a value nested deeper than {MAX_DEPTH} cannot be sent to another process")
        kind = type(value)
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:
            return self._whole(typing.cast(int, value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(bytes(value))
        if isinstance(value, tuple):
            return [self._encode(item, depth + 1) for item in value]
        if isinstance(value, list | frozenset | set):
            tag = "list" if isinstance(value, list) else "set"
            return {TAG: tag, "v": [self._encode(item, depth + 1) for item in value]}
        if tag := tag_of(kind):
            if tag == CIRCUIT:
                return {TAG: tag, "v": self._circuit(typing.cast("Circuit", value))}
            return self._fields(value, tag, depth)
        if isinstance(value, Enum):
            return self._encode(value.value, depth + 1)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, np.generic):
            return self._encode(value.item(), depth + 1)
        if isinstance(value, complex):
            return {TAG: "complex", "v": [value.real, value.imag]}
        for plain in (str, int, float):
            if isinstance(value, plain):
                return self._encode(plain(value), depth + 1)
        raise UsageError(f"a value of type {kind.__module__}.{kind.__qualname__} cannot be sent to another process")

    def _fields(self, value: object, name: str, depth: int) -> dict[str, object]:
        out: dict[str, object] = {TAG: name}
        for field in dataclasses.fields(typing.cast(Any, value)):
            inner = getattr(value, field.name)
            if name == "RunResult" and field.name == "counts" and inner is not None and len(inner) > _COLUMNS:
                out[field.name] = self._counts(inner)
            else:
                out[field.name] = self._encode(inner, depth + 1)
        return out

    def _whole(self, value: int) -> object:
        if -(2**63) <= value < 2**64:
            return value
        size = value.bit_length() // 8 + 1
        if size > MAX_INT_BYTES:
            raise UsageError(f"a whole number of {size:,} bytes cannot be sent to another process")
        return {TAG: "int", "v": value.to_bytes(size, "little", signed=True)}

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> object:
        if TAG not in value and all(type(key) is str for key in value):
            return {key: self._encode(item, depth + 1) for key, item in value.items()}
        pairs = [[self._encode(key, depth + 1), self._encode(item, depth + 1)] for key, item in value.items()]
        return {TAG: "dict", "v": pairs}

    def _counts(self, counts: Mapping[str, int]) -> object:
        """A million keys as a million objects would be slow to check, and more than a frame may hold."""
        width = len(next(iter(counts)))
        try:
            keys = "".join(counts).encode("ascii")
            values = np.fromiter(counts.values(), np.int64, len(counts))
        except (TypeError, UnicodeEncodeError, OverflowError) as error:
            raise UsageError(f"RunResult.counts: not numbers by bit string: {error}") from None
        if any(len(key) != width for key in counts):
            raise UsageError("RunResult.counts: the bit strings differ in length")
        return {TAG: "counts", "keys": self._bytes(keys), "values": self._array(values)}

    def _circuit(self, circuit: Circuit) -> object:
        try:
            return self._bytes(circuit.to_bytes())
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"the circuit's metadata cannot be sent to another process: {error}") from None

    def _bytes(self, data: bytes) -> object:
        if self._fits(len(data)):
            return data
        return {TAG: "bytes", "n": len(data), "o": self._reserve(np.frombuffer(data, np.uint8))}

    def _array(self, array: npt.NDArray[Any]) -> object:
        dtype = array.dtype.newbyteorder("<")
        if dtype.str not in DTYPES:
            raise UsageError(f"an array of {array.dtype} cannot be sent to another process")
        array = np.asarray(array).astype(dtype, copy=False)
        out: dict[str, object] = {TAG: "array", "d": dtype.str, "s": list(array.shape)}
        if self._fits(array.nbytes):
            out["b"] = array.tobytes()
        else:
            out["o"] = self._reserve(array)
        return out

    def _fits(self, size: int) -> bool:
        if size >= INLINE or self._inline + size > MAX_INLINE:
            return False
        self._inline += size
        return True

    def _reserve(self, array: npt.NDArray[Any]) -> int:
        offset = self.size
        self._placed.append((offset, array))
        self.size += array.nbytes + -array.nbytes % _ALIGNMENT
        return offset
