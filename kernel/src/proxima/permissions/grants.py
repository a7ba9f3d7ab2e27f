"""What the user granted or denied each plugin: for good in a database, or for this session in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.permissions import audit
from proxima.permissions.audit import AuditLog
from proxima.permissions.grammar import Permission
from proxima.storage import Database, database_in_memory, open_database

MIGRATIONS = (
    """
CREATE TABLE grants (
    plugin TEXT NOT NULL,
    permission TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied')),
    PRIMARY KEY (plugin, permission)
) WITHOUT ROWID;
"""
    + audit.SCHEMA,
    # Grants from before they were bound to a distribution could be anybody's: they are asked for again. A denial
    # that is bound to none holds for all.
    """
ALTER TABLE grants RENAME TO grants_1;
CREATE TABLE grants (
    plugin TEXT NOT NULL,
    distribution TEXT NOT NULL,
    origin TEXT NOT NULL,
    permission TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied')),
    PRIMARY KEY (plugin, distribution, origin, permission)
) WITHOUT ROWID;
INSERT INTO grants SELECT plugin, '', '', permission, outcome FROM grants_1 WHERE outcome = 'denied';
DROP TABLE grants_1;
"""
    + audit.COUNTS,
)

_APPLICATION = "proxima-permissions"

_ITS_OWN = "(plugin = :plugin AND distribution = :distribution AND origin = :origin)"
_UNBOUND = "(plugin = :plugin AND distribution = '' AND origin = '')"


def open_permissions(paths: Paths | None, *, on_recovered: Callable[[str], None] | None = None) -> Database:
    """Open `permissions.sqlite` in the data directory; it holds the grants and the audit log.

    Without a home it is in memory, and gone when it is closed.
    Where it is damaged a new one is started: nothing is granted then until the user is asked again.
    """
    if paths is None:
        return database_in_memory(MIGRATIONS, application=_APPLICATION)
    path = os.path.join(paths.data, "permissions.sqlite")
    return open_database(path, MIGRATIONS, application=_APPLICATION, on_recovered=on_recovered)


class Decision(NamedTuple):
    """What holds for one permission of one plugin.

    Attributes:
        outcome: `granted`; `denied` by the user; `undecided`: the user is to be asked; `undeclared`: the manifest
            does not list it, so nobody can grant it.
        permission: The decided permission that covers the one asked for.
        scope: `once`, `session` or `always`.
    """

    outcome: str
    permission: Permission
    scope: str | None = None

    @property
    def granted(self) -> bool:
        """Whether the use may go on."""
        return self.outcome == "granted"


class Source(NamedTuple):
    """Where a plugin comes from; what was granted to it holds for no other that takes its id.

    Attributes:
        distribution: The distribution's normalised name; empty for what is in none, such as an MCP server.
        origin: How it was installed, as `FoundPlugin.origin`.
    """

    distribution: str = ""
    origin: str = ""


NO_DISTRIBUTION = Source()


class _Declared(NamedTuple):
    version: str = ""
    permissions: tuple[Permission, ...] = ()
    source: Source = NO_DISTRIBUTION
    first_party: bool = False


class Grants:
    """Decisions per plugin, as it comes from its `Source`, and permission.

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
        self._session: dict[str, list[Decision]] = {}
        self._lock = threading.RLock()

    def declare(
        self,
        plugin: str,
        version: str,
        permissions: Iterable[Permission],
        *,
        source: Source = NO_DISTRIBUTION,
        first_party: bool = False,
    ) -> None:
        """Say what a plugin's manifest declares: all it may ever be granted.

        A `first_party` plugin comes with Proxima: what it declares is granted until the user denies it.
        """
        with self._lock:
            if self._of(plugin).source != source:
                self._session.pop(plugin, None)
            self._declared[plugin] = _Declared(version, tuple(permissions), source, first_party)

    def version(self, plugin: str) -> str:
        """The declared version of a plugin, or empty."""
        return self._of(plugin).version

    def check(self, plugin: str, permission: Permission) -> Decision:
        """What holds for a permission now."""
        declared = self._of(plugin)
        if not self._covered(permission, declared.permissions):
            return Decision("undeclared", permission)
        decision = self.foresee(plugin, permission, declared.source)
        if decision.outcome == "undecided" and declared.first_party:
            return Decision("granted", permission, "always")
        return decision

    def foresee(self, plugin: str, permission: Permission, source: Source) -> Decision:
        """What would hold for a permission if a plugin of this id came from a source and declared it."""
        decided = [each for each in self.decisions(plugin, source) if self._covers(each.permission, permission)]
        return min(decided, key=lambda each: each.granted, default=Decision("undecided", permission))

    def denies_part(self, plugin: str, permission: Permission) -> bool:
        """Whether something that the permission covers is denied; a worker that may write files can read them too."""
        reads = [Permission("file_read", permission.value)] if permission.kind == "file_write" else []
        denied = [each.permission for each in self.decisions(plugin) if not each.granted]
        return any(self._covers(wide, each) for wide in (permission, *reads) for each in denied)

    def decisions(self, plugin: str, source: Source | None = None) -> list[Decision]:
        """All decisions about a plugin: those in the database, then those of this session.

        Args:
            plugin: Its id.
            source: Where it comes from; by default from where it was declared to.
        """
        query = f"SELECT outcome, permission FROM grants WHERE {_ITS_OWN} OR ({_UNBOUND} AND outcome = 'denied')"
        with self._lock, self._database.transaction(write=False) as database:
            rows = database.execute(query, self._key(plugin, source)).fetchall()
            stored = [Decision(outcome, Permission.stored(text), "always") for outcome, text in rows]
            here = source in (None, self._of(plugin).source)
            return stored + (self._session.get(plugin, []) if here else [])

    def sources(self, plugin: str) -> list[Source]:
        """Where the plugins of this id came from, this one or others, that something was decided about for good."""
        query = "SELECT DISTINCT distribution, origin FROM grants WHERE plugin = ?"
        with self._lock, self._database.transaction(write=False) as database:
            return [Source(*row) for row in database.execute(query, (plugin,)).fetchall()]

    def grant(self, plugin: str, permission: Permission, *, scope: str = "always") -> None:
        """Grant a permission for `session` or `always`; denials that stand against it are lifted.

        Raises:
            UsageError: the plugin's manifest does not declare it.
        """
        declared = self._of(plugin).permissions
        if not self._covered(permission, declared):
            raise UsageError(
                f"{plugin} does not declare the permission {permission}, so it cannot be granted",
                hint=f"It declares: {', '.join(map(str, declared)) or 'nothing'}.",
            )
        self._decide(plugin, Decision("granted", permission, scope), "granted")

    def deny(self, plugin: str, permission: Permission, *, scope: str = "always") -> None:
        """Deny a permission for `session` or `always`; grants that it covers are taken back."""
        self._decide(plugin, Decision("denied", permission, scope), "denied")

    def revoke(self, plugin: str, permission: Permission) -> None:
        """Take a granted permission back: the plugin is denied it, without being asked about, until it is granted."""
        self._decide(plugin, Decision("denied", permission, "always"), "revoked")

    def reset(self, plugin: str, permission: Permission | None = None) -> list[Decision]:
        """Forget what was decided about a permission and those it covers, or about all: the user is asked again.

        Returns:
            The forgotten decisions.
        """
        with self._lock, self._database.transaction():
            forgotten = [
                each
                for each in self.decisions(plugin)
                if permission is None or self._covers(permission, each.permission)
            ]
            for each in forgotten:
                self.forget(plugin, each)
        return forgotten

    def forget(self, plugin: str, decision: Decision) -> None:
        """Forget one decision, and none about what it covers."""
        with self._lock, self._database.transaction():
            self._forget(plugin, decision)
            version, permission = self.version(plugin), str(decision.permission)
            self._log.record(plugin, permission, "revoked", version=version, scope=decision.scope)

    def _decide(self, plugin: str, decision: Decision, recorded: str) -> None:
        if decision.scope not in ("session", "always"):
            raise ValueError(f"scope must be one of session, always, not {decision.scope!r}")
        permission = decision.permission
        with self._lock, self._database.transaction() as database:
            for each in self.decisions(plugin):
                lifted = decision.granted and self._covers(each.permission, permission)
                if each.outcome != decision.outcome and (lifted or self._covers(permission, each.permission)):
                    self._forget(plugin, each)
            if decision.scope == "always":
                row = self._key(plugin) | {"permission": str(permission), "outcome": decision.outcome}
                database.execute(
                    "INSERT OR REPLACE INTO grants (plugin, distribution, origin, permission, outcome) "
                    "VALUES (:plugin, :distribution, :origin, :permission, :outcome)",
                    row,
                )
            self._log.record(plugin, str(permission), recorded, version=self.version(plugin), scope=decision.scope)
            if decision.scope == "session":
                self._session.setdefault(plugin, []).append(decision)

    def _forget(self, plugin: str, decision: Decision) -> None:
        if decision.scope == "always":
            row = self._key(plugin) | {"permission": str(decision.permission)}
            self._database.execute(
                f"DELETE FROM grants WHERE ({_ITS_OWN} OR {_UNBOUND}) AND permission = :permission", row
            )
        else:
            self._session[plugin].remove(decision)

    def _of(self, plugin: str) -> _Declared:
        return self._declared.get(plugin, _Declared())

    def _key(self, plugin: str, source: Source | None = None) -> dict[str, str]:
        source = source or self._of(plugin).source
        return {"plugin": plugin, "distribution": source.distribution, "origin": source.origin}

    def _covers(self, granted: Permission, asked: Permission) -> bool:
        return granted.covers(asked, workspace=self._workspace)

    def _covered(self, asked: Permission, declared: Iterable[Permission]) -> bool:
        return any(self._covers(each, asked) for each in declared)
