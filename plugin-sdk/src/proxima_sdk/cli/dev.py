"""``proxima plugin dev``."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, format_seconds
from proxima.errors import ProximaError, UsageError
from proxima_sdk.cli.validate import print_problems
from proxima_sdk.dev import Look, changes, look
from proxima_sdk.testing.runs import Tested

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima plugin dev .                            look again after every change, until Ctrl-C
  proxima plugin dev . --test                     and run the tests where nothing is wrong
  proxima plugin dev . --once                     look once; 0 where nothing is wrong, else 1

Each look compiles plugin.yaml and loads the plugin in a locked worker, with this environment's packages.
"""
INTERVAL = 0.3  # seconds between two looks at the files' times


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("path", type=Path, metavar="PATH", help="the directory that holds plugin.yaml")
    parser.add_argument("--test", action="store_true", help="run its tests and kits too, in-process")
    parser.add_argument("--once", action="store_true", help="look once, and exit")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Looks, and looks again; Ctrl-C ends it."""
    if not (args.path / "plugin.yaml").is_file():
        raise UsageError(f"there is no {args.path / 'plugin.yaml'}", hint="name the directory that holds plugin.yaml")
    host = kernel.isolation.host
    try:
        for changed in changes(args.path, INTERVAL):
            if changed:
                names = ", ".join(str(file.relative_to(args.path)) for file in changed[:5])
                print(clean(f"-- {time.strftime('%H:%M:%S')} {names}{' ...' if len(changed) > 5 else ''}"), flush=True)
            seen = look(args.path, host)
            _print(seen)
            ok = seen.ok and (not args.test or _tested(args.path))
            if args.once:
                return 0 if ok else 1
    except KeyboardInterrupt:
        if args.once:
            raise
    return 0


def _print(seen: Look) -> None:
    print_problems(seen.problems, seen.traceback)
    took = format_seconds(seen.seconds)
    if seen.ok:
        names = ", ".join(f"{kind.replace('_', ' ').removesuffix('s')} {name}" for kind, name in seen.contributions)
        print(clean(f"{seen.plugin}: nothing is wrong with {names or 'its manifest'} ({took})"), flush=True)
    else:
        wrong = sum(problem.level == "error" for problem in seen.problems)
        print(clean(f"{seen.plugin or 'the project'}: {wrong} errors ({took})"), flush=True)


def _tested(project: Path) -> bool:
    """Runs the tests, as far as they can be run."""
    try:
        with tempfile.TemporaryDirectory(prefix="proxima-test-") as home:
            site = Path(home, "site-packages")
            site.mkdir()
            return Tested.of(project, site).run("in-process").ok
    except ProximaError as error:
        print(clean(f"{error}" + (f" ({error.hint})" if error.hint else "")), flush=True)
        return False
