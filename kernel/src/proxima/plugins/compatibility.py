"""Whether a plugin fits this kernel and this Python.

A compiled manifest says what it needs in one line of plain comparisons, such as ``kernel-api>=1 kernel-api<=2``, so
that judging 1000 plugins needs no parser of version specifiers. Only the numbers of a version count: 3.13rc1 is 3.13.
"""

from __future__ import annotations

import sys

import proxima

KERNEL_API = 1
"""Rises when a hook or contract changes so that an existing plugin would break."""

_NAMES = {"kernel-api": "kernel API", "python": "Python", "proxima": "Proxima"}
OPERATORS = (">=", "<=", "==", "!=", ">", "<")


def unfit(fits: str) -> str:
    """Why a plugin with these needs does not fit, in words; empty where it does."""
    here = {
        "kernel-api": str(KERNEL_API),
        "python": ".".join(map(str, sys.version_info[:3])),
        "proxima": proxima.__version__,
    }
    for need in fits.split():
        operator = next((o for o in OPERATORS if o in need), "?")
        subject, _, bound = need.partition(operator)
        if subject not in here:
            return f"needs {need!r}, which this kernel does not understand"
        if not _holds(here[subject], operator, bound):
            wanted = ", ".join(n.removeprefix(subject) for n in fits.split() if n.startswith(subject))
            return f"needs {_NAMES[subject]} {wanted}; this is {here[subject]}"
    return ""


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``(3, 13)`` for ``3.13rc1``."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if digits:
            numbers.append(int(digits) if len(digits) < 20 else 10**20)  # Python refuses to read very long ones
        if digits != part:
            break
    return tuple(numbers)


def _holds(version: str, operator: str, bound: str) -> bool:
    have, want = release(version), release(bound.removesuffix(".*"))
    have += (0,) * (len(want) - len(have))
    if bound.endswith(".*"):
        return (have[: len(want)] == want) is (operator == "==")
    want += (0,) * (len(have) - len(want))
    match operator:
        case ">=":
            return have >= want
        case "<=":
            return have <= want
        case "==":
            return have == want
        case "!=":
            return have != want
        case ">":
            return have > want
    return have < want
