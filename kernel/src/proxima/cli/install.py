"""``proxima plugin install``: into the store, in isolation from everything else that is installed."""

from __future__ import annotations

import argparse

from proxima.cli.output import ProgressLine, print_json
from proxima.cli.proposing import Asking, add_options, as_dict, in_words
from proxima.kernel import Kernel
from proxima.store.job import Job

NEED_TRUST = "agents, commands, LLM providers, MCP servers, screens and services"
SUMMARY = "install a plugin with its own dependencies, apart from everything else"
EPILOG = """\
examples:
  proxima plugin install proxima-backend-ising             from the package index
  proxima plugin install ./ising-1.0-py3-none-any.whl
  proxima plugin install ./ising                           a project's directory, built first
  proxima plugin install https://example.org/ising-1.0-py3-none-any.whl

It is tried in a locked worker before it is put in place. Taken back with `proxima plugin rollback` or `uninstall`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="NAME|WHEEL|PATH|URL", help="what to install")
    parser.add_argument("--version", help="this version, and no other")
    parser.add_argument(
        "--trust", action="store_true", help=f"run it inside Proxima's own process, as {NEED_TRUST} need"
    )
    add_options(parser)


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Installs it."""
    with ProgressLine() as progress:
        consent = Asking(args.yes, progress)
        outcome = kernel.store.install(
            args.source, version=args.version, trust=args.trust, consent=consent, job=Job(progress=progress)
        )
    if args.json:
        print_json(as_dict(outcome))
    else:
        print(in_words(outcome))
    return 0
