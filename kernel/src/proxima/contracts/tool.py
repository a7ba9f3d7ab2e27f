"""The contract of a tool: a function with a described interface, for agents and users to call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What a caller must know of a tool; ``parameters`` is a JSON Schema, ``permissions`` what a call uses."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer: text for a model or a person, and data for a program."""

    text: str
    data: Any = None
    failed: bool = False


class Tool(Protocol):
    """A tool."""

    name: str

    @abstractmethod
    def definition(self) -> ToolDefinition:
        """Its interface."""

    @abstractmethod
    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Does the work; ``arguments`` have been checked against the schema."""
