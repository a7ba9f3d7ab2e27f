"""``proxima plugin build``."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, print_json
from proxima_sdk.build import build_project
from proxima_sdk.cli.validate import add_build_options, print_report, say

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima plugin build .                          dist/ gets a wheel and a source distribution

the same sources give the same bytes; their files' times are SOURCE_DATE_EPOCH, or the last commit's
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("path", type=Path, metavar="PATH", help="a plugin's project directory")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: PATH/dist)")
    add_build_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Builds; an error in the wheel leaves nothing behind."""
    host = None if args.no_try else kernel.isolation.host
    built = build_project(
        args.path,
        args.out,
        isolated=not args.no_isolation,
        try_it=not args.no_try,
        host=host,
        store=kernel.store,
        say=say,
    )
    hashes = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in (built.wheel, built.sdist)}
    if args.json:
        print_json(built.report.as_dict() | {"wheel": str(built.wheel), "sdist": str(built.sdist), "sha256": hashes})
        return 0
    print_report(built.report)
    for file, digest in hashes.items():
        print(f"{digest}  {clean(file)}")
    return 0
