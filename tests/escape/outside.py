"""What attempts share that are judged outside the worker.

Each returns what got through, or raises `Stopped`; whatever else it raises says that the attempt itself is broken. A
`control_` does the same where nothing holds it, in a child.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


class Stopped(Exception):
    """The attempt failed, and why."""


def through(happened: object, what: str) -> str:
    """`what`, where it happened.

    Raises:
        Stopped: It did not.
    """
    if happened:
        return what
    raise Stopped(f"not so: {what}")


def tried(happened: object, what: str) -> None:
    """Says that an attempt is broken, which would prove nothing by its failure."""
    if not happened:
        raise RuntimeError(f"this tried nothing: {what}")


def within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
