"""What a plugin says of a Model Context Protocol server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MCPServer:
    """A server: a command to start and talk to over its standard streams, or the address of one that runs already.

    It gets the variables of ``environment`` and no others.
    """

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
