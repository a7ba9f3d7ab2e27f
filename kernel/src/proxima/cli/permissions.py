"""``proxima plugin permissions``: what a plugin asks for, what it was granted, and changing that."""

from __future__ import annotations

import argparse
from typing import Any

from proxima.cli.output import clean, print_json, table, wrap
from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima.plugins.registry import PluginRecord

SUMMARY = "what a plugin may do; grant, revoke or reset a permission"

EPILOG = """\
examples:
  proxima plugin permissions backend-ibm
  proxima plugin permissions backend-ibm grant network:quantum.cloud.ibm.com
  proxima plugin permissions backend-ibm revoke network
  proxima plugin permissions backend-ibm reset           forget all that was decided, and be asked again
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="the plugin's name, as `proxima plugin list` shows it")
    parser.add_argument("change", nargs="?", choices=["grant", "revoke", "reset"], help="without one: show")
    parser.add_argument("permission", nargs="?", help="such as network:example.org, file_read:/data or secrets:TOKEN")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Makes the change, and shows what holds then."""
    from proxima.permissions import Permission
    from proxima.permissions.consent import how_to_grant

    record = kernel.registry.get(args.name)
    grants = kernel.permissions.grants
    if record.found and record.found.contested and (error := record.error()):
        raise error
    if args.change in ("grant", "revoke") and args.permission is None:
        raise UsageError(f"{args.change} what?", hint="name a permission, such as network:example.org")
    permission = None if args.permission is None else Permission.parse(args.permission)
    if args.change == "reset":
        grants.reset(record.id, permission)
    elif permission is not None and args.change == "grant":
        grants.grant(record.id, permission)
    elif permission is not None:
        grants.revoke(record.id, permission)
    shown = rows_of(kernel, record)
    if args.json:
        print_json({"plugin": record.id, "permissions": shown})
    elif shown:
        rows = [(row["permission"], row["state"], row["risk"], row["meaning"]) for row in shown]
        print(table(("PERMISSION", "STATE", "RISK", "MEANING"), rows))
        if any(row["state"] == "undecided" for row in shown):
            print(wrap(f"undecided: asked in a terminal when used, else denied; {how_to_grant(record.id)}"))
    else:
        print(f"{clean(record.id)} asks for no permissions")
    return 0


def rows_of(kernel: Kernel, record: PluginRecord) -> list[dict[str, Any]]:
    """What the manifest declares and what holds for each, then decisions about something narrower."""
    from proxima.permissions import Permission

    grants = kernel.permissions.grants
    rows: dict[str, dict[str, Any]] = {}

    def add(text: str, state: str, risk: str, meaning: str, declared: bool = True) -> None:
        rows[text] = {"permission": text, "state": state, "risk": risk, "meaning": meaning, "declared": declared}

    for text in record.manifest.permissions if record.manifest else ():
        try:
            permission = Permission.parse(text)
        except UsageError as error:
            add(text, "refused", "", str(error))
        else:
            outcome = grants.check(record.id, permission).outcome
            add(str(permission), outcome, permission.risk, permission.describe())
    for decision in grants.decisions(record.id):
        permission = decision.permission
        if str(permission) not in rows:
            known = grants.check(record.id, permission).outcome != "undeclared"
            state = decision.outcome if known else "not declared"
            add(str(permission), state, permission.risk, permission.describe(), declared=False)
    return list(rows.values())
