"""What a plugin is written against: a base class per contribution kind, and `Plugin`, which hands them over.

from proxima_sdk import Plugin, Tool

Nothing is imported before it is used: a theme must not pay for the arrays of a backend.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxima.hookspecs import hookimpl as hookimpl
    from proxima_sdk.bases.agent import Agent as Agent
    from proxima_sdk.bases.algorithm import Algorithm as Algorithm
    from proxima_sdk.bases.backend import Backend as Backend
    from proxima_sdk.bases.codegen import CodeGenerator as CodeGenerator
    from proxima_sdk.bases.command import Command as Command
    from proxima_sdk.bases.formats import Format as Format
    from proxima_sdk.bases.llm import LLMProvider as LLMProvider
    from proxima_sdk.bases.mcp_server import MCPServer as MCPServer
    from proxima_sdk.bases.screen import Screen as Screen
    from proxima_sdk.bases.service import Service as Service
    from proxima_sdk.bases.theme import Theme as Theme
    from proxima_sdk.bases.tool import Tool as Tool
    from proxima_sdk.bases.view import View as View
    from proxima_sdk.bases.visualization import Visualization as Visualization
    from proxima_sdk.plugin import Plugin as Plugin

BASES = {
    "backends": "Backend",
    "formats": "Format",
    "algorithms": "Algorithm",
    "visualizations": "Visualization",
    "codegens": "CodeGenerator",
    "tools": "Tool",
    "agents": "Agent",
    "llm_providers": "LLMProvider",
    "mcp_servers": "MCPServer",
    "commands": "Command",
    "screens": "Screen",
    "views": "View",
    "themes": "Theme",
    "services": "Service",
}
"""The base class of each contribution kind."""

_MODULES = {
    "Agent": "agent",
    "Algorithm": "algorithm",
    "Backend": "backend",
    "CodeGenerator": "codegen",
    "Command": "command",
    "Format": "formats",
    "LLMProvider": "llm",
    "MCPServer": "mcp_server",
    "Screen": "screen",
    "Service": "service",
    "Theme": "theme",
    "Tool": "tool",
    "View": "view",
    "Visualization": "visualization",
}

__all__ = [
    "BASES",
    "Agent",
    "Algorithm",
    "Backend",
    "CodeGenerator",
    "Command",
    "Format",
    "LLMProvider",
    "MCPServer",
    "Plugin",
    "Screen",
    "Service",
    "Theme",
    "Tool",
    "View",
    "Visualization",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = f"{__name__}.bases.{_MODULES[name]}"
    elif name == "Plugin":
        module = f"{__name__}.plugin"
    elif name == "hookimpl":
        module = "proxima.hookspecs"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
