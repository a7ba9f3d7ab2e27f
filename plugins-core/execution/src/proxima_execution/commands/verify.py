"""``proxima verify``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from proxima.cli.output import ProgressLine, print_json, table, wrap
from proxima_execution.commands.backends import local_execution
from proxima_execution.commands.options import add_run_options, names_of, run_options
from proxima_execution.verification import FALSE_ALARM, Verification, verify

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_EXIT = {"agree": 0, "disagree": 1, "incomplete": 3}


class VerifyCommand:
    """``proxima verify FILE``."""

    name = "verify"
    summary = "Run a circuit on two independent engines and test whether they agree"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Runs a circuit on two engines that share as little as possible. Their states are compared where both give "
            "them, their counts where it measures anything. Exits with 1 where they disagree and with 3 where nothing "
            "could be tested."
        )
        add_run_options(parser, want=False)
        parser.add_argument("--backends", metavar="A,B", help="these two (default: the two that share least)")
        parser.add_argument(
            "--by", choices=("auto", "state", "counts"), default="auto", help="what to compare (default: what there is)"
        )
        parser.add_argument(
            "--alpha",
            type=float,
            default=FALSE_ALARM,
            metavar="P",
            help=f"the p-value below which counts disagree (default {FALSE_ALARM:g})",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Verifies; 1 where the engines disagree, 3 where nothing could be tested."""
        execution = local_execution(kernel)
        options = run_options(args, store=False)
        circuit = execution.load(args.file)
        with ProgressLine() as progress:
            found = verify(
                execution,
                circuit,
                options,
                backends=names_of(args.backends),
                by=args.by,
                alpha=args.alpha,
                progress=progress,
            )
        if args.json:
            print_json(asdict(found))
        else:
            _show(circuit.name or "circuit", found)
        return _EXIT[found.verdict]


def _show(name: str, found: Verification) -> None:
    if found.backends:
        pairs = zip(found.backends, found.methods, strict=True)
        print(wrap(f"{name} on {' and '.join(f'{backend} ({method})' for backend, method in pairs)}"))
        print()
    if found.tests:
        rows = [
            (
                test.name,
                f"{test.statistic:.9g}",
                "" if test.distance is None else f"{test.distance:.1e}",
                "" if test.p_value is None else f"{test.p_value:.3g}",
                f"{test.allowed:.1e}",
                "yes" if test.agrees else "no",
            )
            for test in found.tests
        ]
        print(table(("test", "statistic", "trace distance", "p-value", "limit", "agrees"), rows))
        print()
    for backend, error in found.errors.items():
        print(wrap(f"{backend} did not run it: {error}"))
    print(wrap(f"verdict: {found.verdict}. {found.reason}"))
