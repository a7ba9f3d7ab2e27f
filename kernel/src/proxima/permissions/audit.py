"""The audit log: every grant, denial and revocation, and what plugins used and were kept from, in bounded space.

Of uses and of what was blocked, the first of each kind has a row of its own, and of the rest as many as `Ration` lets
through; what it leaves out is counted, in one row for many. Once there are `MAX_ROWS` such rows, each plugin keeps its
newest. The user's own decisions are never counted together and never removed.
"""

from __future__ import annotations

import os
import time
from dataclasses import astuple, dataclass

from proxima.permissions.ration import Ration
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
_OLD_PASSING = "(OLD.outcome IN ('used', 'blocked') OR (OLD.outcome = 'denied' AND OLD.scope IS 'session'))"
_PASSING = _OLD_PASSING.replace("OLD.", "")
_NEWEST = 100

# What passes may be removed, but not the newest rows, and never a decision that holds for good.
COUNTS = f"""
DROP TRIGGER audit_keeps_rows;
ALTER TABLE audit ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
WHEN NOT {_OLD_PASSING} OR OLD.id > (SELECT max(id) FROM audit) - {_NEWEST}
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: decisions and its newest rows stay'); END;
"""

MAX_TEXT = 256
"""Characters of a permission or a target that are kept: the beginning and the end of what is longer."""

MAX_ROWS = 20_000
"""Of uses and denials, in the whole log: 12 MB of long ones. Looked at every `_CHECKED_EVERY` rows."""

_CHECKED_EVERY = 256
REMOVED = "*"
"""The permission of a row that stands for those of a plugin that were removed."""

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
        count: How many times; above 1, the row is the last of so many that have no row of their own.
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
    count: int = 1


class AuditLog:
    """The log in the permissions database; several processes may append to it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ration = Ration()

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
        """Append one row, or count it where the plugin's uses or denials come too fast.

        Raises:
            StorageError: the row could not be written.
        """
        target = target and _storable(target)
        row = AuditRecord(
            time.time(), plugin, version, _storable(permission), target, outcome, scope, os.getpid(), run_id
        )
        self._write(self._ration.take(row, time.monotonic()) if outcome in ("used", "blocked") else [row])

    def settle(self) -> None:
        """Write what was only counted so far.

        Raises:
            StorageError: it could not be written; it stays counted.
        """
        self._write(self._ration.rest())

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
        self.settle()
        query = f"""
            SELECT {_COLUMNS}, count FROM audit
            WHERE (:plugin IS NULL OR plugin = :plugin) AND (:outcome IS NULL OR outcome = :outcome) AND time >= :since
            AND (:permission IS NULL OR permission = :permission
                OR substr(permission, 1, length(:permission) + 1) = :permission || ':')
            ORDER BY id DESC LIMIT :limit"""
        permission = permission and _storable(permission)
        values = {"plugin": plugin, "permission": permission, "outcome": outcome, "since": since, "limit": limit}
        with self._database.transaction(write=False) as database:
            return [AuditRecord(*row) for row in database.execute(query, values)]

    def _write(self, rows: list[AuditRecord]) -> None:
        if not rows:
            return
        try:
            with self._database.transaction() as database:
                for row in rows:
                    number = _insert(database, row)
                    if number % _CHECKED_EVERY == 0:
                        _rotate(database)
        except BaseException:
            for row in rows:
                if row.count > 1:
                    self._ration.leave_out(row, time.monotonic())
            raise


def _insert(database: Database, row: AuditRecord) -> int:
    cursor = database.execute(f"INSERT INTO audit ({_COLUMNS}, count) VALUES (?{', ?' * 9})", astuple(row))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _rotate(database: Database) -> None:
    """Where there are too many rows of uses and denials, leave each plugin the newest of its equal share."""
    held: dict[str, int] = dict(
        database.execute(f"SELECT plugin, count(*) FROM audit WHERE {_PASSING} GROUP BY plugin").fetchall()
    )
    if sum(held.values()) <= MAX_ROWS:
        return
    share = max(MAX_ROWS * 9 // 10 // len(held), 2 * _NEWEST)
    for plugin in [each for each, rows in held.items() if rows > share]:
        its = f"FROM audit WHERE plugin = :plugin AND {_PASSING}"
        oldest = f"{its} AND id <= (SELECT id {its} ORDER BY id DESC LIMIT 1 OFFSET :share)"
        values = {"plugin": plugin, "share": share}
        removed = database.execute(f"SELECT outcome, sum(count) {oldest} GROUP BY outcome", values).fetchall()
        database.execute(f"DELETE {oldest}", values)
        for outcome, acts in removed:
            scope, said = "session" if outcome == "denied" else None, "the oldest, removed"
            row = AuditRecord(time.time(), plugin, "", REMOVED, said, outcome, scope, os.getpid(), None, acts)
            _insert(database, row)


def _storable(text: str) -> str:
    # A lone surrogate, as in a file name that is not UTF-8, cannot be stored as it is.
    stored = text[: 2 * MAX_TEXT].encode(errors="backslashreplace").decode()
    if len(text) <= 2 * MAX_TEXT and len(stored) <= MAX_TEXT:
        return stored
    end = text[-MAX_TEXT // 4 :].encode(errors="backslashreplace").decode()[-MAX_TEXT // 4 :]
    return f"{stored[: MAX_TEXT - 3 - len(end)]}...{end}"
