"""The subcommands of ``proxima plugin`` for authors; each is a module here with ``configure`` and ``run``."""

from __future__ import annotations

COMMANDS = {
    "build": "build a plugin's wheel and source distribution, and judge them",
    "test": "run a plugin's tests and its conformance kits, in this process and in a real worker",
    "validate": "judge a plugin's built wheel as the store and the marketplace do",
}
"""Name to summary."""
