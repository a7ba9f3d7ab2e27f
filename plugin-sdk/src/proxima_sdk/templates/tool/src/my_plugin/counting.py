"""A tool that says how large a circuit is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.execution import Execution
from proxima.contracts.features import features_of
from proxima.contracts.tool import ToolResult
from proxima.errors import UsageError
from proxima_sdk import Tool

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class CountGates(Tool):
    """Depth, number of qubits and gates of a quantum circuit, given as the text of a program such as OpenQASM."""

    name = "my-plugin"
    parameters = {
        "type": "object",
        "properties": {
            "program": {"type": "string", "minLength": 1, "description": "The program, e.g. OpenQASM 2 or 3"},
        },
        "required": ["program"],
        "additionalProperties": False,
    }
    permissions = ("execute_circuits",)

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Reads and counts; a program that cannot be read is told with its line."""
        program = arguments["program"].encode()
        try:
            circuit = self._kernel.services.require(Execution).load("the program", data=program)
        except UsageError as error:
            return ToolResult(str(error), failed=True)
        features = features_of(circuit)
        counted = {
            "qubits": circuit.num_qubits,
            "depth": circuit.depth,
            "gates": features.num_gates,
            "two_qubit_gates": features.gates_2q,
            "by_name": circuit.count_ops(),
        }
        gates = ", ".join(f"{number} {name}" for name, number in circuit.count_ops().items())
        return ToolResult(f"{circuit.num_qubits} qubits, depth {circuit.depth}: {gates or 'nothing'}", counted)
