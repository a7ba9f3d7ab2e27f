"""``proxima calibrate``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from proxima.cli.output import ProgressLine, clean, format_seconds, print_json, table
from proxima.errors import ProximaError, UnavailableError
from proxima.nearest import did_you_mean
from proxima_execution.calibrating import calibrate_backend, measure_import
from proxima_execution.calibration import BackendRates
from proxima_execution.commands.backends import local_execution
from proxima_execution.commands.options import names_of

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_TOTAL_SECONDS = 32.0


class CalibrateCommand:
    """``proxima calibrate``."""

    name = "calibrate"
    summary = "Time the backends on this machine, so that estimates fit it"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Times each available backend on circuits of many kinds and sizes, in under a minute, and stores the "
            "fitted costs that `--backend auto` chooses by. Interrupting it leaves the stored ones as they were."
        )
        parser.add_argument("--backends", metavar="A,B,...", help="only these")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Times them and stores the rates; 1 where one of them failed."""
        execution = local_execution(kernel)
        probes = execution.probes()
        asked = names_of(args.backends)
        installed = [contribution.name for contribution, _ in probes]
        for name in asked:
            if name not in installed:
                raise UnavailableError(
                    f"there is no backend called {name!r}",
                    hint=did_you_mean(name, installed) or f"installed: {', '.join(installed) or 'none'}",
                )
        chosen = [(c, p) for c, p in probes if (c.name in asked or not asked) and p.state == "available"]
        if not chosen:
            raise UnavailableError("no backend is available to calibrate", hint="`proxima backends` says why")
        measured: dict[str, BackendRates] = {}
        failed: dict[str, str] = {}
        for number, (contribution, probe) in enumerate(chosen):
            name = contribution.name
            with ProgressLine() as line:

                def progress(fraction: float | None, message: str, number: int = number) -> None:
                    line((number + (fraction or 0.0)) / len(chosen), message)

                try:
                    progress(0.0, f"importing the engine of {name}")
                    measured[name] = calibrate_backend(
                        kernel.get("backends", name),
                        probe,
                        contribution.data.get("capabilities") or {},
                        import_seconds=measure_import(kernel, name),
                        budget=_TOTAL_SECONDS / len(chosen),
                        progress=progress,
                    )
                except ProximaError as error:
                    failed[name] = str(error)
        if measured:
            execution.calibration.save(measured)
        past = {n: execution.observations.fit_of(n, r.versions, r.rates) for n, r in measured.items()}
        if args.json:
            backends = {
                n: asdict(r) | {"past_runs": past[n][0], "past_typical": past[n][1]} for n, r in measured.items()
            }
            print_json({"backends": backends, "failed": failed})
        else:
            rows = [
                (
                    n,
                    r.circuits,
                    format_seconds(r.import_seconds),
                    f"{r.typical:.2f}x",
                    f"{r.worst:.2f}x",
                    past[n][0],
                    "" if past[n][1] is None else f"{past[n][1]:.2f}x",
                )
                for n, r in measured.items()
            ]
            headers = ("backend", "timings", "import", "typical error", "worst error", "past runs", "error on these")
            print(table(headers, rows))
            if measured:
                print(f"\nstored in {clean(execution.calibration.path)}")
        for name, why in failed.items():
            print(f"error: {clean(name)}: {clean(why)}", file=sys.stderr)
        return 1 if failed else 0
