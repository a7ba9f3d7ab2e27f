"""``proxima plugin rollback``: back to a version that is still kept."""

from __future__ import annotations

import argparse

from proxima.cli.output import ProgressLine, clean, print_json
from proxima.cli.proposing import Asking, add_options
from proxima.kernel import Kernel
from proxima.store.job import Job

SUMMARY = "go back to the version before, or to another that is kept"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("name", help="the plugin's name, as `proxima plugin list` shows it")
    parser.add_argument("version", nargs="?", help="a kept version: `proxima plugin info NAME` lists them")
    add_options(parser)


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Swaps the versions."""
    with ProgressLine() as progress:
        consent = Asking(args.yes, progress)
        version = kernel.store.rollback(args.name, args.version, consent=consent, job=Job(progress=progress))
    if args.json:
        print_json({"plugin": args.name, "version": version.version, "trusted": version.trusted})
    else:
        where = ", inside Proxima's own process and with all of your rights" if version.trusted else ""
        print(f"{clean(args.name)} {clean(version.version)} runs again{where}")
    return 0
