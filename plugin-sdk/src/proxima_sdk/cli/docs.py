"""``proxima plugin docs``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, print_json
from proxima_sdk.docs.pages import differing, pages_of, write_pages

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima plugin docs .                           docs/ gets index.md, manifest.md, api.md and examples.md
  proxima plugin docs . --check                   1 where they say something else than the project
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("path", type=Path, metavar="PATH", help="the directory that holds plugin.yaml")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the pages go (default: PATH/docs)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Writes the pages, and names what has no docstring."""
    out = args.output or args.path / "docs"
    pages = pages_of(args.path)
    changed = differing(pages, out) if args.check else write_pages(pages, out)
    if args.json:
        files = [str(out / name) for name in pages.texts]
        stale = [str(file) for file in changed]
        print_json({"pages": files, "changed": stale, "undocumented": list(pages.undocumented)})
    else:
        for name in pages.texts:
            state = "as it was" if out / name not in changed else "out of date" if args.check else "written"
            print(clean(f"{out / name}: {state}"))
        for name in pages.undocumented:
            print(clean(f"{name} has no docstring"), file=sys.stderr)
    return 1 if args.check and changed else 0
