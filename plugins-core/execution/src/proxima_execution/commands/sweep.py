"""``proxima sweep``."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean, print_json, table, wrap
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Execution, RunOptions
from proxima.contracts.result import RunResult
from proxima.contracts.result_json import result_to_dict
from proxima.errors import UsageError
from proxima_execution.commands.options import add_executor_option, add_run_options, refuse_large, run_options
from proxima_execution.grid import grid_of
from proxima_execution.sweep_file import FORMAT, seed_in, sweep_file

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_ROWS = 20


class SweepCommand:
    """``proxima sweep FILE...``."""

    name = "sweep"
    summary = "Run circuits at many parameter values, on every core or on a cluster"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Runs each circuit at each point of a grid of parameter values: in this process, or side by side on an "
            "executor, with the same results. With --output each is kept as it comes, and the same command goes on "
            "where an earlier one ended. Nothing goes into the result store."
        )
        add_run_options(parser, sweep=True)
        parser.add_argument("--backend", default="auto", metavar="NAME", help="auto (default), or one of the backends")
        add_executor_option(parser)
        parser.add_argument(
            "--retries", type=int, default=2, metavar="N", help="how often to try a point again (default 2)"
        )
        parser.add_argument(
            "--output", "-o", metavar="FILE", help="write each result, one a line; go on with what is there"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Runs what is not there yet."""
        if args.retries < 0:
            raise UsageError(f"--retries: expected a whole number from 0, got {args.retries}")
        execution = kernel.services.require(Execution)
        grid = grid_of(args.param)
        options = run_options(args, backend=args.backend, store=False)
        circuits = [execution.load(file) for file in args.file]
        if args.output or args.json:
            for circuit in circuits:
                refuse_large(circuit, options)
        if args.output:
            kernel.permissions.use("execution", f"file_write:{os.path.abspath(args.output)}", target=args.output)
        if options.seed is None:
            options = replace(options, seed=seed_in(args.output) if args.output else secrets.randbits(63))
        points = [(circuit, values) for circuit in circuits for values in grid]
        head = _head(circuits, grid, options)
        with sweep_file(args.output, head) if args.output else nullcontext() as file:
            results = {} if file is None else dict(file.results)
            before = len(results)
            if results and options.backend == "auto" and len(circuits) == 1:
                options = replace(options, backend=next(iter(results.values())).backend)
            with (
                ProgressLine() as progress,
                closing(
                    execution.sweep(
                        circuits,
                        grid,
                        options,
                        executor=args.executor,
                        skip=frozenset(results),
                        retries=args.retries,
                        progress=progress,
                    )
                ) as answers,
            ):
                for number, result in answers:
                    results[number] = result
                    if file is not None:
                        circuit, values = points[number]
                        file.add(number, {"circuit": circuit.name, "parameters": values}, result)
        ordered = [(*points[number], results[number]) for number in sorted(results)]
        if args.json:
            print_json({"points": [_to_dict(*point) for point in ordered]})
        else:
            _show(ordered, before, args)
        return 0


def _head(circuits: Sequence[Circuit], grid: Sequence[Mapping[str, float]], options: RunOptions) -> dict[str, Any]:
    """What makes a sweep the one that it is, as JSON reads it back."""
    return {
        "format": FORMAT,
        "circuits": [circuit.content_hash for circuit in circuits],
        "points": hashlib.sha256(repr([sorted(values.items()) for values in grid]).encode()).hexdigest(),
        "backend": options.backend,
        "shots": options.shots,
        "seed": options.seed,
        "precision": options.precision,
        "noise": None if options.noise is None else options.noise.to_json(),
        "wants": list(options.wants),
        "observables": [str(observable) for observable in options.observables],
        "optimize": options.optimize,
        "options": dict(options.options),
    }


def _to_dict(circuit: Circuit, values: Mapping[str, float], result: RunResult) -> dict[str, Any]:
    return {"circuit": circuit.name, "parameters": dict(values), "result": result_to_dict(result)}


def _show(
    points: Sequence[tuple[Circuit, Mapping[str, float], RunResult]], before: int, args: argparse.Namespace
) -> None:
    kept = f", {before} of them there already" if before else ""
    print(wrap(f"{len(points)} points{kept}, on {', '.join(sorted({r.backend for *_, r in points}))}"))
    rows = [
        (circuit.name or "circuit", *(f"{v:.6g}" for v in values.values()), _answer(result))
        for circuit, values, result in points[:_ROWS]
    ]
    print()
    print(table(("circuit", *points[0][1], "result"), rows))
    if len(points) > _ROWS:
        where = f"in {clean(args.output)}" if args.output else "with --json or --output FILE"
        print(f"... {len(points) - _ROWS} more: {where}")


def _answer(result: RunResult) -> str:
    """A point's result in a few words."""
    if result.expectations:
        values = (f"<{e.observable}> = {e.value:.8g}" for e in result.expectations)
        return ", ".join(values)
    if result.counts is not None:
        top = sorted(result.counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        return ", ".join(f"{bits}: {n}" for bits, n in top)
    if result.gradients:
        values = (f"{n}: {v:.6g}" for g in result.gradients for n, v in zip(g.parameters, g.values, strict=True))
        return ", ".join(values)
    return "with --json or --output FILE"
