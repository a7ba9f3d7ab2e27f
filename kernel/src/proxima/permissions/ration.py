"""Which of a plugin's acts get a row of their own in the audit log: the first of each kind, then a few a second."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxima.permissions.audit import AuditRecord

BURST = 20
PER_SECOND = 2.0
MAX_KINDS = 64
"""Per plugin and outcome; a plugin that makes up more kinds than this has the rest counted among the others."""

COUNTED_SECONDS = 5.0
"""How long a count waits for more of its kind before it is written."""

_PREFIX_PARTS, _MAX_PREFIX = 4, 120


@dataclass(slots=True)
class _Budget:
    """What one plugin may still have written down, of its uses or of what it was kept from."""

    at: float
    rows: float = BURST
    kinds: set[str] = field(default_factory=set)

    def admits(self, kind: str, now: float) -> bool:
        self.rows = min(BURST, self.rows + (now - self.at) * PER_SECOND)
        self.at = now
        if self.rows >= 1:
            self.rows -= 1
        elif kind in self.kinds or len(self.kinds) >= MAX_KINDS:
            return False
        if len(self.kinds) < MAX_KINDS:
            self.kinds.add(kind)
        return True


class Ration:
    """The budgets of all plugins, and what was left out so far. Uses and denials are apart: neither hides the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[tuple[str, str], _Budget] = {}
        self._counted: dict[tuple[str, str, str], tuple[float, AuditRecord]] = {}

    def take(self, row: AuditRecord, now: float) -> list[AuditRecord]:
        """The rows to write at ``now``, in monotonic seconds: counts that have waited enough, and this one or not."""
        with self._lock:
            waited = [key for key, (since, _) in self._counted.items() if since <= now - COUNTED_SECONDS]
            due = [self._counted.pop(key)[1] for key in waited]
            budget = self._budgets.setdefault((row.plugin, row.outcome), _Budget(now))
            if budget.admits(kind_of(row), now):
                return [*due, row]
        self.leave_out(row, now)
        return due

    def leave_out(self, row: AuditRecord, now: float) -> None:
        """Count a row among those of its plugin, outcome and permission; the last one stands for them all."""
        with self._lock:
            key = row.plugin, row.outcome, row.permission.partition(":")[0]
            since, before = self._counted.get(key, (now, None))
            self._counted[key] = since, replace(row, count=row.count + (before.count if before else 0))

    def rest(self) -> list[AuditRecord]:
        """All counts that are not written yet; they count as written from now on."""
        with self._lock:
            rows = [row for _, row in self._counted.values()]
            self._counted.clear()
            return rows


def kind_of(row: AuditRecord) -> str:
    """What makes two acts of one kind: the permission, with the host or the first directories of what it was for."""
    name, _, value = row.permission.partition(":")
    if name == "network":
        value = value.partition(":")[0]
    prefix = "/".join((value or row.target or "").split("/")[:_PREFIX_PARTS])
    return f"{name}:{prefix[:_MAX_PREFIX]}"
