"""What a plugin says of a Model Context Protocol server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MCPServer:
    """A server to start and talk to over its standard streams, or to reach by address.

    Attributes:
        command: Program and arguments; empty where ``url`` is given.
        environment: Variables it gets, by name; nothing else of the environment is passed on.
        url: Address of a server that runs already.
    """

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
