"""`MCPServerConformance`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from proxima_sdk.conformance.contribution import ContributionChecks

_LOCAL = ("localhost", "127.0.0.1", "::1")
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "proxima-conformance", "version": "1"},
    },
}


class MCPServerConformance(ContributionChecks):
    """Subclass it in a test module, name your server, run pytest.

    Attributes:
        mcp_server: A name among the installed plugins, or a server, its class or a factory of one.
        environment: Variables for its start beside those that it declares, e.g. a test's key.
        seconds: How long it may take to answer the first request and to end; 20.
    """

    kind = "mcp_servers"
    seconds: ClassVar[float] = 20.0
    mcp_server: ClassVar[Any] = None
    environment: ClassVar[Mapping[str, str]] = {}

    def test_command_or_address(self) -> None:
        """One of the two, and an address that is encrypted unless it is this machine's."""
        server = self.subject
        if bool(server.command) == bool(server.url):
            self.fails("command and url", expected="one of the two", got=f"{server.command!r}, {server.url!r}")
        if server.url:
            parts = urlsplit(server.url)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
                self.fails("url", expected="https, or http to this machine", got=server.url)

    def test_environment(self) -> None:
        """Text by name."""
        for name, value in self.subject.environment.items():
            if not isinstance(name, str) or not isinstance(value, str) or "=" in name or not name:
                self.fails("environment", expected="text by name", got=f"{name!r}: {value!r}")

    def test_answers_initialize(self) -> None:
        """Started, it answers the protocol's first request, and ends when its input is closed."""
        server = self.subject
        if not server.command:
            pytest.skip(f"{self.about()[1]} runs elsewhere, at {server.url}")
        program = shutil.which(server.command[0])
        if program is None:
            pytest.skip(f"{server.command[0]} is not installed here")
        command = [program, *server.command[1:]]
        environment = {**server.environment, **self.environment}
        request = json.dumps(_HELLO) + "\n"
        try:
            done = subprocess.run(
                command,
                input=request,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.fails(
                f"{server.command} after its input was closed",
                expected=f"an end within {self.seconds:g} s",
                got="it runs on",
                convention="a client closes the server's input to end it",
            )
        except OSError as error:
            self.fails(f"starting {server.command}", expected="a process", got=str(error))
        line = done.stdout.partition("\n")[0]
        try:
            answer = json.loads(line)
            info = answer["result"]["serverInfo"]["name"]
        except (ValueError, KeyError, TypeError):
            self.fails(
                f"{server.command} asked to initialize",
                expected="one line of JSON with result.serverInfo",
                got=f"{line[:120]!r}; on standard error: {done.stderr[-200:]!r}",
                cause="something else is printed on standard output, which belongs to the protocol",
            )
        if not info:
            self.fails("serverInfo.name", expected="a name", got=repr(info))
