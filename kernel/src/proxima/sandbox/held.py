"""`Held`: how much memory one plugin's messages take while somebody works on them."""

from __future__ import annotations

import threading


class Held:
    """A sum of costs with a limit.

    Args:
        limit: In bytes; ``None`` for none.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._cost = 0

    def take(self, cost: int) -> bool:
        """Counts a message; False where that would be more than the limit, and it is not counted."""
        with self._lock:
            if self._limit is not None and self._cost + cost > self._limit:
                return False
            self._cost += cost
            return True

    def give(self, cost: int) -> None:
        """Takes a counted message off."""
        with self._lock:
            self._cost -= cost

    @property
    def cost(self) -> int:
        """The sum."""
        return self._cost
