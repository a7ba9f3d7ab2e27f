"""A program: system calls that are all known beforehand, made one after another by one short loop.

A worker locks itself with one. Whoever writes it (`proxima.sandbox.linux.script`) knows every argument, even which
descriptors the calls will open, since each is the lowest number that is free. So a worker decides nothing, and hardly
writes to the memory that it shares with the process it was forked from.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

CALL = struct.Struct("<HBB3i6i")
"""One call: its number, which of its arguments are offsets in the data, how many answers are wanted, these, and six
arguments. Errors are negative answers; where no answer is named, whatever is not an error is wanted."""

MOST_WANTED = 3


class Program(NamedTuple):
    """What `run` does; as a list it can be sent.

    Attributes:
        calls: Each as `CALL` packs it.
        data: What the calls read and write.
        pointers: Where in the data there is an offset in place of an address.
    """

    calls: bytes
    data: bytes
    pointers: Sequence[int]


class Outcome(NamedTuple):
    """What came of a program.

    Attributes:
        whole: Whether every call was answered as wanted.
        made: How many were.
        answer: The answer to the last call that was made.
    """

    whole: bool
    made: int
    answer: int


def run(program: Program) -> Outcome:
    """Make the calls, up to the first whose answer is not wanted."""
    calls, data, pointers = program
    memory = bytearray(data or b"\0")
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place in pointers:
        ctypes.c_uint64.from_buffer(memory, place).value += base
    syscall = _syscall()
    made, answer = 0, 0
    for number, in_data, count, *numbers in CALL.iter_unpack(calls):
        wanted, arguments = numbers[:count], numbers[MOST_WANTED:]
        words = [base + each if in_data >> place & 1 else each for place, each in enumerate(arguments)]
        answer = syscall(number, *words)
        if answer == -1:
            answer = -ctypes.get_errno()
        if answer not in wanted and (wanted or answer < 0):
            return Outcome(False, made, answer)
        made += 1
    return Outcome(True, made, answer)


@functools.cache
def _syscall() -> Any:
    """Libc's `syscall`, for whole words alone."""
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = [ctypes.c_long] * 7
    return syscall
