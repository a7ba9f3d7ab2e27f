"""Answers, requests and errors whose values are not what they seem. Plugin's side."""

from __future__ import annotations

import itertools
import json
import struct
import time
from typing import Any

from conversation import answer, packed, peer, say, send


def of_array(dtype: object, shape: object, data: bytes) -> None:
    say(answer({"$": "array", "d": dtype, "s": shape, "b": data}))


def wire_array_of_pointers(host: Any) -> None:
    of_array("|O", [1], b"\x41" * 8)


def wire_array_of_records(host: Any) -> None:
    of_array([["a", "<f8"]], [1], bytes(8))


def wire_array_of_text(host: Any) -> None:
    of_array("<U2", [1], b"\xff" * 8)


def wire_negative_shape(host: Any) -> None:
    of_array("<f8", [-1, -1], bytes(8))


def wire_shape_that_overflows(host: Any) -> None:
    """Its product is 0, so no byte is missing; what is computed on the way there is out of range."""
    of_array("<f8", [1 << 32, 1 << 32, 0], b"")


def wire_shape_of_truth(host: Any) -> None:
    of_array("<f8", [True], bytes(8))


def wire_seventy_dimensions(host: Any) -> None:
    of_array("<f8", [1] * 70, bytes(8))


def wire_truncated_array(host: Any) -> None:
    of_array("<c16", [1 << 20], bytes(16))


def wire_class_of_the_kernel(host: Any) -> None:
    say(answer({"$": "Kernel", "paths": None}))


def wire_class_by_module(host: Any) -> None:
    say(answer({"$": "os.system", "command": "true"}))


def wire_private_field(host: Any) -> None:
    send(2, 2, {"$": "ToolResult", "text": "x", "data": None, "failed": False, "__class__": "x"}, None, 0)


def wire_circuit_that_points_outside(host: Any) -> None:
    """A circuit of one qubit, by its header, whose gates are on others."""
    from proxima.contracts.circuit import Circuit

    good = Circuit.builder(3, 3).h(2).cx(1, 2).measure(2, 2).build().to_bytes()
    outside = good.replace(b'"num_qubits":3', b'"num_qubits":1').replace(b'["q",3]', b'["q",1]')
    assert outside != good
    assert len(outside) == len(good)
    say(answer({"$": "Circuit", "v": outside}))


def wire_result_of_another_type(host: Any) -> None:
    send(2, 2, "text alone", None, 0)


def wire_huge_integer(host: Any) -> None:
    say(answer({"$": "int", "v": b"\xff" * (1 << 20)}))


def _leased() -> tuple[int, int]:
    """Index and size of a buffer that the kernel lends."""
    _, ref, _ = peer()._exchange("$lease", 1 << 20, None, time.monotonic() + 5)
    return ref[0], ref[1]


def wire_buffer_beyond_its_end(host: Any) -> None:
    array = {"$": "array", "d": "<f8", "s": [1 << 17], "o": (1 << 20) - 8}
    send(2, 2, {"$": "ToolResult", "text": "x", "data": array, "failed": False}, [*_leased(), False], 0)


def wire_buffer_never_lent(host: Any) -> None:
    send(2, 2, "x", [7, 1 << 20, False], 0)


def wire_free_twice(host: Any) -> None:
    index, _ = _leased()
    say(2 * packed(6, index))


def wire_error_that_exits(host: Any) -> None:
    """An error of a class that would end the kernel."""
    send(3, 2, "SystemExit", "leaving", None, {}, "")


def wire_error_of_a_private_name(host: Any) -> None:
    """An error of a name that is there to be found, and is no class of errors."""
    send(3, 2, "__builtins__", "hiding", None, {}, "")


def wire_error_without_end(host: Any) -> None:
    send(3, 2, "RunError", "x" * 100_000, None, {}, "")


def wire_error_with_a_place(host: Any) -> None:
    send(3, 2, "CircuitSyntaxError", "x", None, {"path": "x", "line": "y", "column": 1, "token": "t"}, "")


def wire_port_of_a_truth_value(host: Any) -> None:
    send(1, 999, "network.connect", ["localhost", True, None], None)


def wire_seconds_that_are_no_number(host: Any) -> None:
    send(1, 999, "network.connect", ["localhost", host.granted, float("nan")], None)


def wire_keys_that_collide(host: Any) -> None:
    """Tuples of -1 and -2, which have one hash: each must be compared with all that came before."""
    keys = itertools.islice(itertools.product((-1, -2), repeat=16), 3000)
    say(answer({"$": "dict", "v": [[list(key), None] for key in keys]}))


def wire_circuit_whose_offsets_wrap(host: Any) -> None:
    """Differences of int32 wrap: these rise by two thousand million twice, and 32 GiB are to be made for it."""
    offsets, rows = struct.pack("<5i", 0, 2**31 - 1, -(2**31), -1, 1), 4
    columns = (bytes([64] * rows), offsets, bytes(4), bytes(4 * rows + 4), b"", b"", *[b"\xff" * 4 * rows] * 3)
    lengths = [rows, rows + 1, 1, rows + 1, 0, 0, rows, rows, rows]
    lists = dict.fromkeys(("qregs", "cregs", "parameters", "conditions", "payloads"), ())
    head = {"num_qubits": 1, "num_clbits": 0, "lengths": lengths, **lists, "name": "", "metadata": {}}
    data = _headed(json.dumps(head).encode())
    for column in columns:
        data += bytes(-len(data) % 8) + column
    say(answer({"$": "Circuit", "v": data}))


def wire_circuit_with_a_header_without_end(host: Any) -> None:
    """A hundred mebibytes of empty lists are six gibibytes of objects; this is a fifth of it."""
    head = b'{"num_qubits":0,"metadata":[' + b"[]," * ((20 << 20) // 3) + b"[]]}"
    say(answer({"$": "Circuit", "v": _headed(head)}))


def _headed(head: bytes) -> bytes:
    return b"PXCIRC\x00\x01" + struct.pack("<I", len(head)) + head
