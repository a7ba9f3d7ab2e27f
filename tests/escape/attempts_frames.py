"""Bytes on the channel that are no message, and messages at the wrong time. Plugin's side."""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from conversation import answer, framed, keep_open, packed, pass_descriptors, peer, raw, say, send


def wire_three_gib(host: Any) -> None:
    say(struct.pack("<I", 3 << 30))


def wire_array_header_of_4_gi(host: Any) -> None:
    say(framed(b"\xdd\xff\xff\xff\xff"))


def wire_million_empty_lists(host: Any) -> None:
    say(framed(b"\xdd" + struct.pack(">I", 2 << 20) + b"\x90" * (2 << 20)))


def wire_slow(host: Any) -> None:
    """A good answer, each byte in time."""
    for byte in answer("x" * 400):
        os.write(raw(), bytes([byte]))
        time.sleep(0.05)


def wire_pickle(host: Any) -> None:
    say(framed(b"cos\nsystem\n(S'true'\ntR."))


def wire_extension(host: Any) -> None:
    say(framed(b"\xc7\x00\x05"))


def wire_timestamp(host: Any) -> None:
    say(framed(b"\xd6\xff\x00\x00\x00\x01"))


def wire_deep(host: Any) -> None:
    say(framed(b"\x91" * 100_000 + b"\xc0"))


def wire_text_that_is_not_utf8(host: Any) -> None:
    say(framed(b"\x95\x02\x02\xa4\xff\xfe\xfd\xfc\xc0\x00"))


def wire_hundred_descriptors(host: Any) -> None:
    pass_descriptors([os.open("/dev/null", os.O_RDONLY)] * 100)


def wire_one_descriptor(host: Any) -> None:
    """One descriptor, of a file in the scratch directory, as if it were a shared buffer."""
    pass_descriptors([os.open("mine", os.O_CREAT | os.O_RDWR)])


def wire_end_in_the_middle(host: Any) -> None:
    os.write(raw(), answer("x")[:-1])
    os._exit(0)


def wire_message_in_a_message(host: Any) -> None:
    """Two good answers, one cut into the other, as threads would send that take no turns."""
    one = answer("x" * 100)
    say(one[:20] + answer("y" * 50) + one[20:])


def wire_answer_twice(host: Any) -> None:
    say(2 * answer(None))


def wire_answer_for_another_call(host: Any) -> None:
    send(2, 999_999, "x", None, 0)


def wire_call_of_a_truth_value(host: Any) -> None:
    send(2, True, "x", None, 0)


def wire_unknown_kind(host: Any) -> None:
    send(42, 2)


def wire_kind_that_is_a_list(host: Any) -> None:
    send([1], 2)


def wire_requests_without_end(host: Any) -> None:
    """More requests at once than may be; each waits for a host that is granted and takes no connection."""
    kernel = peer()
    keep_open(kernel)
    say(b"".join(packed(1, n, "network.connect", ["localhost", host.silent, 1.0], None) for n in range(200)))


def wire_flood_of_progress(host: Any) -> None:
    frames = packed(4, 2, 0.5, "x" * 900) * 200
    for _ in range(100):
        peer()._channel._socket.sendall(frames)
    time.sleep(5)


def wire_progress_that_is_no_number(host: Any) -> None:
    send(4, 2, float("nan"), "x")
