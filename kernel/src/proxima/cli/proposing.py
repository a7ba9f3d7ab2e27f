"""Shows what the store proposes, asks the user, and says how it went: shared by the commands that change plugins."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean, wrap
from proxima.dialogue import TIMEOUT_SECONDS, Dialogue, NoAnswerError
from proxima.errors import PermissionDeniedError

if TYPE_CHECKING:
    from proxima.permissions import Permission
    from proxima.store.install import Installed
    from proxima.store.proposal import Proposal

_SHOWN_PACKAGES = 12
_SHOWN_CHANGES = 40


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--yes`` and ``--json``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; grant what is asked for")
    parser.add_argument("--json", action="store_true", help="print JSON")


class Asking:
    """The user's consent to a proposal.

    Args:
        yes: The user has said yes beforehand.
        progress: A line that has to be wiped before something is asked.
        seconds: How long the user has for an answer.
    """

    def __init__(self, yes: bool, progress: ProgressLine, seconds: float = TIMEOUT_SECONDS) -> None:
        self._yes = yes
        self._progress = progress
        self._seconds = seconds

    def __call__(self, proposal: Proposal) -> Collection[Permission] | None:
        """The permissions that the user grants for good; ``None`` where nothing is to be done.

        Raises:
            PermissionDeniedError: Something has to be asked, and there is no terminal to ask on.
        """
        self._progress.wipe()
        for line in lines_of(proposal):
            print(line, file=sys.stderr)
        if self._yes or not (proposal.asked or proposal.trusted):
            return proposal.asked
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            what = "runs with all of your rights" if proposal.trusted else "asks for permissions"
            raise PermissionDeniedError(
                f"{proposal.plugin} {proposal.version} {what}, and there is no terminal to ask on",
                hint="read what it asks for above; --yes accepts it",
                plugin=proposal.plugin,
            )
        try:
            return _ask(proposal, Dialogue(sys.stdin, sys.stderr, self._seconds))
        except NoAnswerError as why:
            message = f"{proposal.plugin} {proposal.version} was not accepted: {why}"
            raise PermissionDeniedError(message, hint="--yes accepts it", plugin=proposal.plugin) from None


def _ask(proposal: Proposal, dialogue: Dialogue) -> Collection[Permission] | None:
    choices = "[y]es, [n]o" + (", or [s]ome of the permissions" if proposal.asked else "")
    while True:
        answer = dialogue.ask(f"{_verb(proposal).capitalize()} it? {choices}: ")
        if answer in ("y", "yes"):
            return proposal.asked
        if answer in ("", "n", "no"):
            return None
        if answer in ("s", "some") and proposal.asked:
            return [each for each in proposal.asked if dialogue.ask(f"  grant {each}? [y/n]: ") in ("y", "yes")]


def _verb(proposal: Proposal) -> str:
    return {"rollback": "roll back to", "grant": "grant permissions to"}.get(proposal.action, proposal.action)


def lines_of(proposal: Proposal) -> list[str]:
    """The proposal in words."""
    before = f" (now {proposal.version_before})" if proposal.version_before else ""
    lines = [wrap(f"{_verb(proposal)} {proposal.plugin} {proposal.version}{before} from {proposal.source}")]
    others = [f"{name} {version}" for name, version in proposal.packages if name != proposal.distribution]
    if others:
        more = f" and {len(others) - _SHOWN_PACKAGES} more" if len(others) > _SHOWN_PACKAGES else ""
        lines.append(wrap(f"  with {', '.join(others[:_SHOWN_PACKAGES])}{more}"))
    if proposal.trusted:
        lines.append("  it will run inside Proxima's own process, with all of your rights and outside the sandbox")
    for permission in proposal.permissions:
        word = "asks for" if permission in proposal.asked else "was denied" if permission in proposal.denied else "has"
        lines.append(wrap(f"  {word} {permission}: {permission.describe()}; risk: {permission.risk}"))
    if proposal.dropped:
        lines.append(wrap(f"  no longer asks for {', '.join(proposal.dropped)}"))
    if proposal.missing:
        missing = ", ".join(proposal.missing)
        lines.append(
            wrap(f"  needs of this system what is not found: {missing}; install it with the system's packages")
        )
    lines += [wrap(f"  note: {note}") for note in proposal.notes]
    return lines + [f"  {line}" for line in changed(proposal.changelog)]


def changed(changelog: str) -> list[str]:
    """An author's account of changes, its beginning; nothing where there is none."""
    lines = changelog.splitlines()
    more = ["  ..."] if len(lines) > _SHOWN_CHANGES else []
    return ["what has changed:", *(f"  {clean(line)}" for line in lines[:_SHOWN_CHANGES]), *more] if lines else []


def as_dict(outcome: Installed) -> dict[str, Any]:
    """The outcome, JSON-ready."""
    proposal = outcome.proposal
    return {
        "plugin": outcome.plugin,
        "version": outcome.version,
        "version_before": outcome.version_before,
        "changed": outcome.changed,
        "packages": dict(proposal.packages) if proposal else {},
        "permissions": [str(each) for each in proposal.permissions] if proposal else [],
        "missing": list(proposal.missing) if proposal else [],
        "notes": list(proposal.notes) if proposal else [],
    }


def in_words(outcome: Installed) -> str:
    """The outcome in a line."""
    what = f"{clean(outcome.plugin)} {clean(outcome.version)}"
    if not outcome.changed:
        return f"{what} is installed already"
    before = f" in place of {clean(outcome.version_before)}" if outcome.version_before else ""
    return f"{what} is installed{before}"
