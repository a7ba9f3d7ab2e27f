"""``proxima my-plugin FILE``."""

from __future__ import annotations

import argparse
import json
from statistics import mean, stdev
from typing import TYPE_CHECKING

from proxima.errors import UsageError
from proxima_sdk import Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima my-plugin bell.qasm
  proxima my-plugin bell.qasm --runs 20 --shots 4096 --json
"""


class Repeat(Command):
    """Runs a circuit with one seed after the other."""

    name = "my-plugin"
    summary = "run a circuit several times, and say how much its counts vary"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the arguments."""
        parser.description, parser.epilog = self.summary, EPILOG
        parser.add_argument("file", metavar="FILE", help="a circuit file")
        parser.add_argument("--runs", type=int, default=10, metavar="N", help="how many runs, at least 2 (default: 10)")
        parser.add_argument("--shots", type=int, default=1024, metavar="N", help="of each run (default: 1024)")
        parser.add_argument("--backend", default="auto", help="a backend's name (default: auto)")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Prints the mean and the standard deviation of each bit string's share."""
        if args.runs < 2:
            raise UsageError(f"--runs: expected at least 2, got {args.runs}")
        circuit = kernel.load(args.file)
        shares = []
        for seed in range(args.runs):
            result = kernel.run(circuit, backend=args.backend, shots=args.shots, seed=seed, store=False)
            counts = result.counts or {}
            shares.append({bits: count / args.shots for bits, count in counts.items()})
        table = spread(shares)
        if args.json:
            print(json.dumps([{"bits": bits, "mean": m, "deviation": d} for bits, m, d in table]))
        else:
            print(f"{'BITS':<12} {'MEAN':>8} {'DEVIATION':>10}")
            for bits, average, deviation in table:
                print(f"{bits:<12} {average:8.4f} {deviation:10.4f}")
        return 0


def spread(shares: Sequence[Mapping[str, float]]) -> list[tuple[str, float, float]]:
    """Bit string, mean and standard deviation of its shares, the most frequent first; what is missing counts as 0."""
    every = sorted({bits for each in shares for bits in each})
    rows = []
    for bits in every:
        values = [each.get(bits, 0.0) for each in shares]
        rows.append((bits, mean(values), stdev(values)))
    return sorted(rows, key=lambda row: -row[1])
