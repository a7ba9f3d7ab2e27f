"""``proxima run``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import numpy as np

from proxima.cli.output import (
    ProgressLine,
    clean,
    format_bytes,
    format_seconds,
    histogram,
    print_json,
    table,
    wrap,
)
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Execution
from proxima.contracts.records import ResultStore
from proxima.contracts.result import RunResult
from proxima.contracts.result_json import result_to_dict
from proxima_execution.commands.options import add_executor_option, add_run_options, refuse_large, run_options

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_ROWS = 16


class RunCommand:
    """``proxima run FILE``."""

    name = "run"
    summary = "Run a circuit on the backend that suits it"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = "Runs a circuit file on the backend that suits it, shows the result and stores it."
        add_run_options(parser)
        parser.add_argument("--backend", default="auto", metavar="NAME", help="auto (default), or one of the backends")
        add_executor_option(parser)
        parser.add_argument(
            "--parts", type=int, metavar="N", help="take the shots in N parts, side by side where an executor can"
        )
        parser.add_argument("--no-store", action="store_true", help="do not keep the result")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Runs it; 1 where the result was to be stored and could not be."""
        execution = kernel.services.require(Execution)
        options = run_options(args, backend=args.backend, store=not args.no_store, parts=args.parts)
        circuit = execution.load(args.file)
        if args.json:
            refuse_large(circuit, options)
        with ProgressLine() as progress:
            result = execution.run(circuit, options, progress=progress, executor=args.executor)
        if args.json:
            print_json(result_to_dict(result))
        else:
            _show(circuit, result)
        if options.store and not result.id and kernel.services.get(ResultStore) is not None:
            print(f"error: {clean(result.notes[-1])}", file=sys.stderr)
            return 1
        return 0


def _show(circuit: Circuit, result: RunResult) -> None:
    name = circuit.name or "circuit"
    shots = f", {result.shots} shots" if result.shots else ""
    print(wrap(f"{name}: {circuit.num_qubits} qubits, {len(circuit)} operations, depth {circuit.depth}"))
    worker = f", in a worker at tier {result.tier}" if result.tier else ""
    print(wrap(f"{result.backend} ({result.method}, {result.precision} precision{shots}, seed {result.seed}){worker}"))
    if result.selection is not None and result.selection.reason:
        print(wrap(f"chosen: {result.selection.reason}"))
    for note in result.notes:
        print(wrap(f"note: {note}"))
    if result.counts is not None:
        print()
        print(histogram(result.counts, rows=_ROWS))
    _show_states(result, circuit.num_qubits)
    for e in result.expectations:
        error = f" +- {e.standard_error:.2g}" if e.standard_error else ""
        print(f"\n<{clean(e.observable)}> = {e.value:.10g}{error}")
    for g in result.gradients:
        errors = [""] * len(g.parameters) if g.standard_errors is None else [f"{s:.2g}" for s in g.standard_errors]
        rows = [(name, f"{v:.10g}", s) for name, v, s in zip(g.parameters, g.values, errors, strict=True)]
        print(f"\ngradient of <{clean(g.observable)}> ({clean(g.method.replace('_', ' '))})")
        print(table(("parameter", "derivative", "standard error" if any(errors) else ""), rows))
    print()
    print(wrap(_footer(result)))
    if result.id:
        print(f"stored as {clean(result.id)}")


def _footer(result: RunResult) -> str:
    stages = ("select", "import", "translate", "compile", "execute", "sample", "convert")
    parts = [f"{s} {format_seconds(t)}" for s in stages if (t := result.timings.get(s, 0.0)) >= 1e-5]
    total = format_seconds(result.timings.get("total", 0.0))
    memory = f", peak memory {format_bytes(result.peak_rss_bytes)}" if result.peak_rss_bytes else ""
    bound = "" if result.error_bound.kind == "exact" else f", {_bound(result)}"
    return f"{total} ({', '.join(parts)}){memory}{bound}"


def _bound(result: RunResult) -> str:
    words = {
        "sampling": "standard error of a frequency at most",
        "trace_distance": "trace distance to the exact state at most",
        "truncated_weight": "truncated weight",
    }
    return f"{words[result.error_bound.kind]} {result.error_bound.value:.2g}"


def _show_states(result: RunResult, n: int) -> None:
    rows: list[tuple[object, ...]]
    if result.statevector is not None:
        order, more = _largest(np.abs(result.statevector) ** 2)
        psi = result.statevector
        rows = [(format(i, f"0{n}b"), _number(psi[i]), f"{abs(psi[i]) ** 2:.6f}") for i in order]
        print(f"\nstatevector, the largest of its {result.statevector.size} amplitudes{more}")
        print(table(("basis state", "amplitude", "probability"), rows))
    if result.probabilities is not None:
        order, more = _largest(result.probabilities)
        rows = [(format(i, f"0{n}b"), f"{result.probabilities[i]:.6f}") for i in order]
        print(f"\nprobabilities, the largest of {result.probabilities.size}{more}")
        print(table(("basis state", "probability"), rows))
    if result.density_matrix is not None:
        rho = result.density_matrix
        order, more = _largest(np.abs(rho).ravel())
        pairs = [divmod(i, rho.shape[1]) for i in order]
        rows = [(format(r, f"0{n}b"), format(c, f"0{n}b"), _number(rho[r, c])) for r, c in pairs]
        purity = float(np.vdot(rho, rho).real)
        print(f"\ndensity matrix {rho.shape[0]} x {rho.shape[1]}, purity {purity:.6f}, its largest elements{more}")
        print(table(("row", "column", "element"), rows))
    if result.samples is not None:
        print(f"\nsamples: {result.samples.shape[0]} shots of {result.samples.shape[1]} bits, in the order drawn")
        print("\n".join("".join(map(str, row)) for row in result.samples[:_ROWS, ::-1].tolist()))
        if len(result.samples) > _ROWS:
            print(f"... {len(result.samples) - _ROWS} more")


def _largest(weights: np.ndarray) -> tuple[list[int], str]:
    """Indices of the largest weights that are not zero, largest first, equal ones in order of index."""
    count = min(_ROWS, weights.size)
    top = np.argpartition(weights, weights.size - count)[weights.size - count :]
    kept = [i for i in top.tolist() if weights[i] > 1e-12]
    kept.sort(key=lambda i: (-round(float(weights[i]), 9), i))
    rest = int((weights > 1e-12).sum()) - len(kept)
    return kept, f" ({rest} more are not zero)" if rest > 0 else ""


def _number(value: complex) -> str:
    real, imaginary = float(value.real), float(value.imag)
    return f"{real + 0.0:+.6f} {'-' if imaginary < 0 else '+'} {abs(imaginary):.6f}i"
