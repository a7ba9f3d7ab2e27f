"""What Proxima is told: how the server is started."""

from __future__ import annotations

import sys
from pathlib import Path

from proxima_sdk import MCPServer


class Counts(MCPServer):
    """Started with this Python, apart from the user's own settings and packages."""

    name = "my-plugin"
    command = (sys.executable, "-I", str(Path(__file__).with_name("server.py")))
