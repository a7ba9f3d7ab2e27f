"""What the user granted or denied each plugin: for good in a database, for this session or one use in memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.permissions import audit
from proxima.permissions.audit import AuditLog
from proxima.permissions.grammar import Permission
from proxima.storage import Database, open_database

MIGRATIONS = (
    """
CREATE TABLE grants (
    plugin TEXT NOT NULL,
    permission TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied')),
    decided_by TEXT NOT NULL CHECK (decided_by IN ('user', 'install', 'first-party')),
    time REAL NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (plugin, permission)
) WITHOUT ROWID;
"""
    + audit.SCHEMA,
)

SCOPES = ("once", "session", "always")


def open_permissions(paths: Paths, *, on_recovered: Callable[[str], None] | None = None) -> Database:
    """Open `permissions.sqlite` in the data directory; it holds the grants and the audit log.

    Where it is damaged a new one is started: nothing is granted then until the user is asked again.
    """
    return open_database(
        os.path.join(paths.data, "permissions.sqlite"),
        MIGRATIONS,
        application="proxima-permissions",
        on_recovered=on_recovered,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds for one permission of one plugin.

    Attributes:
        outcome: `granted`; `denied` by the user; `undecided`: the user is to be asked; `undeclared`: the manifest
            does not list it, so nobody can grant it.
        permission: The decided permission that covers the one asked for.
        scope: `once`, `session` or `always`.
        decided_by: `user`, `install` or `first-party`.
        time: When, in seconds since the epoch.
        version: The plugin's version then.
    """

    outcome: str
    permission: Permission | None = None
    scope: str | None = None
    decided_by: str | None = None
    time: float | None = None
    version: str = ""

    @property
    def granted(self) -> bool:
        """Whether the use may go on."""
        return self.outcome == "granted"


@dataclass(slots=True)
class _Declared:
    version: str
    permissions: tuple[Permission, ...]
    first_party: bool


class Grants:
    """Decisions per plugin and permission.

    A denial wins over a grant, whichever is wider; a later decision takes the place of earlier ones that it
    contradicts. Other processes see what is decided for `always` at once.

    Args:
        database: From `open_permissions`.
        log: Each decision is recorded in it, in the same transaction.
        workspace: The workspace's directory, for permissions that name it as `workspace`.
    """

    def __init__(self, database: Database, log: AuditLog, *, workspace: str | None = None) -> None:
        self._database = database
        self._log = log
        self._workspace = workspace
        self._declared: dict[str, _Declared] = {}
        self._remembered: dict[str, list[Decision]] = {}
        self._lock = threading.RLock()

    def declare(
        self, plugin: str, version: str, permissions: Iterable[Permission], *, first_party: bool = False
    ) -> None:
        """Say what a plugin's manifest declares.

        Args:
            plugin: Its id.
            version: Its version.
            permissions: All it may ever be granted.
            first_party: Whether it comes with Proxima: what it declares is then granted until the user denies it.
        """
        with self._lock:
            self._declared[plugin] = _Declared(version, tuple(permissions), first_party)

    def version(self, plugin: str) -> str:
        """The declared version of a plugin, or empty."""
        declared = self._declared.get(plugin)
        return declared.version if declared else ""

    def check(self, plugin: str, permission: Permission, *, spend: bool = False) -> Decision:
        """What holds for a permission now.

        Args:
            plugin: The plugin's id.
            permission: What it wants to do.
            spend: Whether this is the use itself, which takes up a grant for one use.
        """
        with self._lock:
            declared = self._declared.get(plugin)
            if declared is None or not any(self._covers(each, permission) for each in declared.permissions):
                return Decision("undeclared")
            relevant = [
                each for each in self.decisions(plugin) if each.permission and self._covers(each.permission, permission)
            ]
            for each in relevant:
                if not each.granted:
                    return each
            for scope in reversed(SCOPES):  # a grant for one use is kept while a wider one serves
                for each in relevant:
                    if each.scope == scope:
                        if spend and scope == "once":
                            self._remembered[plugin].remove(each)
                        return each
            if declared.first_party:
                return Decision("granted", permission, "always", "first-party", None, declared.version)
            return Decision("undecided")

    def decisions(self, plugin: str) -> list[Decision]:
        """All decisions about a plugin: those in the database, then those in memory."""
        with self._database.transaction(write=False) as database:
            rows = database.execute(
                "SELECT outcome, permission, decided_by, time, version FROM grants WHERE plugin = ?", (plugin,)
            ).fetchall()
        stored = [
            Decision(outcome, Permission.stored(text), "always", decided_by, when, version)
            for outcome, text, decided_by, when, version in rows
        ]
        with self._lock:
            return stored + self._remembered.get(plugin, [])

    def pending(self, plugin: str, declared: Iterable[Permission]) -> list[Permission]:
        """Those of the declared permissions that nobody has decided, in order: what to ask about at an update."""
        decisions = self.decisions(plugin)
        return [
            permission
            for permission in declared
            if not any(
                each.permission and each.scope != "once" and self._covers(each.permission, permission)
                for each in decisions
            )
        ]

    def grant(self, plugin: str, permission: Permission, *, scope: str = "always", decided_by: str = "user") -> None:
        """Grant a permission; denials that stand against it are lifted.

        Raises:
            UsageError: the plugin's manifest does not declare it.
        """
        declared = self._declared.get(plugin)
        if declared is None or not any(self._covers(each, permission) for each in declared.permissions):
            listed = ", ".join(map(str, declared.permissions)) if declared else ""
            raise UsageError(
                f"{plugin} does not declare the permission {permission}, so it cannot be granted",
                hint=f"It declares: {listed or 'nothing'}.",
            )
        self._decide(plugin, "granted", permission, scope, decided_by, "granted")

    def deny(self, plugin: str, permission: Permission, *, scope: str = "always", decided_by: str = "user") -> None:
        """Deny a permission for `session` or `always`; grants that it covers are taken back."""
        self._decide(plugin, "denied", permission, scope, decided_by, "denied")

    def revoke(self, plugin: str, permission: Permission) -> None:
        """Take a granted permission back; the plugin is denied it, without being asked about, until `reset`."""
        self._decide(plugin, "denied", permission, "always", "user", "revoked")

    def reset(self, plugin: str, permission: Permission | None = None) -> None:
        """Forget what was decided about a permission and those it covers, or about all of them."""
        with self._lock, self._database.transaction():
            for each in self.decisions(plugin):
                if each.permission and (permission is None or self._covers(permission, each.permission)):
                    self._forget(plugin, each)
                    self._log.record(
                        plugin, str(each.permission), "reset", version=self.version(plugin), scope=each.scope
                    )

    def _decide(
        self, plugin: str, outcome: str, permission: Permission, scope: str, decided_by: str, recorded: str
    ) -> None:
        if scope not in SCOPES:
            raise ValueError(f"scope must be one of {', '.join(SCOPES)}, not {scope!r}")
        version = self.version(plugin)
        decision = Decision(outcome, permission, scope, decided_by, time.time(), version)
        with self._lock, self._database.transaction() as database:
            for each in self.decisions(plugin):
                if each.permission is None or each.outcome == outcome:
                    continue
                lifts = outcome == "granted" and self._covers(each.permission, permission)
                if lifts or self._covers(permission, each.permission):
                    self._forget(plugin, each)
            if scope == "always":
                database.execute(
                    "INSERT INTO grants (plugin, permission, outcome, decided_by, time, version) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (plugin, permission) DO UPDATE SET "
                    "outcome = excluded.outcome, decided_by = excluded.decided_by, "
                    "time = excluded.time, version = excluded.version",
                    (plugin, str(permission), outcome, decided_by, decision.time, version),
                )
            self._log.record(plugin, str(permission), recorded, version=version, scope=scope)
            if scope != "always":
                self._remembered.setdefault(plugin, []).append(decision)

    def _forget(self, plugin: str, decision: Decision) -> None:
        if decision.scope == "always":
            self._database.execute(
                "DELETE FROM grants WHERE plugin = ? AND permission = ?", (plugin, str(decision.permission))
            )
        else:
            self._remembered[plugin].remove(decision)

    def _covers(self, granted: Permission, asked: Permission) -> bool:
        return granted.covers(asked, workspace=self._workspace)
