"""``proxima circuit``: show, convert or analyse a circuit file."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from proxima.cli.output import clean, print_json, table, terminal_width
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Execution
from proxima.contracts.features import features_of
from proxima.contracts.formats import CircuitFormat
from proxima.contracts.noise import NoiseModel
from proxima_execution.commands.options import add_noise_option
from proxima_execution.drawing import draw

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class CircuitCommand:
    """``proxima circuit show|convert|info FILE``."""

    name = "circuit"
    summary = "Show, convert or analyse a circuit file"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the subcommands."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        show = actions.add_parser("show", help="draw it, or list its operations where it is large")
        convert = actions.add_parser("convert", help="write it in another format")
        info = actions.add_parser("info", help="its size, depth and kind")
        for parser_ in (show, convert, info):
            parser_.add_argument("file", metavar="FILE", help="a circuit file, or - for standard input")
        convert.add_argument("--to", required=True, metavar="FORMAT", help="e.g. openqasm2 or openqasm3")
        convert.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
        add_noise_option(info)
        info.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Does what was asked."""
        circuit = kernel.services.require(Execution).load(args.file)
        if args.action == "show":
            print(draw(circuit, terminal_width()))
        elif args.action == "convert":
            _convert(circuit, args, kernel)
        else:
            _info(circuit if args.noise is None else NoiseModel.parse(args.noise).apply(circuit), args.json)
        return 0


def _convert(circuit: Circuit, args: argparse.Namespace, kernel: Kernel) -> None:
    target: CircuitFormat = kernel.get("formats", args.to)
    text = target.dump(circuit)
    if args.output is None:
        if sys.stdout.isatty():  # a plugin wrote it
            text = "".join(clean(line) + "\n" for line in text.splitlines())
        sys.stdout.write(text)
        return
    from proxima.storage import write_atomic

    kernel.permissions.use("execution", f"file_write:{os.path.abspath(args.output)}", target=args.output)
    write_atomic(args.output, text)


def circuit_facts(circuit: Circuit) -> dict[str, Any]:
    """A circuit in numbers, JSON-ready."""
    features = features_of(circuit)
    return {
        "name": circuit.name,
        "hash": circuit.content_hash,
        "num_qubits": features.num_qubits,
        "num_clbits": features.num_clbits,
        "num_operations": features.num_operations,
        "depth": features.depth,
        "gates_1q": features.gates_1q,
        "gates_2q": features.gates_2q,
        "gates_many": features.gates_many,
        "diagonal_gates": features.diagonal_gates,
        "measurements": features.num_measurements,
        "is_clifford": features.is_clifford,
        "is_dynamic": features.is_dynamic,
        "noise_channels": features.noise_sites,
        "noise_weight": features.noise_weight,
        "bond_bits": features.bond_bits,
        "parameters": list(circuit.parameters),
        "operations": circuit.count_ops(),
    }


def _info(circuit: Circuit, as_json: bool) -> None:
    facts = circuit_facts(circuit)
    if as_json:
        print_json(facts)
        return
    operations = facts.pop("operations")
    words = {
        "bond_bits": "bits of entanglement (bound)",
        "is_clifford": "Clifford",
        "is_dynamic": "dynamic",
        "num_qubits": "qubits",
        "num_clbits": "classical bits",
        "num_operations": "operations",
        "gates_1q": "one-qubit gates",
        "gates_2q": "two-qubit gates",
        "gates_many": "larger gates",
    }
    for name, value in facts.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list):
            value = ", ".join(value) or "none"
        elif isinstance(value, float):
            value = f"{value:g}"
        print(f"{words.get(name, name.replace('_', ' ')):<30}{clean(value)}")
    print()
    print(table(("operation", "count"), list(operations.items())))
