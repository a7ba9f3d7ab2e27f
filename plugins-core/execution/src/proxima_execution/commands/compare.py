"""``proxima compare``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean, format_seconds, print_json, table, wrap
from proxima.contracts.execution import ComparedRun, Comparison, Execution
from proxima.contracts.result_json import result_to_dict
from proxima_execution.commands.options import add_run_options, names_of, run_options

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_TOP = 4


class CompareCommand:
    """``proxima compare FILE``."""

    name = "compare"
    summary = "Run a circuit on several backends and compare what they say"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Runs a circuit on several backends: counts, where the time went, how far each one's counts are from all "
            "together, and whether that is more than sampling explains. Exits with 1 where they disagree."
        )
        add_run_options(parser)
        parser.add_argument("--backends", metavar="A,B,...", help="which ones (default: every one that can)")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Runs them; 1 where they disagree or fewer than two ran."""
        execution = kernel.services.require(Execution)
        options = run_options(args, store=False)
        names = names_of(args.backends)
        circuit = execution.load(args.file)
        with ProgressLine() as progress:
            comparison = execution.compare(circuit, names, options, progress=progress)
        if args.json:
            print_json(comparison_to_dict(comparison))
        else:
            _show(circuit.name or "circuit", comparison)
        return 0 if comparison.verdict == "agree" else 1


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON-ready data; ``runs`` has one entry for each backend."""
    return {
        "verdict": comparison.verdict,
        "reason": comparison.reason,
        "runs": [
            {
                "backend": run.backend,
                "error": run.error,
                "distance": run.distance,
                "threshold": run.threshold,
                "result": None if run.result is None else result_to_dict(run.result),
            }
            for run in comparison.runs
        ],
    }


def _show(name: str, comparison: Comparison) -> None:
    print(f"{clean(name)} on {len(comparison.runs)} backends\n")
    rows: list[tuple[object, ...]] = []
    for run in comparison.runs:
        if run.result is not None:
            t = run.result.timings
            prepare = t.get("translate", 0.0) + t.get("compile", 0.0)
            work = t.get("execute", 0.0) + t.get("sample", 0.0) + t.get("convert", 0.0)
            rows.append(
                (
                    run.backend,
                    run.result.method,
                    format_seconds(t.get("import", 0.0)),
                    format_seconds(prepare),
                    format_seconds(work),
                    "" if run.distance is None else f"{run.distance:.4f}",
                    "" if run.threshold is None else f"{run.threshold:.4f}",
                )
            )
    headers = ("backend", "method", "import", "prepare", "run", "distance", "allowed")
    print(table(headers, rows))
    _show_counts(comparison.runs)
    for run in comparison.runs:
        if run.result is None:
            print()
            print(wrap(f"{run.backend} did not run it: {run.error}"))
    print()
    print(wrap(f"verdict: {comparison.verdict}. {comparison.reason}"))


def _show_counts(runs: tuple[ComparedRun, ...]) -> None:
    """The outcomes that are most frequent over all backends, a column for each backend."""
    counted = [(run.backend, run.result.counts) for run in runs if run.result is not None and run.result.counts]
    if not counted:
        return
    totals: dict[str, int] = {}
    for _, counts in counted:
        for bits, n in counts.items():
            totals[bits] = totals.get(bits, 0) + n
    top = sorted(totals, key=lambda bits: (-totals[bits], bits))[:_TOP]
    rows: list[tuple[object, ...]] = [(bits, *(counts.get(bits, 0) for _, counts in counted)) for bits in top]
    if len(totals) > len(top):
        rest = [sum(counts.values()) - sum(counts.get(bits, 0) for bits in top) for _, counts in counted]
        rows.append((f"{len(totals) - len(top)} more", *rest))
    print()
    print(table(("outcome", *(name for name, _ in counted)), rows))
