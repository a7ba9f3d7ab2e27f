"""`Proposal`: what the user is asked before a version is put in place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from proxima.store.sources import Source
from proxima.store.system import missing_parts
from proxima.store.versions import Version

if TYPE_CHECKING:
    from proxima.permissions import Permission, Permissions
    from proxima.store.preparing import Prepared


class Proposal(NamedTuple):
    """What the user is asked before a version is put in place.

    Attributes:
        action: ``install``, ``update``, ``rollback``, or ``grant`` where only its permissions change.
        version_before: The one that runs now, or empty.
        source: What it is made from.
        permissions: All that it declares.
        asked: Those of them that nobody has decided about yet.
        denied: Those of them that the user has denied it.
        dropped: What the version before declared and this one does not.
        packages: Name and version of each wheel, its own among them.
        missing: Programs and libraries of the system that it needs and that are not here.
        changelog: What its author says has changed since the version before.
        notes: What else the user is told, what the trial could not try among it.
    """

    action: str
    plugin: str
    version: str
    version_before: str
    distribution: str
    source: Source
    trusted: bool
    permissions: tuple[Permission, ...] = ()
    asked: tuple[Permission, ...] = ()
    denied: tuple[Permission, ...] = ()
    dropped: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    changelog: str = ""
    notes: tuple[str, ...] = ()


Consent = Callable[[Proposal], "Collection[Permission] | None"]
"""Answers a proposal with the permissions that are granted for good, of those it asks for; ``None``: do nothing."""


def accept(proposal: Proposal) -> Collection[Permission]:
    """Grants all that is asked for."""
    return proposal.asked


def propose(made: Prepared, before: Version | None, notes: tuple[str, ...], permissions: Permissions) -> Proposal:
    """The proposal of a version that was made and tried.

    Args:
        made: The version.
        before: The one that runs now.
        notes: What the trial could not try.
        permissions: They tell what was decided already.
    """
    from proxima.permissions import Permission
    from proxima.permissions import Source as Origin

    found, manifest = made.found, made.manifest
    declared = tuple(Permission.parse(text) for text in manifest.permissions)
    origin = Origin(found.distribution, "store")
    outcomes = {each: permissions.grants.foresee(found.id, each, origin).outcome for each in declared}
    return Proposal(
        action="update" if before else "install",
        plugin=found.id,
        version=found.version,
        version_before=before.version if before else "",
        distribution=found.distribution,
        source=made.source,
        trusted=found.trusted,
        permissions=declared,
        asked=tuple(each for each in declared if outcomes[each] == "undecided"),
        denied=tuple(each for each in declared if outcomes[each] == "denied"),
        dropped=tuple(sorted(set(before.permissions if before else ()) - set(manifest.permissions))),
        packages=tuple((pin.name, pin.version) for pin in made.pins),
        missing=missing_parts(manifest),
        changelog=since(made.changelog, before.version if before else ""),
        notes=(*_needs(made), *notes),
    )


def _needs(made: Prepared) -> Iterator[str]:
    from proxima.sandbox.interfaces import INTERFACES

    outside = sorted({each.kind for each in made.manifest.contributions} - set(INTERFACES))
    if outside and not made.found.trusted:
        kinds = ", ".join(outside).replace("_", " ")
        yield f"needs --trust to run: it contributes {kinds}, which cannot run in a worker; install it with that"


def since(changelog: str, version: str) -> str:
    """The part of a changelog above the heading of a version."""
    lines = changelog.splitlines()
    for number, line in enumerate(lines):
        if (
            version
            and line.startswith("#")
            and version in line.split("#")[-1].replace("[", " ").replace("]", " ").split()
        ):
            return "\n".join(lines[:number]).strip()
    return changelog.strip()
