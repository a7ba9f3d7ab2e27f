"""What a worker may send: bytes on the channel, messages to the kernel, and values for each type that crosses."""

from __future__ import annotations

import copy
import importlib.util
import random
import socket
import struct
import tracemalloc
import typing
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from conforming import wrong
from fuzzing import fuzz, mutated
from hypothesis import strategies as st

from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.records import RecordSummary
from proxima.contracts.tool import ToolDefinition
from proxima.errors import ProximaError
from proxima.sandbox.carried import CARRIED, class_of, mistake
from proxima.sandbox.channel import MAX_FRAME, MAX_OBJECTS, Channel
from proxima.sandbox.codec import Encoded, decode
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.hearing import Hearing
from proxima.sandbox.held import Held
from proxima.sandbox.incoming import Incoming
from proxima.sandbox.lending import Lending
from proxima.sandbox.messages import ANSWER, CANCEL, ERROR, FREE, LEASE, MAX_HELD, MAX_REQUEST, PROGRESS, REQUEST
from proxima.sandbox.outgoing import Answer, Outgoing
from proxima.sandbox.shm import BufferPool

CODEC_TESTS = Path(__file__).resolve().parents[2] / "kernel" / "tests" / "test_sandbox_codec.py"


def _values() -> list[Any]:
    """One value of each type that crosses, which the codec's own tests hold."""
    spec = importlib.util.spec_from_file_location("codec_tests", CODEC_TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plain: list[Any] = [(1, "a", None), {"a": [1.5, b"x"]}, {1, 2}, np.arange(8.0), np.ones((64, 512)), 2**200, 1j]
    return [*module.VALUES, *plain]


VALUES = _values()
EXPECTED: list[Any] = [
    *(type(value) for value in VALUES[:-7]),
    *map(class_of, CARRIED),
    *(Any, int, float, str, bytes, bool, None, np.ndarray, dict[str, Any], list[str], tuple[int, ...], frozenset[str]),
    *(tuple[str, int, float | None], tuple[str, str], tuple[int, str | None], tuple[str], dict[str, float], int | None),
    tuple[str, str, tuple[ChatMessage, ...], tuple[ToolDefinition, ...]],
    *(tuple[RecordSummary, ...], tuple[ChatChunk, ...], list[Any], dict[int, str], str | None),
]


def _sent(value: Any) -> tuple[Any, bytes]:
    encoded = Encoded(value)
    memory = bytearray(encoded.size)
    if encoded.size:
        encoded.place(memory)
    return msgpack.unpackb(msgpack.packb(encoded.data)), bytes(memory)


SENT = [_sent(value) for value in VALUES]
PLAIN = [data for data, _ in SENT]
MESSAGES: list[Any] = [
    *([ANSWER, k % 4, data, None, 0] for k, data in enumerate(PLAIN)),
    [ANSWER, 1, {"$": "array", "d": "<f8", "s": [8], "o": 0}, [0, 1 << 20, False], 0],
    [ERROR, 1, "UsageError", "said", "hint", {}, "trace"],
    [ERROR, 2, "CircuitSyntaxError", "x", None, {"path": "a", "line": 1, "column": 2, "token": "t"}, ""],
    *([PROGRESS, 1, 0.5, "half"], [PROGRESS, 2, None, "?"], [CANCEL, 7], [FREE, 0], [FREE, 1]),
    *([REQUEST, 9, LEASE, 4096, None], [REQUEST, 10, "secrets.get", ["A"], None]),
    [REQUEST, 11, "llm.chat", ["a", "b", [PLAIN[18]], [PLAIN[14]]], None],
    [REQUEST, 12, "keep", {"$": "array", "d": "<f8", "s": [8], "o": 0}, [1, 1 << 20, False]],
]


HEADERS = [b"\xdd\xff\xff\xff\xff", b"\xdf\0\0\xff\xff", b"\xc9", b"\x9f" * 50, b"\xdb"]


def framed(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


FRAMES = [framed(msgpack.packb(message)) for message in MESSAGES]


def received(stream: bytes, then: Callable[[object, Channel], None]) -> None:
    """Has a channel receive what comes of a stream that ends."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    try:
        theirs.sendall(stream)
        theirs.close()
        with suppress(ProtocolError):
            while True:
                message, fds = channel.receive()
                assert fds == []
                then(message, channel)
    finally:
        channel.close()


def any_frames(number: int) -> None:
    """Frames that were cut, joined, changed by bits and bytes, or made of anything; each is a message or an error."""
    rng = random.Random(number)
    stream = bytearray(b"".join(rng.choices(FRAMES[-20:] if rng.random() < 0.9 else FRAMES, k=rng.randint(1, 3))))
    for _ in range(rng.randint(0, 5)):
        at = rng.randrange(len(stream) or 1)
        match rng.randrange(6):
            case 0:
                stream[at : at + 1] = rng.randbytes(1)
            case 1:
                del stream[at : at + rng.randint(1, 40)]
            case 2:
                stream[at:at] = rng.randbytes(rng.randint(1, 12))
            case 3:
                stream[at:at] = rng.choice(
                    [b"\xdd\xff\xff\xff\xff", b"\xdf\0\0\xff\xff", b"\xc9", b"\x9f" * 50, b"\xdb"]
                )
            case 4:
                stream[:2] = struct.pack("<H", max(len(stream) - 4 + rng.randint(-3, 3), 0) & 0xFFFF)
            case _:
                stream += framed(rng.randbytes(rng.randint(0, 60)))
    received(bytes(stream[: 60 << 10]), accepted)


def accepted(message: object, channel: Channel) -> None:
    assert 0 < channel.cost <= 4 * MAX_FRAME + 80 * MAX_OBJECTS
    waiting, count = [message], 0
    while waiting:
        each = waiting.pop()
        count += 1
        assert type(each) in (type(None), bool, int, float, str, bytes, list, dict)
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += [*each, *each.values()]
    assert 80 * count < channel.cost


def bare_bytes(data: bytes) -> None:
    """Any bytes at all, and the same as the body of a frame."""
    received(data, accepted)
    received(framed(data), accepted)


class Conversation:
    """The kernel's end with calls 1 and 2 in progress, call 3 given up, and buffers 0 and 1 lent; nobody reads."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.pool = BufferPool(max_bytes=8 << 20)
        for _ in range(2):
            self.pool.take(1 << 20)
        self.held = Held(MAX_HELD)
        self.outgoing = Outgoing(
            "plugin evil", "evil", send=_nothing, attend=_nothing, drop=lambda a: self.hearing.drop(a)
        )
        self.incoming = Incoming(_nothing)
        self.lending = Lending(self.pool, self.channel)
        self.hearing = Hearing("evil", self.outgoing, self.incoming, self.lending, held=self.held)
        self.calls = [self.outgoing.open("work", None) for _ in range(3)]
        self.outgoing.abandon(self.calls[2])

    def events(self) -> Iterator[Any]:
        for call in self.calls:
            while not call.events.empty():
                yield call.events.get_nowait()

    def close(self) -> None:
        self.pool.close()
        self.channel.close()
        self.theirs.close()


def _nothing(*_: Any, **__: Any) -> None:
    """Where a message would go out."""


def any_messages(number: int) -> None:
    """Messages that are valid but for a few places, in any order: each is heard or ends the conversation."""
    rng = random.Random(number)
    conversation = Conversation()
    try:
        taken, over = 0, True
        with suppress(ProtocolError):
            for message in rng.choices(MESSAGES, k=rng.randint(1, 6)):
                changed = mutated(copy.deepcopy(message), rng, MESSAGES) if rng.random() < 0.8 else message
                cost = rng.choice([100, MAX_REQUEST, MAX_HELD // 2])
                free = MAX_HELD - conversation.held.cost
                request = conversation.hearing.hear(changed, [], cost)
                if request is not None:
                    assert type(request.method) is str
                    assert (request.refused is None) == (request.cost <= min(MAX_REQUEST, free))
                    taken += request.cost * (request.refused is None)
                    memory = (
                        conversation.lending.get(request.ref).memory if request.ref and not request.refused else None
                    )
                    decode(request.data, rng.choice(EXPECTED), memory)
            over = False
        heard = list(conversation.events())
        answers = [event for event in heard if isinstance(event, Answer)]
        assert all(isinstance(event, Answer | ProximaError) or hasattr(event, "fraction") for event in heard)
        assert conversation.held.cost <= MAX_HELD
        assert over or conversation.held.cost == taken + sum(answer.cost for answer in answers)
        for event in heard:
            if isinstance(event, ProximaError):
                assert event.plugin == "evil"
                assert len(str(event)) < 10_000
    finally:
        conversation.close()


def any_values(number: int) -> None:
    """Values that are valid but for a few places, held to a type: what comes out is of the type, or nothing does."""
    rng = random.Random(number)
    at = rng.randrange(len(SENT))
    data, memory = SENT[at]
    expected = rng.choice(EXPECTED) if rng.random() < 0.2 else rng.choice([type(VALUES[at]), Any])
    if expected not in EXPECTED:
        expected = Any
    if rng.random() < 0.95:
        data = mutated(copy.deepcopy(data), rng, PLAIN)
        with suppress(ValueError, OverflowError, RecursionError):  # what msgpack cannot carry never arrives
            data = msgpack.unpackb(msgpack.packb(data), strict_map_key=False)
    if memory and rng.random() < 0.3:
        memory = memory[: rng.randrange(len(memory))]
    try:
        value = decode(data, expected, memory or None)
    except ProtocolError:
        return
    said = wrong(value, expected)
    assert said == "", f"{said} in {data!r:.300}"
    assert mistake(value) == ""


@pytest.mark.parametrize(
    ("share", "target"),
    [(0.22, any_frames), (0.15, any_messages), (0.3, any_values)],
    ids=["frames", "messages", "values"],
)
def test_hostile_input(share: float, target: Callable[[int], None]) -> None:
    assert fuzz(share, target) > 0


def test_any_bytes() -> None:
    assert fuzz(0.03, bare_bytes, st.binary(max_size=80)) > 0


def test_a_frame_takes_no_more_memory_than_it_is_said_to() -> None:
    """Peak memory of receiving, from frames chosen for how much comes of a byte."""
    many = 60_000
    bodies = [
        b"\xdd" + struct.pack(">I", many) + b"\x90" * many,
        b"\xdd" + struct.pack(">I", many) + b"\x80" * many,
        b"\xdd" + struct.pack(">I", many) + b"\xcb" + b"\xcb".join([b"1" * 8] * many),
        b"\xdf" + struct.pack(">I", many) + b"".join(b"\xa3%03x\xa1y" % (k % 4096) for k in range(many)),
        b"\xdb" + struct.pack(">I", 4 << 20) + "ü".encode() * (2 << 20),
        b"\x91" * 500 + b"\xc0",
    ]
    for body in bodies:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 20)
        theirs.settimeout(0)
        whole = framed(body)
        channel = Channel(ours)
        sent = theirs.send(whole)
        assert sent == len(whole)
        tracemalloc.start()
        message, _ = channel.receive()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert message is not None
        assert peak <= channel.cost + len(body) + (64 << 10), (
            f"{peak:,} bytes for {len(body):,}, {channel.cost:,} expected"
        )
        channel.close()
        theirs.close()


def test_the_oracle_knows_what_is_wrong() -> None:
    """It agrees with every value as it is, and with none in which a field has another type."""
    for value in VALUES:
        assert wrong(value, type(value) if type(value) in EXPECTED else Any) in ("", "value: <class 'set'>")
    for value in VALUES[:-8]:
        for name in typing.get_type_hints(type(value)):
            changed = copy.copy(value)
            object.__setattr__(changed, name, object())
            assert name in wrong(changed, type(value))
