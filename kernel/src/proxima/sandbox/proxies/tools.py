"""The object in the kernel that stands for a tool of a sandboxed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxima.contracts.tool import Tool, ToolDefinition, ToolResult
from proxima.sandbox.proxies.proxy import Proxy


class ToolProxy(Proxy, Tool):
    """A tool in a worker."""

    def definition(self) -> ToolDefinition:
        """See `Tool.definition`."""
        return self._ask("definition")  # type: ignore[no-any-return]

    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """See `Tool.call`."""
        return self._ask("call", arguments=dict(arguments))  # type: ignore[no-any-return]
