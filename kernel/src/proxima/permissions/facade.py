"""The one door that every privileged act goes through: declared, granted or asked for, and recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from proxima.errors import PermissionDeniedError, UsageError
from proxima.events import Event, PermissionUsed
from proxima.paths import Paths
from proxima.permissions.audit import AuditLog
from proxima.permissions.consent import Consent, ConsentRequest, DenyAll, how_to_grant
from proxima.permissions.grammar import Permission
from proxima.permissions.grants import Decision, Grants, open_permissions
from proxima.storage import Database


class Permissions:
    """Permissions of all plugins.

    Args:
        database: From `open_permissions`; `close` closes it.
        consent: Who is asked about what is not decided.
        workspace: The workspace's directory, for permissions that name it as `workspace`.
        publish: Where `PermissionUsed` events go.

    Attributes:
        grants: What is granted and denied.
        audit: The log.
    """

    def __init__(
        self,
        database: Database,
        consent: Consent | None = None,
        *,
        workspace: str | None = None,
        publish: Callable[[Event], object] | None = None,
    ) -> None:
        self._database = database
        self._consent = consent if consent is not None else DenyAll()
        self._publish = publish
        self._asking = threading.Lock()
        self.audit = AuditLog(database)
        self.grants = Grants(database, self.audit, workspace=workspace)

    @classmethod
    def open(
        cls,
        paths: Paths,
        consent: Consent | None = None,
        *,
        workspace: str | None = None,
        publish: Callable[[Event], object] | None = None,
        on_recovered: Callable[[str], None] | None = None,
    ) -> Permissions:
        """Open the permissions of this Proxima home."""
        return cls(open_permissions(paths, on_recovered=on_recovered), consent, workspace=workspace, publish=publish)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def declare(
        self, plugin_id: str, version: str, permissions: Iterable[str | Permission], *, first_party: bool = False
    ) -> list[UsageError]:
        """Say what a plugin's manifest declares; see `Grants.declare`.

        Returns:
            What is wrong with those that are not in the grammar or never granted. They count as not declared, and
            the rest holds: one manifest must not stop the others.
        """
        declared: list[Permission] = []
        refused: list[UsageError] = []
        for each in permissions:
            try:
                declared.append(_parsed(each))
            except UsageError as error:
                refused.append(error)
        self.grants.declare(plugin_id, version, declared, first_party=first_party)
        return refused

    def use(
        self,
        plugin_id: str,
        permission: str | Permission,
        *,
        target: str | None = None,
        run_id: str | None = None,
        reason: str = "",
    ) -> None:
        """Go on only if the plugin may; ask the user where that is not decided, and record the outcome.

        Args:
            plugin_id: Who acts.
            permission: What it does, as narrow as is known: `network:example.org`, `file_read:/data/x.csv`.
            target: What it acts on, for the record.
            run_id: The run it belongs to, if any.
            reason: Why, for the user who is asked.

        Raises:
            PermissionDeniedError: it may not; the message names the permission and the hint how to grant it.
            StorageError: it could not be recorded, so it may not.
        """
        try:
            asked = _parsed(permission)
        except UsageError as error:
            self._record(plugin_id, str(permission), "blocked", target, None, run_id)
            raise PermissionDeniedError(error.message, hint=error.hint, plugin=plugin_id) from error
        decision = self.grants.check(plugin_id, asked, spend=True)
        if decision.outcome == "undecided":
            with self._asking:
                decision = self._ask(plugin_id, asked, target, run_id, reason)
        self._record(plugin_id, str(asked), "used" if decision.granted else "blocked", target, decision.scope, run_id)
        if not decision.granted:
            raise _denial(plugin_id, asked, decision, target)

    def _ask(self, plugin_id: str, asked: Permission, target: str | None, run_id: str | None, reason: str) -> Decision:
        # While this thread waited its turn, the same question may have been answered.
        decision = self.grants.check(plugin_id, asked, spend=True)
        if decision.outcome != "undecided":
            return decision
        answer = self._consent.ask(
            ConsentRequest(plugin_id, self.grants.version(plugin_id), asked, target, reason, run_id)
        )
        if answer == "deny":
            # Remembered for the session, so that a plugin cannot wear the user down by asking again.
            self.grants.deny(plugin_id, asked, scope="session")
        elif answer == "once":
            # Not put among the grants, where another thread's use could take it up.
            version = self.grants.version(plugin_id)
            self.audit.record(plugin_id, str(asked), "granted", version=version, scope="once")
            return Decision("granted", asked, "once", "user", time.time(), version)
        else:
            self.grants.grant(plugin_id, asked, scope=answer)
        return self.grants.check(plugin_id, asked, spend=True)

    def _record(
        self,
        plugin_id: str,
        permission: str,
        outcome: str,
        target: str | None,
        scope: str | None,
        run_id: str | None,
    ) -> None:
        self.audit.record(
            plugin_id,
            permission,
            outcome,
            version=self.grants.version(plugin_id),
            target=target,
            scope=scope,
            run_id=run_id,
        )
        if self._publish is not None:
            self._publish(
                PermissionUsed(plugin=plugin_id, permission=permission, target=target, outcome=outcome, run_id=run_id)
            )


def _parsed(permission: str | Permission) -> Permission:
    return permission if isinstance(permission, Permission) else Permission.parse(permission)


def _denial(plugin_id: str, asked: Permission, decision: Decision, target: str | None) -> PermissionDeniedError:
    on = f" on {target}" if target else ""
    if decision.outcome == "undeclared":
        return PermissionDeniedError(
            f"{plugin_id} may not use {asked}{on}: its manifest does not declare it",
            hint="Only the plugin's author can add it, by declaring it in plugin.yaml.",
            plugin=plugin_id,
        )
    return PermissionDeniedError(
        f"{plugin_id} was denied {asked}{on}: {asked.describe()}",
        hint=how_to_grant(plugin_id, asked) + ".",
        plugin=plugin_id,
    )
