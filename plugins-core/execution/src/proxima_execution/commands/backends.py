"""``proxima backends``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxima.cli.output import clean, print_json, table
from proxima.contracts.execution import Execution
from proxima_execution.service import LocalExecution

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class BackendsCommand:
    """``proxima backends``."""

    name = "backends"
    summary = "List the backends, each with its state"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = "Every installed backend: what it can do and, where it is unavailable, why and what to do."
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Lists them; 0 also where none is available."""
        probes = local_execution(kernel).probes()
        if args.json:
            print_json(
                [
                    {
                        "name": contribution.name,
                        "plugin": contribution.plugin,
                        "state": probe.state,
                        "reason": probe.reason,
                        "hint": probe.hint,
                        "versions": dict(probe.versions),
                        "capabilities": contribution.data.get("capabilities"),
                    }
                    for contribution, probe in probes
                ]
            )
            return 0
        if not probes:
            print("no backend is installed; `pip install proxima-quantum` brings the default ones")
            return 0
        rows = [
            (
                contribution.name,
                probe.state.replace("_", " "),
                ", ".join((contribution.data.get("capabilities") or {}).get("methods", ())),
                ", ".join(f"{name} {version}" for name, version in probe.versions.items()),
            )
            for contribution, probe in probes
        ]
        print(table(("backend", "state", "methods", "versions"), rows))
        for contribution, probe in probes:
            if probe.state != "available" or probe.reason:  # an available one may be of an untested version
                print(f"\n{clean(contribution.name)}: {clean(probe.reason)}")
                if probe.hint:
                    print(f"  {clean(probe.hint)}")
        return 0


def local_execution(kernel: Kernel) -> LocalExecution:
    """This plugin's own service, or a new one where another plugin's serves the contract."""
    service = kernel.services.get(Execution)
    return service if isinstance(service, LocalExecution) else LocalExecution(kernel)
