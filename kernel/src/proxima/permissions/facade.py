"""The one door that every privileged act goes through: declared, granted or asked for, and recorded."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable

from proxima.errors import PermissionDeniedError, StorageError, UsageError
from proxima.events import Event, PermissionUsed
from proxima.paths import Paths
from proxima.permissions.audit import AuditLog
from proxima.permissions.consent import Consent, ConsentRequest, DenyAll, how_to_grant
from proxima.permissions.grammar import Permission
from proxima.permissions.grants import NO_DISTRIBUTION, Decision, Grants, Source, open_permissions
from proxima.storage import Database

MAX_DENIALS = 20
"""So many questions of one plugin answered with no in a session, and the user is not asked about it any more."""


class Permissions:
    """Permissions of all plugins, made by `Permissions.open`.

    Attributes:
        grants: What is granted and denied.
        audit: The log.
    """

    def __init__(
        self, database: Database, consent: Consent, workspace: str | None, publish: Callable[[Event], object]
    ) -> None:
        self._database = database
        self._consent = consent
        self._publish = publish
        self._asking = threading.Lock()
        self._denials: Counter[str] = Counter()
        self.audit = AuditLog(database)
        self.grants = Grants(database, self.audit, workspace=workspace)

    @classmethod
    def open(
        cls,
        paths: Paths | None,
        consent: Consent | None = None,
        *,
        workspace: str | None = None,
        publish: Callable[[Event], object] = lambda event: None,
        on_recovered: Callable[[str], None] | None = None,
    ) -> Permissions:
        """Open the permissions of this Proxima home.

        Args:
            paths: The home; without one they are forgotten when they are closed.
            consent: Who is asked about what is not decided; nobody by default, and it is denied.
            workspace: The workspace's directory, for permissions that name it as `workspace`.
            publish: Where `PermissionUsed` events go.
            on_recovered: See `open_database`.
        """
        return cls(open_permissions(paths, on_recovered=on_recovered), consent or DenyAll(), workspace, publish)

    def close(self) -> None:
        """Write what was only counted so far, and close the database."""
        try:
            self.audit.settle()
        except StorageError as error:
            logging.getLogger("proxima").warning("what plugins used last could not be recorded: %s", error)
        self._database.close()

    def declare(
        self,
        plugin_id: str,
        version: str,
        permissions: Iterable[str],
        *,
        source: Source = NO_DISTRIBUTION,
        first_party: bool = False,
    ) -> list[UsageError]:
        """Say what a plugin's manifest declares; see `Grants.declare`.

        Returns:
            What is wrong with those that are not in the grammar or never granted. They count as not declared, and
            the rest holds: one manifest must not stop the others.
        """
        declared: list[Permission] = []
        refused: list[UsageError] = []
        for text in permissions:
            try:
                declared.append(Permission.parse(text))
            except UsageError as error:
                refused.append(error)
        self.grants.declare(plugin_id, version, declared, source=source, first_party=first_party)
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
            permission: What it does, as narrow as is known: `network:example.org`, `file_read:/data/x.csv`. One that is
                parsed already is not parsed again, which for a path would follow links again.
            target: What it acts on, for the record.
            run_id: The run it belongs to, if any.
            reason: Why, for the user who is asked.

        Raises:
            PermissionDeniedError: it may not; the message names the permission and the hint how to grant it.
            StorageError: it could not be recorded, so it may not.
        """
        scope, denial, asked = None, None, None
        version = self.grants.version(plugin_id)
        on = f" on {target}" if target and target != str(permission).partition(":")[2] else ""
        try:
            asked = Permission.parse(permission) if isinstance(permission, str) else permission
        except UsageError as error:
            denial = PermissionDeniedError(error.message, hint=error.hint, plugin=plugin_id)
        else:
            decision = self._decision(ConsentRequest(plugin_id, version, asked, target, reason, run_id))
            scope = decision.scope
            if decision.outcome == "undeclared":
                message = f"{plugin_id} may not use {asked}{on}: its manifest does not declare it"
                hint = "Only the plugin's author can add it, by declaring it in plugin.yaml."
                denial = PermissionDeniedError(message, hint=hint, plugin=plugin_id)
            elif not decision.granted:
                message = f"{plugin_id} was denied {asked}{on}: {asked.describe()}"
                denial = PermissionDeniedError(message, hint=how_to_grant(plugin_id, asked), plugin=plugin_id)
        self._record(plugin_id, str(asked or permission), "blocked" if denial else "used", target, scope, run_id)
        if denial:
            raise denial

    def block(self, plugin_id: str, permission: Permission, *, target: str, run_id: str | None = None) -> None:
        """Record that a plugin was kept from something although it has the permission that it named."""
        self._record(plugin_id, str(permission), "blocked", target, None, run_id)

    def _record(
        self, plugin: str, permission: str, outcome: str, target: str | None, scope: str | None, run_id: str | None
    ) -> None:
        version = self.grants.version(plugin)
        self.audit.record(plugin, permission, outcome, version=version, target=target, scope=scope, run_id=run_id)
        self._publish(
            PermissionUsed(plugin=plugin, permission=permission, target=target, outcome=outcome, run_id=run_id)
        )

    def _decision(self, request: ConsentRequest) -> Decision:
        plugin, asked = request.plugin, request.permission
        decision = self.grants.check(plugin, asked)
        if decision.outcome != "undecided":
            return decision
        with self._asking:
            # While this thread waited its turn, the same question may have been answered.
            decision = self.grants.check(plugin, asked)
            if decision.outcome != "undecided":
                return decision
            if self._denials[plugin] >= MAX_DENIALS:
                return Decision("denied", asked, "session")
            answer = self._consent.ask(request)
            if answer == "once":
                # Not put among the grants, where another thread's use could take it up.
                self.audit.record(plugin, str(asked), "granted", version=request.version, scope="once")
                return Decision("granted", asked, "once")
            if answer == "deny":
                # Remembered for the session, so that a plugin cannot wear the user down by asking again.
                self._denials[plugin] += 1
                self.grants.deny(plugin, asked, scope="session")
            else:
                self.grants.grant(plugin, asked, scope=answer)
            return self.grants.check(plugin, asked)
