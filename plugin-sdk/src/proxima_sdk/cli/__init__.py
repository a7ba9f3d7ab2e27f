"""The subcommands of ``proxima plugin`` for authors; each is a module here with ``configure`` and ``run``."""

from __future__ import annotations

COMMANDS = {
    "test": "run a plugin's tests and its conformance kits, in this process and in a real worker",
}
"""Name to summary."""
