"""``proxima plugin validate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, print_json
from proxima.errors import UsageError
from proxima_sdk.build import built_wheel
from proxima_sdk.validate.report import Report, validate_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxima.kernel import Kernel
    from proxima.store.problems import Problem

EPILOG = """\
examples:
  proxima plugin validate .                       build the project here, and judge its wheel
  proxima plugin validate dist/tea-1.0-py3-none-any.whl --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "path", type=Path, metavar="PATH|WHEEL", help="a plugin's project directory, or its built wheel"
    )
    parser.add_argument("--strict", action="store_true", help="fail for warnings too")
    add_build_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """The options that `validate` and `build` share."""
    parser.add_argument("--no-try", action="store_true", help="do not load the plugin in a locked worker")
    parser.add_argument(
        "--no-isolation", action="store_true", help="build with the packages of this environment; downloads nothing"
    )


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Judges, prints, and returns 1 where there are errors."""
    report = _report(args, kernel)
    if args.json:
        print_json(report.as_dict())
    else:
        print_report(report)
    return 0 if report.ok and not (args.strict and report.count("warning")) else 1


def _report(args: argparse.Namespace, kernel: Kernel) -> Report:
    host = None if args.no_try else kernel.isolation.host
    if args.path.is_dir():
        with built_wheel(args.path, isolated=not args.no_isolation, say=say) as wheel:
            return validate_wheel(wheel, try_it=not args.no_try, host=host, store=kernel.store, say=say)
    if not args.path.exists():
        raise UsageError(f"{args.path}: there is no such file or directory")
    return validate_wheel(args.path, try_it=not args.no_try, host=host, store=kernel.store, say=say)


def print_report(report: Report) -> None:
    """Prints what was found, and a line of counts."""
    print_problems(report.problems, report.traceback)
    what = f"{report.name} {report.version}" if report.name else report.wheel
    print(clean(f"{what}: {report.count('error')} errors, {report.count('warning')} warnings"))


def print_problems(problems: Iterable[Problem], traceback: str) -> None:
    """Prints each finding with its hint, and the plugin's traceback where it raised."""
    for problem in problems:
        first, *more = (clean(line) for line in str(problem).splitlines())
        print(f"{problem.level:<8} {problem.code:<20} {first}")
        for line in more:
            print(f"{'':<30}{line}")
        if problem.hint and problem.level != "note":
            print(f"{'':<30}{clean(problem.hint)}")
    for line in traceback.splitlines():
        print(clean(line))


def say(line: str) -> None:
    """Tells what is being done, beside what is printed as the result."""
    print(f"-- {clean(line)}", file=sys.stderr, flush=True)
