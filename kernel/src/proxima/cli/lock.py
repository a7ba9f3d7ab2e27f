"""``proxima plugin lock``: what is installed, in one file that makes another machine the same."""

from __future__ import annotations

import argparse

from proxima.cli.output import clean, print_json
from proxima.kernel import Kernel

SUMMARY = "write what is installed to one file: versions, hashes, permissions, settings"
DEFAULT = "proxima-plugins.lock"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = "example: proxima plugin lock -o cluster.lock, and there: proxima plugin sync cluster.lock"
    parser.add_argument("-o", "--output", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Writes the file."""
    from proxima.store.portable import write_lock

    found = write_lock(kernel.store, args.output)
    if args.json:
        print_json({"file": args.output, "plugins": {each.plugin: each.version for each in found}})
    else:
        print(f"wrote {clean(args.output)}: {len(found)} plugin{'' if len(found) == 1 else 's'}")
    return 0
