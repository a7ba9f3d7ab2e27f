"""``proxima plugin test``."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, format_seconds, print_json
from proxima.errors import UnavailableError, UsageError
from proxima_sdk.testing.runs import Tested, TestRun, Where

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima plugin test .                           the plugin here, in-process and then in a worker
  proxima plugin test . --sandboxed --pytest="-x -k gate"
  proxima plugin test dist/tea-1.0-py3-none-any.whl --json

Nothing is installed: the plugin is put on the path of the tests alone, and Proxima's files are in a temporary home.
Exit codes: 0 all passed, 1 a test failed, 2 no plugin there or its manifest is wrong, 3 what it needs is not here.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("path", type=Path, metavar="PATH", help="the directory that holds plugin.yaml, or a wheel")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--sandboxed", action="store_true", help="only with the plugin in a real worker")
    where.add_argument("--in-process", action="store_true", help="only with the plugin in the tests' process")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--pytest", default="", metavar="OPTIONS", help="options for pytest, as one word")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Runs the tests; 1 where one failed or none ran."""
    try:
        options = shlex.split(args.pytest)
    except ValueError as error:
        raise UsageError(f"--pytest: {error} in {args.pytest!r}", hint="quote as in a shell") from None
    with tempfile.TemporaryDirectory(prefix="proxima-test-") as home:
        # The name is what tells a worker that plugins are imported from it.
        site = Path(home, "site-packages")
        site.mkdir()
        tested = Tested.of(args.path, site)
        unsandboxed = "" if args.in_process else tested.unsandboxed()
        if args.sandboxed and unsandboxed:
            raise UnavailableError(f"{tested.manifest.id} cannot be tested in a worker: {unsandboxed}")
        places: list[Where] = [] if args.sandboxed else ["in-process"]
        if not args.in_process and not unsandboxed:
            places.append("sandboxed")
        runs = []
        for where in places:
            if not args.json:
                print(f"-- {tested.manifest.id}, {where}", flush=True)
            runs.append(tested.run(where, options, quiet=args.json))
    ok = all(each.ok for each in runs)
    if args.json:
        data = [{**asdict(each), "ok": each.ok} for each in runs]
        print_json({"plugin": tested.manifest.id, "ok": ok, "runs": data, "not_sandboxed": unsandboxed})
        return 0 if ok else 1
    for each in runs:
        print(_summary(each))
    if unsandboxed:
        print(f"{'sandboxed':<11} not run: {clean(unsandboxed)}")
    if not ok:
        print(f"proxima: {tested.manifest.id} has not passed", file=sys.stderr)
    return 0 if ok else 1


def _summary(each: TestRun) -> str:
    told = f"{each.passed} passed, {len(each.failures)} failed, {each.skipped} skipped, {format_seconds(each.seconds)}"
    return f"{each.where:<11} {each.stopped or told}"
