"""``proxima explain``."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from proxima.cli.output import format_bytes, format_seconds, print_json, table, wrap
from proxima_execution.commands.backends import local_execution
from proxima_execution.commands.options import add_run_options, run_options
from proxima_execution.explanation import Explanation, basis

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class ExplainCommand:
    """``proxima explain FILE``."""

    name = "explain"
    summary = "Say which backend would run a circuit, at what cost, and why"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options."""
        parser.description = (
            "Holds every installed backend against a circuit without running it: whether it can, by which method, in "
            "what time and memory, and what the estimate rests on. Exits with 3 where none can."
        )
        add_run_options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Explains; 3 where no backend can run the circuit."""
        execution = local_execution(kernel)
        explanation = execution.explain(execution.load(args.file), run_options(args))
        if args.json:
            print_json(explanation.to_dict())
        else:
            _show(explanation)
        return 0 if explanation.offers else 3


def _show(explanation: Explanation) -> None:
    request = explanation.request
    circuit = request.circuit
    shots = f" from {request.shots} shots" if request.shots else ""
    wants = ", ".join(want.replace("_", " ") for want in request.wants)
    print(wrap(f"{circuit.name or 'circuit'}: {circuit.num_qubits} qubits, {len(circuit)} operations"))
    print(wrap(f"wanted: {wants}{shots}, at least {request.precision} precision"))
    for note in explanation.notes:
        print(wrap(f"note: {note}"))
    if explanation.offers:
        rows = []
        for offer in explanation.offers:
            price = offer.price
            translation = price.translation_seconds
            rows.append(
                (
                    offer.candidate.backend,
                    price.estimate.method,
                    _time(price.run_seconds),
                    "" if translation is None else _time(translation),
                    _time(price.import_seconds) if price.import_seconds else "",
                    format_bytes(price.estimate.memory_bytes),
                )
            )
        print()
        print(table(("backend", "method", "run", "translation", "import", "memory"), rows))
        print()
        rests: dict[str, list[str]] = {}
        for offer in explanation.offers:
            rests.setdefault(basis(offer.price), []).append(offer.candidate.backend)
        for told, backends in rests.items():
            print(wrap(f"{', '.join(backends)}: {told}"))
    for offer in explanation.offers:
        for note in offer.adapted.notes:
            print()
            print(wrap(f"{offer.candidate.backend}: {note}"))
    if explanation.refusals:
        print()
    for refusal in explanation.refusals:
        hint = f" ({refusal.error.hint})" if refusal.error.hint else ""
        print(wrap(f"{refusal.candidate.backend} cannot: {refusal.candidate.reason}{hint}"))
    print()
    print(wrap(f"chosen: {explanation.reason}" if explanation.offers else explanation.reason))


def _time(seconds: float) -> str:
    return format_seconds(seconds) if math.isfinite(seconds) else "unknown"
