"""``proxima bench run``."""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, bar, clean, format_seconds, print_json, table, terminal_width, wrap
from proxima.contracts.execution import RunOptions
from proxima.errors import UsageError
from proxima.storage import write_atomic
from proxima_execution.benchmarking.baseline import Comparison, compare
from proxima_execution.benchmarking.html import log_share, to_html
from proxima_execution.benchmarking.measuring import Effort, measure
from proxima_execution.benchmarking.plots import check_plot, write_plot
from proxima_execution.benchmarking.report import Report, read_report
from proxima_execution.benchmarking.suites import make_suite
from proxima_execution.benchmarking.summary import by_case, fastest_of, standings
from proxima_execution.commands.backends import local_execution
from proxima_execution.commands.options import names_of
from proxima_execution.host import describe_host, fingerprint

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
suites:
  families                  ghz, qft, random, clifford, brickwork and qaoa at several sizes
  ghz, qft, ghz,qft, ...    one or several of them
  noise                     ghz and brickwork with depolarizing and amplitude damping noise
  mqt                       of MQT Bench: pip install "proxima-execution[mqt]"
  FOLDER, FILE              circuit files

examples:
  proxima bench run families --sizes 4,8,12 --output before.json
  proxima bench run families --sizes 4,8,12 --baseline before.json
  proxima bench run examples --backends qsim,qiskit-aer --html report.html
"""
_BAR = 12


class BenchRunCommand:
    """``proxima bench run SUITE``."""

    name = "bench run"
    summary = "Time backends on a suite of circuits"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Times backends on a suite of circuits: after warm-up, several runs of each case, the backends in turns; "
            "the median and the spread. Ctrl-C ends it and keeps what is measured. Exits with 1 where something is "
            "slower than in the baseline by more than noise, and with 3 where nothing could be measured."
        )
        parser.epilog = EPILOG
        parser.add_argument("suite", metavar="SUITE", help="what to run; see below")
        parser.add_argument("--backends", metavar="A,B,...", help="which ones (default: every available one)")
        parser.add_argument("--sizes", metavar="N,N,...", help="numbers of qubits, where the suite is of families")
        parser.add_argument("--repeats", type=int, default=5, metavar="N", help="counted runs of each case (default 5)")
        parser.add_argument("--warmup", type=int, default=1, metavar="N", help="uncounted runs before (default 1)")
        parser.add_argument(
            "--timeout", type=float, default=20.0, metavar="S", help="seconds for a case on a backend (default 20)"
        )
        parser.add_argument("--shots", type=int, metavar="N", help="samples to take (default 1024)")
        parser.add_argument("--precision", choices=("single", "double"), help="the least precision accepted")
        parser.add_argument("--noise", metavar="NAME:P", help="noise on every gate, as for `proxima run`")
        parser.add_argument("--threads", type=int, metavar="N", help="the most threads to use (default: every core)")
        parser.add_argument(
            "--optimize", action="store_true", help="leave out gates that cancel, and fuse neighbours into matrices"
        )
        parser.add_argument("--baseline", metavar="FILE", help="an earlier --output to hold the times against")
        parser.add_argument("--output", metavar="FILE", help="write the report as JSON, for a later --baseline")
        parser.add_argument("--html", metavar="FILE", help="write the report as a page of its own")
        parser.add_argument(
            "--plot", action="append", default=[], metavar="FILE", help="write a picture, .png or .svg; may be repeated"
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Measures; 1 where something is slower than the baseline, 3 where nothing was measured, 130 after Ctrl-C."""
        execution = local_execution(kernel)
        for path in args.plot:
            check_plot(path)
        written = [path for path in (args.output, args.html, *args.plot) if path]
        for path in written:
            _check_writable(kernel, path)
        options = RunOptions.parse(
            noise=args.noise, shots=args.shots, precision=args.precision, threads=args.threads, optimize=args.optimize
        )
        effort = Effort(args.warmup, args.repeats, args.timeout)
        effort.check()
        baseline = read_report(args.baseline) if args.baseline else None
        backends = names_of(args.backends)
        execution.check_names(backends)
        backends = list(dict.fromkeys(backends)) or [c.name for c, p in execution.probes() if p.state == "available"]
        with ProgressLine() as progress:
            progress(None, "making the circuits")
            suite = make_suite(kernel, execution, args.suite, _sizes(args.sizes))
            told = _options(options, args)
            empty = Report(suite.name, time.time(), fingerprint() | describe_host(), told, tuple(backends), ())
            if baseline is not None:
                compare(empty, baseline)  # before the time is spent
            found, interrupted = measure(execution, suite.cases, backends, options, effort, progress=progress)
        report = Report(
            suite.name, empty.created, empty.host, told, tuple(backends), tuple(found), interrupted, suite.skipped
        )
        if args.output:  # first, so that whatever goes wrong next does not lose what was measured
            write_atomic(args.output, json.dumps(report.to_dict(), indent=1) + "\n")
        comparisons = compare(report, baseline) if baseline is not None else []
        if args.html:
            write_atomic(args.html, to_html(report, comparisons))
        for path in args.plot:
            write_plot(report, path)
        if args.json:
            print_json(report.to_dict() | {"baseline": [asdict(c) for c in comparisons] if baseline else None})
        else:
            _show(report)
            if baseline is not None:
                _show_comparisons(comparisons, report, baseline)
            for path in written:
                print(wrap(f"wrote {path}"))
        return _exit_code(report, comparisons)


def _exit_code(report: Report, comparisons: list[Comparison]) -> int:
    if report.interrupted:
        return 130
    if not any(m.seconds for m in report.measurements):
        return 3
    return 1 if any(c.change in ("slower", "lost") for c in comparisons) else 0


def _check_writable(kernel: Kernel, path: str) -> None:
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory) or os.path.isdir(path):
        raise UsageError(
            f"cannot write {path}: {'it is a folder' if os.path.isdir(path) else 'there is no such folder'}"
        )
    kernel.permissions.use("execution", f"file_write:{os.path.abspath(path)}", target=path)


def _sizes(text: str | None) -> list[int]:
    try:
        return [int(part) for part in names_of(text)]
    except ValueError:
        raise UsageError(f"--sizes {text}: expected whole numbers separated by commas, e.g. 4,8,12") from None


def _options(options: RunOptions, args: argparse.Namespace) -> dict[str, Any]:
    """What two reports must have in common to be compared."""
    return {
        "shots": options.shots,
        "precision": options.precision,
        "noise": None if options.noise is None else str(options.noise),
        "threads": options.threads,
        "optimize": options.optimize,
    }


def _show(report: Report) -> None:
    slowest = max((m.median for m in report.measurements if m.seconds), default=1.0)
    quickest = fastest_of(report.measurements)
    rows: list[tuple[object, ...]] = []
    for name, group in by_case(report).items():
        best = fastest_of(group)
        for number, m in enumerate(group):
            label = name if number == 0 else ""
            if m.seconds:
                share = log_share(m.median, quickest, slowest)
                times = (
                    format_seconds(m.median),
                    format_seconds(m.spread),
                    f"{m.median / best:.2f}x",
                    bar(share, _BAR),
                )
                rows.append((label, m.backend, *times))
            else:
                rows.append((label, m.backend, m.status, "", "", ""))
    print(table(("case", "backend", "median", "spread", "to fastest", "log time"), rows, terminal_width(), whole=2))
    reasons: dict[tuple[str, str], list[str]] = {}
    for m in report.measurements:
        if m.reason:
            reasons.setdefault((m.backend, m.reason), []).append(m.case)
    for (backend, reason), cases in reasons.items():
        print(wrap(f"{backend} on {', '.join(cases)}: {reason}"))
    for name, why in report.skipped.items():
        print(wrap(f"left out: {name}: {why}"))
    print()
    standing = [
        (s.backend, f"{s.measured} of {s.cases}", s.fastest, "" if s.factor is None else f"{s.factor:.2f}x")
        for s in standings(report)
    ]
    print(table(("backend", "timed", "fastest", "geometric mean to fastest"), standing))
    if report.interrupted:
        print("\ninterrupted; this is what was measured by then")


def _show_comparisons(comparisons: list[Comparison], report: Report, baseline: Report) -> None:
    rows = [
        (
            c.case,
            c.backend,
            "" if c.ratio is None else f"{c.ratio:.3f}",
            "" if c.beyond is None else f"{c.beyond:.3f}",
            c.change,
        )
        for c in comparisons
    ]
    print()
    print(table(("case", "backend", "now / then", "noise up to", "verdict"), rows, whole=2))
    different = [key for key in fingerprint() if baseline.host.get(key) != report.host[key]]
    if different:
        told = ", ".join(f"{key} {clean(baseline.host.get(key, 'unknown'))}" for key in different)
        print(wrap(f"the baseline was made elsewhere ({told}), so ratios tell of the machines too"))
