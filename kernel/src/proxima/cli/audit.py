"""``proxima audit``: what plugins were granted and denied, what they used, and what they were kept from."""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import asdict
from datetime import datetime

from proxima.cli.output import print_json, table
from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima.permissions import AuditRecord, Permission
from proxima.permissions.audit import OUTCOMES

EPILOG = """\
examples:
  proxima audit --outcome blocked --since 2h     what plugins were kept from in the last two hours
  proxima audit --plugin backend-ibm --permission network
  proxima audit --since 2026-11-01 --limit 1000 --json
"""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = EPILOG
    parser.add_argument("--plugin", help="of this plugin")
    parser.add_argument("--permission", help="of this permission, or of all of a kind: network, file_read, ...")
    parser.add_argument("--outcome", choices=OUTCOMES, help="that ended so")
    parser.add_argument("--since", help="since then: 30m, 2h, 7d, 2026-11-01 or 2026-11-01T08:30")
    parser.add_argument("--limit", type=int, default=100, help="at most so many, the newest (default: 100)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Prints the rows, newest first."""
    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: expected a number above 0")
    since = 0.0 if args.since is None else since_when(args.since, time.time())
    records = kernel.permissions.audit.search(
        plugin=args.plugin,
        permission=None if args.permission is None else _canonical(args.permission),
        outcome=args.outcome,
        since=since,
        limit=args.limit,
    )
    if args.json:
        print_json([asdict(record) for record in records])
    elif records:
        rows = [
            (
                _local(record.time),
                record.plugin,
                record.outcome,
                record.permission,
                record.scope or "",
                _acts(record),
            )
            for record in records
        ]
        print(table(("TIME", "PLUGIN", "OUTCOME", "PERMISSION", "SCOPE", "TARGET"), rows, whole=3))
    else:
        print("Nothing was recorded that matches.")
    return 0


def since_when(text: str, now: float) -> float:
    """Seconds since the epoch of `2h` ago, or of a date and time in ISO 8601, local where it has no zone.

    Raises:
        UsageError: It is neither.
    """
    if ago := re.fullmatch(r"([0-9]{1,6})([smhdw])", text, re.ASCII):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        hint = "write 30m, 2h, 7d, 2026-11-01 or 2026-11-01T08:30"
        raise UsageError(f"--since {text}: not a time", hint=hint) from None


def _canonical(text: str) -> str:
    """The permission as it is recorded; text that is none is looked for as it is, for what was refused is recorded."""
    if text.isidentifier():
        return text
    try:
        return str(Permission.parse(text))
    except UsageError:
        return text


def _acts(record: AuditRecord) -> str:
    """What it was for, and how many more of its kind the row stands for."""
    target = record.target or ""
    if target.removesuffix(":443") == record.permission.partition(":")[2]:
        target = ""  # the permission says it
    return target if record.count == 1 else f"{target} and {record.count - 1} more like it".lstrip()


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")[:19]
