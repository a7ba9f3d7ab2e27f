"""``proxima bench lret-scalability``."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean, print_json, wrap
from proxima.errors import UsageError

if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima_bench_lret.cases import Row

_PLUGIN = "bench-lret"
_INTERRUPTED = 130


class ScalabilityCommand:
    """``proxima bench lret-scalability``."""

    name = "bench lret-scalability"
    summary = "Compare the low-rank simulator with Cirq's density matrices as qubits, depth and noise grow"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Runs brick circuits with depolarizing noise after each gate on the low-rank simulator and on "
            "cirq.DensityMatrixSimulator, in a process of their own, and shows time, peak memory, rank, the true trace "
            "distance between the two states and the bound that the low-rank simulator gave. "
            "Ctrl-C ends it and keeps what was measured."
        )
        parser.add_argument("--qubits", default="4-9", metavar="LIST", help="e.g. 4-8,10 (default: 4-9)")
        parser.add_argument("--depths", default="2,4", metavar="LIST", help="layers of gates (default: 2,4)")
        parser.add_argument("--noise", default="0.001,0.01", metavar="LIST", help="probabilities (default: 0.001,0.01)")
        parser.add_argument("--tolerance", type=float, default=5e-3, metavar="E", help="trace distance (default: 5e-3)")
        parser.add_argument(
            "--precision", choices=("single", "double"), default="single", help="of both (default: single)"
        )
        parser.add_argument(
            "--seconds", type=float, default=30.0, metavar="S", help="the most for one simulation (default: 30)"
        )
        parser.add_argument(
            "--repeats", type=int, default=3, metavar="N", help="for short ones, the least counts (default: 3)"
        )
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the circuits' angles (default: 1)")
        parser.add_argument("--csv", metavar="FILE", help="write the rows as CSV")
        parser.add_argument("--plot", metavar="FILE", help="write a plot: FILE.png, FILE.svg or FILE.pdf")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Measures and tells; 130 where it was interrupted, after telling what there is."""
        from proxima_bench_lret import plot, report
        from proxima_bench_lret.cases import MAX_QUBITS, Case, probabilities, whole_numbers
        from proxima_bench_lret.measuring import Measuring
        from proxima_bench_lret.worker import Settings

        cases = [
            Case(qubits, depth, noise)
            for depth in whole_numbers(args.depths, "depths", 1000)
            for noise in probabilities(args.noise)
            for qubits in whole_numbers(args.qubits, "qubits", MAX_QUBITS)
        ]
        _check(args)
        ending = plot.check_name(args.plot) if args.plot else ""
        for path in filter(None, (args.csv, args.plot)):
            kernel.permissions.use(_PLUGIN, f"file_write:{os.path.abspath(path)}", target=path)
        kernel.permissions.use(_PLUGIN, "subprocess", target="the process that measures")
        rows: list[Row] = []
        settings = Settings(args.tolerance, args.precision, args.repeats, args.seed)
        interrupted = False
        with ProgressLine() as progress:
            try:
                with Measuring(settings, args.seconds) as measuring:
                    for row in measuring.rows(cases, progress):
                        rows.append(row)  # noqa: PERF402 - those before an interruption are kept
            except KeyboardInterrupt:
                interrupted = True
        if args.csv:
            _write(args.csv, report.as_csv(rows))
        if args.plot and rows:
            _write(args.plot, plot.picture(rows, ending, tolerance=args.tolerance))
        if args.json:
            print_json(_facts(args) | {"complete": not interrupted, "rows": [report.as_dict(row) for row in rows]})
        else:
            _show(rows, [path for path in (args.csv, args.plot if rows else None) if path])
        if interrupted:
            print(f"interrupted: {len(rows)} of {len(cases)} cases were measured", file=sys.stderr)
        return _INTERRUPTED if interrupted else 0


def _check(args: argparse.Namespace) -> None:
    if not 0 < args.tolerance <= 1:
        raise UsageError(f"--tolerance {args.tolerance}: a trace distance lies above 0 and up to 1")
    if not 0 < args.seconds < math.inf:
        raise UsageError(f"--seconds {args.seconds}: a number above 0 is expected")
    if not 1 <= args.repeats <= 1000:
        raise UsageError(f"--repeats {args.repeats}: a number from 1 to 1000 is expected")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}: a number from 0 is expected")
    for path in filter(None, (args.csv, args.plot)):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise UsageError(f"{path}: there is no directory {folder}", hint="make it first")


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    names = ("cirq-core", "numpy", "proxima-lret-core")
    asked = ("qubits", "depths", "noise", "tolerance", "precision", "seconds", "repeats", "seed")
    return {
        "settings": {name: getattr(args, name) for name in asked},
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def _write(path: str, content: str | bytes) -> None:
    from proxima.storage import write_atomic

    write_atomic(path, content)


def _show(rows: Sequence[Row], written: Sequence[str]) -> None:
    from proxima_bench_lret import report

    if rows:
        print(report.as_table(rows))
    for remark in report.remarks(rows):
        print(wrap(f"note: {remark}"))
    if compared := [row for row in rows if row.speedup]:
        best = max(compared, key=lambda row: row.speedup or 0.0)
        print(f"\nlargest speed-up: {report.times(best.speedup or 0.0)} at {_where(best)}")
    if pairs := [(row.fidelity, row) for row in rows if row.fidelity is not None]:
        least, row = min(pairs, key=lambda pair: pair[0])
        print(f"least fidelity: {least:.6f} at {_where(row)}")
    for path in written:
        print(f"written: {clean(path)}")


def _where(row: Row) -> str:
    return f"{row.case.qubits} qubits, depth {row.case.depth}, noise {row.case.noise:g}"
