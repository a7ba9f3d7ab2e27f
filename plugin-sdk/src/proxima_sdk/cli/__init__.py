"""The subcommands of ``proxima plugin`` for authors; each is a module here with ``configure`` and ``run``."""

from __future__ import annotations

COMMANDS = {
    "build": "build a plugin's wheel and source distribution, and judge them",
    "dev": "watch a plugin's project: after every change, look again and show what is wrong",
    "docs": "write a plugin's pages from its manifest, its docstrings and its examples",
    "new": "make a plugin that works, to go on from",
    "test": "run a plugin's tests and its conformance kits, in this process and in a real worker",
    "validate": "judge a plugin's built wheel as the store and the marketplace do",
}
"""Name to summary."""
