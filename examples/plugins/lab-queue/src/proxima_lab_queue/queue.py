"""The tool `queue-length`. It uses the network as any Python program would, and knows nothing of a sandbox."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from proxima.contracts.tool import Tool, ToolDefinition, ToolResult

ADDRESS = "http://localhost:8765/queue"


class QueueLength(Tool):
    """Reads ``{"waiting": N}`` from a job server."""

    name = "queue-length"

    def definition(self) -> ToolDefinition:
        """Its interface: the address may be given."""
        parameters = {"type": "object", "properties": {"url": {"type": "string", "default": ADDRESS}}}
        return ToolDefinition(self.name, "How many jobs wait in a queue", parameters, ("network:localhost:8765",))

    def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Asks the server, following redirects; ``data`` has what it answered."""
        url = arguments.get("url", ADDRESS)
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                queue = json.load(answer)
        except OSError as error:
            return ToolResult(str(error), failed=True)
        return ToolResult(f"{queue['waiting']} jobs wait", data=queue)
