"""`Tool`."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from proxima.contracts import tool as contract
from proxima.contracts.tool import ToolDefinition, ToolResult


class Tool(contract.Tool):
    """A function with a described interface, for agents and users to call.

    Attributes:
        name: As the manifest has it.
        description: For a model or a person to choose by; the class's docstring where it is empty.
        parameters: JSON Schema of the arguments, of type ``object``.
        permissions: What a call uses, among those that the manifest declares.
    """

    description: ClassVar[str] = ""
    parameters: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    permissions: ClassVar[tuple[str, ...]] = ()

    def definition(self) -> ToolDefinition:
        """Its interface, from the class's attributes."""
        description = self.description or inspect.getdoc(type(self)) or ""
        return ToolDefinition(self.name, description, self.parameters, self.permissions)

    @abstractmethod
    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Does the work; ``arguments`` have been checked against `parameters`.

        What goes wrong in a way that the caller can do something about is a ``ToolResult(text, failed=True)``.
        """
