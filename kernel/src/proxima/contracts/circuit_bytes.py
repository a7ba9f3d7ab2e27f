"""A circuit as one buffer: what crosses a process border and what a result's record keeps.

Layout: 8 bytes of magic, the length of a JSON header (uint32, little-endian), the header, then each column and matrix
at the next multiple of 8 bytes. The header gives every array's length, so nothing is read that was not promised.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from proxima.contracts.lazy_numpy import np
from proxima.errors import CircuitError

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

_MAGIC = b"PXCIRC\x00\x01"
MAX_HEADER = 16 << 20
"""Bytes of a header: as objects they take thirty times as much memory."""

_DTYPES = ("<u1", "<i4", "<i4", "<i4", "<f8", "<i4", "<i4", "<i4", "<i4")


def to_bytes(circuit: Circuit) -> bytes:
    """The circuit as one buffer."""
    header = {
        "num_qubits": circuit.num_qubits,
        "num_clbits": circuit.num_clbits,
        "lengths": [len(column) for column in circuit.columns],
        "qregs": [[r.name, r.size] for r in circuit.qregs],
        "cregs": [[r.name, r.size] for r in circuit.cregs],
        "parameters": list(circuit.parameters),
        "conditions": [[list(c.clbits), c.value, c.negated] for c in circuit.conditions],
        "payloads": [[len(m) for m in matrices] for matrices in circuit.payloads],
        "name": circuit.name,
        "metadata": dict(circuit.metadata),
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    columns: list[np.ndarray] = list(circuit.columns)
    arrays = [column.astype(dtype, copy=False) for column, dtype in zip(columns, _DTYPES, strict=True)]
    arrays += [matrix.astype("<c16", copy=False) for matrices in circuit.payloads for matrix in matrices]
    parts = [_MAGIC + struct.pack("<I", len(text)) + text]
    for array in arrays:
        parts.append(bytes(-len(parts[-1]) % 8))
        parts.append(array.tobytes())
    return b"".join(parts)


def from_bytes(data: bytes | memoryview) -> Circuit:
    """The circuit in the buffer.

    Raises:
        CircuitError: The buffer is not a circuit, is cut short, or describes an inconsistent one.
    """
    from proxima.contracts.circuit import Circuit, Columns, Condition, Register

    view = memoryview(data)
    if bytes(view[:8]) != _MAGIC or len(view) < 12:
        raise CircuitError("this is not a Proxima circuit")
    (length,) = struct.unpack("<I", view[8:12])
    if length > MAX_HEADER:
        raise CircuitError(f"the circuit's header has {length:,} bytes; at most {MAX_HEADER:,} are read")
    try:
        text = bytes(view[12 : 12 + length])
        header: dict[str, Any] = json.loads(text)
        if b"\\ud" in text.lower():  # halves of characters, which JSON can write and nothing can store
            json.dumps(header, ensure_ascii=False).encode()
        position = 12 + length

        def take(count: int, dtype: str) -> np.ndarray:
            nonlocal position
            position += -position % 8
            size = count * np.dtype(dtype).itemsize
            if count < 0 or position + size > len(view):
                raise CircuitError("the circuit is cut short")
            array = np.frombuffer(view[position : position + size], dtype=dtype)
            position += size
            return array

        columns = Columns(*(take(n, d) for n, d in zip(header["lengths"], _DTYPES, strict=True)))
        payloads = tuple(tuple(take(n * n, "<c16").reshape(n, n) for n in sizes) for sizes in header["payloads"])
        return Circuit(
            int(header["num_qubits"]),
            int(header["num_clbits"]),
            columns,
            qregs=tuple(Register(str(n), int(s)) for n, s in header["qregs"]),
            cregs=tuple(Register(str(n), int(s)) for n, s in header["cregs"]),
            parameters=tuple(str(p) for p in header["parameters"]),
            conditions=tuple(Condition(tuple(map(int, b)), int(v), bool(n)) for b, v, n in header["conditions"]),
            payloads=payloads,
            name=str(header["name"]),
            metadata=dict(header["metadata"]),
        )
    except CircuitError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CircuitError(f"the circuit's header is damaged: {type(error).__name__}: {error}") from None
