"""The tool that the agent calls; others may call it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxima.contracts.tool import ToolResult
from proxima_sdk import Tool

AMPLITUDE = {"single": 8, "double": 16}  # bytes of a complex number


class StateMemory(Tool):
    """How many bytes a simulator needs for the state of so many qubits, pure or mixed."""

    name = "my-plugin-memory"
    parameters = {
        "type": "object",
        "properties": {
            "qubits": {"type": "integer", "minimum": 1, "maximum": 1000},
            "mixed": {"type": "boolean", "default": False, "description": "a density matrix in place of a vector"},
            "precision": {"enum": ["single", "double"], "default": "double"},
        },
        "required": ["qubits"],
        "additionalProperties": False,
    }

    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """2^n amplitudes, or 4^n elements where the state is mixed."""
        qubits, mixed = arguments["qubits"], arguments.get("mixed", False)
        size = AMPLITUDE[arguments.get("precision", "double")] * 2 ** (2 * qubits if mixed else qubits)
        return ToolResult(f"{qubits} qubits take {size} bytes", {"bytes": size})
