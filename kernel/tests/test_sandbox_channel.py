"""Frames and file descriptors, from a peer that may send anything."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.errors import DeadlineExceededError, PluginError, ResourceError, UsageError
from proxima.sandbox.channel import MAX_FRAME, MAX_OBJECTS, Channel, ProtocolError

Pair = tuple[Channel, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours, frame_seconds=0.3)
    with theirs:
        yield channel, theirs
    channel.close()


def frame(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def with_fds(sock: socket.socket, data: bytes, fds: list[int]) -> None:
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
@settings(deadline=None)
def test_message_arrives_as_it_was_sent(message: object) -> None:
    ours, theirs = socket.socketpair()
    sender, receiver = Channel(ours), Channel(theirs)
    try:
        sender.send(message)
        assert receiver.receive() == (message, [])
    finally:
        sender.close()
        receiver.close()


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_a_message_or_a_protocol_error(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(frame(data))
    theirs.close()
    with suppress(ProtocolError):
        channel.receive()
    channel.close()
    assert issubclass(ProtocolError, PluginError)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x92\x01",
        b"\x01\x01",
        b"\xa2\xff\xff",
        b"\x81\x01\x02",
        b"\x81\xa1a",
        b"\x91" * 100_000,
        b"\x91" * 5_000 + b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff" + b"\x01" * 100_000,
        b"\xc7\x00\x05",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xd8\x01" + b"x" * 16,
        b"\xc8\x00\x00\xff",
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94",
    ],
    ids=lambda data: f"{data[:6].hex()}-{len(data)}",
)
def test_refuses_what_is_not_plain_msgpack(pair: Pair, data: bytes) -> None:
    channel, other = pair
    threading.Thread(target=other.sendall, args=(frame(data),), daemon=True).start()
    with pytest.raises(ProtocolError):
        channel.receive(deadline=time.monotonic() + 10)
    with pytest.raises(ProtocolError, match="closed"):
        channel.send(1)


def test_refuses_a_length_over_the_cap_before_reading_on(pair: Pair) -> None:
    channel, other = pair
    other.sendall(struct.pack("<I", 3 << 30))
    with pytest.raises(ProtocolError, match=f"at most {MAX_FRAME:,}"):
        channel.receive()


def test_refuses_more_objects_than_a_frame_may_hold(pair: Pair) -> None:
    channel, other = pair
    data = b"\xdd" + struct.pack(">I", MAX_OBJECTS) + b"\x90" * MAX_OBJECTS
    channel = Channel(channel._socket, frame_seconds=20)
    threading.Thread(target=other.sendall, args=(frame(data),), daemon=True).start()
    with pytest.raises(ProtocolError, match="values"):
        channel.receive()


def test_carries_one_large_string(pair: Pair) -> None:
    channel, other = pair
    message = ["x" * (5 << 20), list(range(1000)), {"a": 1.5}]
    received = Channel(other)
    thread = threading.Thread(target=channel.send, args=(message,), daemon=True)
    thread.start()
    assert received.receive()[0] == message
    thread.join()


def test_end_between_messages_is_told_apart_from_one_in_the_middle(pair: Pair) -> None:
    channel, other = pair
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match="closed"):
        channel.receive()
    assert channel.ended


@pytest.mark.parametrize("part", [b"\x05", b"\x05\x00\x00\x00", b"\x05\x00\x00\x00abcd"])
def test_end_in_the_middle_of_a_message_is_a_protocol_error(pair: Pair, part: bytes) -> None:
    channel, other = pair
    other.sendall(part)
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match="in the middle"):
        channel.receive()
    assert not channel.ended


def test_deadline_without_a_message_leaves_the_channel_usable(pair: Pair) -> None:
    channel, other = pair
    with pytest.raises(DeadlineExceededError):
        channel.receive(deadline=time.monotonic() + 0.02)
    other.sendall(frame(msgpack.packb("late")))
    assert channel.receive(deadline=time.monotonic() + 5)[0] == "late"


@pytest.fixture
def dripping(pair: Pair) -> Iterator[Channel]:
    """A channel on which a message comes byte by byte, for 2.6 seconds."""
    channel, other = pair
    stop = threading.Event()

    def drip() -> None:
        for byte in frame(b"\xc4\xff" + b"x" * 255):
            if stop.wait(0.01):
                return
            try:
                other.send(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield channel
    stop.set()
    thread.join()


@pytest.mark.parametrize("patience", [None, 5.0])
def test_a_message_that_comes_byte_by_byte_meets_one_total_deadline(dripping: Channel, patience: float | None) -> None:
    started = time.monotonic()
    with pytest.raises(ProtocolError, match="not finished in time"):
        dripping.receive(deadline=None if patience is None else started + patience)
    assert time.monotonic() - started < 2


def test_the_frame_and_not_the_one_who_waits_has_that_deadline(dripping: Channel) -> None:
    started = time.monotonic()

    def insist() -> None:
        while time.monotonic() - started < 10:
            with suppress(DeadlineExceededError):
                dripping.receive(deadline=time.monotonic() + 0.05)

    with pytest.raises(ProtocolError, match="not finished in time"):
        insist()
    assert time.monotonic() - started < 2


def test_who_gives_up_waiting_leaves_what_has_come_to_the_next(pair: Pair) -> None:
    channel, other = pair
    whole = frame(msgpack.packb("hello"))
    for part in (whole[:2], whole[2:4], whole[4:6]):
        other.sendall(part)
        with pytest.raises(DeadlineExceededError):
            channel.receive(deadline=time.monotonic() + 0.02)
    other.sendall(whole[6:] + whole)
    assert channel.receive()[0] == "hello"
    assert channel.ready()
    assert channel.receive(deadline=time.monotonic())[0] == "hello"
    assert not channel.ready()


def test_an_interruption_while_it_waits_loses_nothing(pair: Pair) -> None:
    channel, other = pair
    interrupted = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for part in (b"", frame(msgpack.packb("hello"))[:3]):
            other.sendall(part)
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            with pytest.raises(KeyboardInterrupt):
                channel.receive(deadline=time.monotonic() + 5)
    finally:
        signal.signal(signal.SIGALRM, interrupted)
    other.sendall(frame(msgpack.packb("hello"))[3:])
    assert channel.receive()[0] == "hello"


def test_a_reader_that_stops_meets_a_deadline_in_the_middle(pair: Pair) -> None:
    channel, _ = pair
    started = time.monotonic()
    with pytest.raises(ProtocolError, match="stopped reading"):
        channel.send(b"x" * (8 << 20))
    assert time.monotonic() - started < 3
    with pytest.raises(ProtocolError):
        channel.send(1)


def test_a_sender_that_waits_for_its_turn_meets_its_own_deadline(pair: Pair) -> None:
    channel, _ = pair

    def stall() -> None:
        with pytest.raises(ProtocolError, match="stopped reading"):
            channel.send(b"x" * (8 << 20))

    thread = threading.Thread(target=stall)
    thread.start()
    time.sleep(0.05)
    with pytest.raises(DeadlineExceededError, match="busy"):
        channel.send(1, deadline=time.monotonic() + 0.05)
    thread.join()


def test_shutdown_wakes_a_receiver(pair: Pair) -> None:
    channel, _ = pair
    failed = threading.Event()

    def wait() -> None:
        with pytest.raises(ProtocolError):
            channel.receive()
        failed.set()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    channel.shutdown()
    assert failed.wait(5)
    thread.join()


def test_messages_of_concurrent_senders_do_not_mix(pair: Pair) -> None:
    channel, other = pair
    channel = Channel(channel._socket)
    receiver = Channel(other)
    threads = [
        threading.Thread(target=lambda k=k: [channel.send([k, i, bytes([k]) * (i * 997)]) for i in range(40)])
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    seen: dict[int, int] = dict.fromkeys(range(8), 0)
    for _ in range(8 * 40):
        message, _ = receiver.receive(deadline=time.monotonic() + 20)
        assert isinstance(message, list)
        k, i, data = message
        assert (i, data) == (seen[k], bytes([k]) * (i * 997))
        seen[k] += 1
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("message", [object(), (1,), 2**64, {1, 2}, "\ud800", [[["deep"]] * 3, 3j]])
def test_refuses_to_send_what_is_not_plain_data(pair: Pair, message: object) -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        pair[0].send(message)


def test_refuses_to_send_what_the_other_side_would_refuse(pair: Pair) -> None:
    with pytest.raises(ResourceError):
        pair[0].send(b"x" * MAX_FRAME)
    with pytest.raises(ResourceError):
        pair[0].send([None] * MAX_OBJECTS)


def test_descriptors_arrive_with_close_on_exec(pair: Pair) -> None:
    channel, other = pair
    read, write = os.pipe()
    Channel(other).send("take", [write])
    message, fds = channel.receive(max_fds=1)
    assert message == "take"
    assert len(fds) == 1
    assert fcntl.fcntl(fds[0], fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.write(fds[0], b"hi")
    assert os.read(read, 2) == b"hi"
    for fd in (read, write, *fds):
        os.close(fd)


@pytest.mark.parametrize("allowed", [0, 1, 2, 3])
@pytest.mark.parametrize("surplus", [1, 2, 97])
def test_surplus_descriptors_are_closed_and_refused(pair: Pair, allowed: int, surplus: int) -> None:
    channel, other = pair
    read, write = os.pipe()
    before = open_fds()
    with_fds(other, frame(b"\x01"), [write] * (allowed + surplus))
    with pytest.raises(ProtocolError, match="descriptors"):
        channel.receive(max_fds=allowed)
    assert open_fds() == before
    os.close(write)
    assert os.read(read, 1) == b""  # nobody else holds the other end
    os.close(read)


def test_descriptors_in_the_middle_of_a_frame_are_refused(pair: Pair) -> None:
    channel, other = pair
    read, write = os.pipe()
    before = open_fds()
    whole = frame(msgpack.packb("hello"))
    other.send(whole[:6])
    with_fds(other, whole[6:], [write])
    with pytest.raises(ProtocolError, match="descriptors"):
        channel.receive(max_fds=4)
    assert open_fds() == before
    os.close(write)
    os.close(read)


def test_descriptors_with_a_malformed_frame_are_closed(pair: Pair) -> None:
    channel, other = pair
    read, write = os.pipe()
    before = open_fds()
    with_fds(other, frame(b"\xc1"), [write, read])
    with pytest.raises(ProtocolError):
        channel.receive(max_fds=2)
    assert open_fds() == before
    os.close(write)
    os.close(read)
