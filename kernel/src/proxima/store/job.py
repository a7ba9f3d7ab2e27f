"""`Job`: how long one piece of work may take, who may stop it, and who wants to know how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from proxima.errors import CancelledError, DeadlineExceededError

if TYPE_CHECKING:  # numpy comes with it
    from proxima.contracts.backend import CancelToken

Progress = Callable[[float | None, str], None]
"""Called with a fraction in [0, 1], ``None`` where it is not known, and a short message."""


class Job(NamedTuple):
    """One piece of work.

    Attributes:
        progress: Told how far it is.
        cancel: Stops it when somebody sets it.
        deadline: A `time.monotonic` instant after which it gives up.
        step: Called with the name of each step of a transaction before it is taken.
    """

    progress: Progress = lambda fraction, message: None
    cancel: CancelToken | None = None
    deadline: float = float("inf")
    step: Callable[[str], object] = lambda name: None

    def check(self, doing: str) -> None:
        """Goes on only if nobody stopped it and time is left.

        Raises:
            CancelledError, DeadlineExceededError: Naming what was being done.
        """
        if self.cancel is not None and self.cancel.cancelled:
            raise CancelledError(f"cancelled while {doing}")
        if time.monotonic() > self.deadline:
            hint = "store.seconds sets how long one transaction of the store may take."
            raise DeadlineExceededError(f"no time was left while {doing}", hint=hint)

    def left(self, most: float) -> float:
        """Seconds that may be spent on one thing: ``most``, or what is left of the whole, never 0."""
        return max(min(most, self.deadline - time.monotonic()), 0.01)
