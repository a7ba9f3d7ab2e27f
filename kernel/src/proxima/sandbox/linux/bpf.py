"""An assembler for the seccomp programs of the lock: system call number to verdict, by binary search.

Source: Linux `Documentation/userspace-api/seccomp_filter.rst`; the instruction set is classic BPF.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ALLOW = 0x7FFF0000
KILL = 0x80000000  # the whole process
_ERRNO = 0x00050000

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP, _JUMP_EQUAL, _JUMP_GREATER_EQUAL = 0x05, 0x15, 0x35
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32_BIT = 0x40000000

Code = list[tuple[int, int, int, int]]


class Check(NamedTuple):
    """A condition on one argument of a system call: `argument & mask` is one of the values.

    Only the low 32 bits are looked at unless `high` is set; both architectures are little-endian.

    Attributes:
        argument: Which one, from 0.
        values: What is allowed.
        mask: The bits that count.
        high: Look at the upper 32 bits instead, which matters for a pointer.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    high: bool = False


def error(number: int) -> int:
    """The verdict that makes a system call fail with an error number."""
    return _ERRNO | number


def assemble(
    arch: int,
    verdicts: Mapping[int, int],
    checks: Mapping[int, Sequence[Sequence[Check]]],
    *,
    otherwise: int,
    beyond: tuple[int, int],
) -> bytes:
    """Write a program.

    Args:
        arch: The AUDIT_ARCH value of the calls it is for; a call of any other, or with an x32 number, kills.
        verdicts: System call number to verdict.
        checks: System call number to alternatives, each a list of conditions that must hold together; where no
            alternative holds, the verdict is `otherwise`.
        otherwise: The verdict for a call in neither.
        beyond: A number, and the verdict for that call and all after it unless they are named.

    Returns:
        The instructions as an array of `struct sock_filter`.
    """
    starts: dict[int, Code] = {0: _verdict(otherwise), beyond[0]: _verdict(beyond[1])}
    for number in (*verdicts, *checks):
        if number + 1 not in verdicts and number + 1 not in checks:
            starts[number + 1] = _verdict(beyond[1] if number + 1 >= beyond[0] else otherwise)
    starts.update((number, _verdict(verdict)) for number, verdict in verdicts.items())
    starts.update((number, _alternatives(each, otherwise)) for number, each in checks.items())
    ranges: list[tuple[int, Code]] = []
    for first, code in sorted(starts.items()):
        if not ranges or ranges[-1][1] != code:
            ranges.append((first, code))
    program: Code = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, KILL),
        *_search(ranges),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _verdict(verdict: int) -> Code:
    return [(_RETURN, 0, 0, verdict)]


def _search(ranges: Sequence[tuple[int, Code]]) -> Code:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    # Conditional jumps reach 255 instructions only, so the far side is reached by an unconditional one.
    return [(_JUMP_GREATER_EQUAL, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(below)), *below, *above]


def _alternatives(alternatives: Sequence[Sequence[Check]], otherwise: int) -> Code:
    code = _verdict(otherwise)
    for conditions in reversed(alternatives):
        code = _conditions(conditions, code)
    return code


def _conditions(conditions: Sequence[Check], failed: Code) -> Code:
    code = _verdict(ALLOW)
    for check in reversed(conditions):
        tests: Code = []
        for i, value in enumerate(check.values):
            tests.append((_JUMP_EQUAL, len(check.values) - i, 0, value))
        offset = _ARGUMENTS + 8 * check.argument + (4 if check.high else 0)
        # After the tests: over the jump to what follows a failure, into the next condition.
        code = [(_LOAD, 0, 0, offset), (_AND, 0, 0, check.mask), *tests, (_JUMP, 0, 0, len(code)), *code]
    return [*code, *failed]
