"""``proxima plugin update``: newer versions, from where a plugin came; the old one stays where anything fails."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from proxima.cli import updates
from proxima.cli.output import ProgressLine, clean, print_json, table
from proxima.cli.proposing import Asking, add_options, as_dict, changed, in_words
from proxima.errors import ProximaError, UsageError
from proxima.kernel import Kernel
from proxima.store.job import Job

SUMMARY = "put newer versions in place, or see which there are"
EPILOG = """\
examples:
  proxima plugin update --check            which plugins have newer versions
  proxima plugin update backend-ising --check    ... and what has changed in one
  proxima plugin update backend-ising      update one; what is new in its permissions is asked
  proxima plugin update --all --yes

Settings: store.update_check = "never", "daily" or "weekly"; store.update = "ask", or "auto" for what asks nothing new.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = EPILOG
    parser.add_argument("name", nargs="?", help="one plugin of the store")
    parser.add_argument("--all", action="store_true", help="every plugin of the store")
    parser.add_argument("--check", action="store_true", help="only say what there is")
    parser.add_argument("--version", help="to this version of it")
    parser.add_argument("--in-background", action="store_true", help=argparse.SUPPRESS)
    add_options(parser)


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Updates, or looks; 1 where some plugin could not be."""
    if (args.name and args.all) or not (args.name or args.all or args.check):
        raise UsageError("update what?", hint="name a plugin, or give --all or --check")
    if args.version and (args.name is None or args.check):
        raise UsageError("--version needs the name of one plugin, and no --check")
    if args.in_background:
        return updates.in_background(kernel)
    names = [args.name] if args.name else kernel.store.plugins()
    return _check(names, args, kernel) if args.check else _update(names, args, kernel)


def _check(names: list[str], args: argparse.Namespace, kernel: Kernel) -> int:
    changes = {}
    with ProgressLine() as progress:
        found, failed = updates.look(kernel, names, progress)
        if args.name and failed:
            raise failed[args.name]
        if args.name and found:
            changes = {"changelog": kernel.store.changes(args.name, job=Job(progress=progress))}
    if not args.name:
        updates.remember(kernel, found)
    if args.json:
        rows = [{"plugin": name, "newest": version, "installed": now} for name, (now, version) in found.items()]
        print_json([row | changes for row in rows])
    elif found:
        print(table(("PLUGIN", "INSTALLED", "NEWEST"), [(name, *versions) for name, versions in found.items()]))
        if not args.name:
            print("What has changed in one of them: proxima plugin update NAME --check")
        for line in changed(changes.get("changelog", "")) or (["Its author tells of no changes."] if args.name else []):
            print(line)
    elif names and not failed:
        print(f"{args.name} is the newest." if args.name else "Every plugin of the store is the newest.")
    elif not names:
        print("The store has no plugins.")
    return _report(failed)


def _update(names: list[str], args: argparse.Namespace, kernel: Kernel) -> int:
    done: list[dict[str, Any]] = []
    failed: dict[str, ProximaError] = {}
    for name in names:
        try:
            with ProgressLine() as progress:
                consent = Asking(args.yes, progress)
                outcome = kernel.store.update(name, version=args.version, consent=consent, job=Job(progress=progress))
        except ProximaError as error:
            if args.name:
                raise
            failed[name] = error
            continue
        done.append(as_dict(outcome))
        if not args.json:
            print(in_words(outcome) if outcome.changed else f"{outcome.plugin} {outcome.version} is the newest")
    updates.forget(kernel, [each["plugin"] for each in done])
    if args.json:
        print_json(done[0] if args.name else done)
    elif not names:
        print("The store has no plugins.")
    return _report(failed)


def _report(failed: dict[str, ProximaError]) -> int:
    for name, error in failed.items():
        print(f"proxima: {clean(name)} stays as it is: {clean(error)}", file=sys.stderr)
    return 1 if failed else 0
