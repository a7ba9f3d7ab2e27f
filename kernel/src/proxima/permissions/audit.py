"""The audit log: one row for every grant, denial, revocation and use, never changed and never removed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from proxima.storage import Database

# The insert trigger stops INSERT OR REPLACE, which deletes a row without firing the delete trigger. All three hold
# against mistakes in code; who owns the file can replace it.
SCHEMA = """
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    permission TEXT NOT NULL,
    target TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied', 'revoked', 'used', 'blocked')),
    scope TEXT CHECK (scope IN ('once', 'session', 'always')),
    process_id INTEGER NOT NULL,
    run_id TEXT
);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_values BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_ids BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""

_COLUMNS = "time, plugin, version, permission, target, outcome, scope, process_id, run_id"
MAX_TARGET = 4096
OUTCOMES = ("granted", "denied", "revoked", "used", "blocked")


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One row of the log.

    Attributes:
        time: Seconds since the epoch.
        version: The plugin's version then, or empty.
        target: What it was used on; from a plugin, so neutralise terminal escapes where it is shown.
        outcome: The decisions `granted`, `denied`, `revoked` (a decision taken back); the uses `used` and `blocked`.
        scope: `once`, `session` or `always`, where one applies.
    """

    time: float
    plugin: str
    version: str
    permission: str
    target: str | None
    outcome: str
    scope: str | None
    process_id: int
    run_id: str | None


class AuditLog:
    """The append-only log in the permissions database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        plugin: str,
        permission: str,
        outcome: str,
        *,
        version: str = "",
        target: str | None = None,
        scope: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Append one row.

        Raises:
            StorageError: the row could not be written.
        """
        target = target and _storable(target)
        row = (time.time(), plugin, version, _storable(permission), target, outcome, scope, os.getpid(), run_id)
        with self._database.transaction() as database:
            database.execute(f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def search(
        self,
        *,
        plugin: str | None = None,
        permission: str | None = None,
        outcome: str | None = None,
        since: float = 0.0,
        limit: int = 100,
    ) -> list[AuditRecord]:
        """The latest rows that match, newest first.

        Args:
            plugin: Its id.
            permission: In canonical form; `network` also matches `network:example.org`, which matches its ports.
            outcome: One of `OUTCOMES`.
            since: Seconds since the epoch.
            limit: The most rows.
        """
        query = f"""
            SELECT {_COLUMNS} FROM audit
            WHERE (:plugin IS NULL OR plugin = :plugin) AND (:outcome IS NULL OR outcome = :outcome) AND time >= :since
            AND (:permission IS NULL OR permission = :permission
                OR substr(permission, 1, length(:permission) + 1) = :permission || ':')
            ORDER BY id DESC LIMIT :limit"""
        values = {"plugin": plugin, "permission": permission, "outcome": outcome, "since": since, "limit": limit}
        with self._database.transaction(write=False) as database:
            return [AuditRecord(*row) for row in database.execute(query, values)]


def _storable(text: str) -> str:
    # A lone surrogate, as in a file name that is not UTF-8, cannot be stored as it is.
    return text[:MAX_TARGET].encode(errors="backslashreplace").decode()
