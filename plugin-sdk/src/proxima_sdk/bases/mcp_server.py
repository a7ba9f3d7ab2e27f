"""`MCPServer`."""

from __future__ import annotations

from types import MappingProxyType

from proxima.contracts import mcp_server as contract


class MCPServer(contract.MCPServer):
    """A Model Context Protocol server to start, or the address of one that runs; a subclass says all of it.

    Attributes:
        name: As the manifest has it.
        command: The program and its arguments, where it is to be started.
        environment: The variables that it gets, and no others.
        url: Its address, where it runs already.

    >>> class Files(MCPServer):
    ...     name = "files"
    ...     command = ("mcp-files", "--root", ".")
    """

    command: tuple[str, ...] = ()
    environment = MappingProxyType[str, str]({})
    url = ""

    def __init__(self) -> None:
        """Sets nothing: the class's attributes are the fields."""
