"""A view: what is to be seen as data, drawn by whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Comparison, Execution, RunOptions
from proxima.contracts.view import Form, Group, Plot, Table, Text
from proxima.errors import UsageError
from proxima_sdk import View

if TYPE_CHECKING:
    from proxima.kernel import Kernel

SCHEMA = {
    "type": "object",
    "properties": {
        "qubits": {"type": "integer", "minimum": 2, "maximum": 20},
        "shots": {"type": "integer", "minimum": 1, "maximum": 100_000},
        "backends": {"type": "string", "description": "Names with commas between them; empty for every backend"},
    },
    "required": ["qubits", "shots"],
    "additionalProperties": False,
}


class Backends(View):
    """A form for the size of a GHZ state, and a table of what every backend made of it."""

    name = "my-plugin"
    title = "Backends compared"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._values: Mapping[str, Any] = {"qubits": 3, "shots": 1000, "backends": ""}

    def show(self) -> Group:
        """The form; nothing is run before somebody asks for it."""
        about = Text("Prepares a GHZ state on each backend that is installed, and compares the counts.")
        return Group((about, Form(SCHEMA, "compare", self._values)), self.title)

    def act(self, action: str, values: Mapping[str, Any]) -> Group:
        """Runs the comparison, and shows it below the form."""
        if action != "compare":
            raise UsageError(f"the view {self.name} has no action {action!r}")
        self._values = dict(values)
        circuit = ghz(values["qubits"])
        names = [name.strip() for name in values.get("backends", "").split(",") if name.strip()]
        options = RunOptions(shots=values["shots"], seed=1, store=False)
        comparison = self._kernel.services.require(Execution).compare(circuit, names, options)
        return Group((*self.show().parts, *_shown(comparison)), self.title)


def ghz(qubits: int) -> Circuit:
    """(|0...0> + |1...1>) / sqrt(2), measured."""
    builder = Circuit.builder(qubits, qubits, name=f"ghz {qubits}").h(0)
    for qubit in range(qubits - 1):
        builder.cx(qubit, qubit + 1)
    return builder.measure_all().build()


def _shown(comparison: Comparison) -> tuple[Text | Table | Plot, ...]:
    rows: list[tuple[str | float | int, ...]] = []
    seconds = []
    for run in comparison.runs:
        if run.result is None:
            rows.append((run.backend, "", "", run.error))
            continue
        seconds.append(run.result.timings.get("total", 0.0))
        distance = "" if run.distance is None else round(run.distance, 4)
        rows.append((run.backend, round(seconds[-1], 4), distance, run.result.method))
    table = Table(("backend", "seconds", "distance from all", "method, or why not"), tuple(rows))
    numbers = tuple(float(number) for number in range(len(seconds)))
    plot = Plot(numbers, {"seconds": tuple(seconds)}, kind="bar", x_label="backend", y_label="seconds")
    return (Text(f"Verdict: {comparison.verdict}. {comparison.reason}"), table, plot)
