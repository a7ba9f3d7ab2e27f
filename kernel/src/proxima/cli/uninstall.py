"""``proxima plugin uninstall``: removes a plugin of the store; nothing of it is imported."""

from __future__ import annotations

import argparse

from proxima.cli.output import ProgressLine, clean, print_json
from proxima.kernel import Kernel
from proxima.store.job import Job

SUMMARY = "remove a plugin, all its versions and what it was granted"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("name", help="the plugin's name, as `proxima plugin list` shows it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Removes it."""
    with ProgressLine() as progress:
        kernel.store.uninstall(args.name, job=Job(progress=progress))
    if args.json:
        print_json({"plugin": args.name, "installed": False})
    else:
        print(f"{clean(args.name)} is removed")
    return 0
