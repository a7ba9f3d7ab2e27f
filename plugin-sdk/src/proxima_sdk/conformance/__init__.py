"""The conformance kits, one per contribution kind: subclass one, name your contribution, run pytest.

from proxima_sdk.conformance import ToolConformance

class TestShout(ToolConformance):
    tool = "shout"
    arguments = {"text": "hello"}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxima_sdk.conformance.backend import BackendConformance as BackendConformance
    from proxima_sdk.conformance.kinds.agent import AgentConformance as AgentConformance
    from proxima_sdk.conformance.kinds.algorithm import AlgorithmConformance as AlgorithmConformance
    from proxima_sdk.conformance.kinds.codegen import CodeGeneratorConformance as CodeGeneratorConformance
    from proxima_sdk.conformance.kinds.command import CommandConformance as CommandConformance
    from proxima_sdk.conformance.kinds.formats import FormatConformance as FormatConformance
    from proxima_sdk.conformance.kinds.llm import LLMProviderConformance as LLMProviderConformance
    from proxima_sdk.conformance.kinds.mcp_server import MCPServerConformance as MCPServerConformance
    from proxima_sdk.conformance.kinds.screen import ScreenConformance as ScreenConformance
    from proxima_sdk.conformance.kinds.service import ServiceConformance as ServiceConformance
    from proxima_sdk.conformance.kinds.theme import ThemeConformance as ThemeConformance
    from proxima_sdk.conformance.kinds.tool import ToolConformance as ToolConformance
    from proxima_sdk.conformance.kinds.view import ViewConformance as ViewConformance
    from proxima_sdk.conformance.kinds.visualization import VisualizationConformance as VisualizationConformance

# Raised whenever a check is added or becomes stricter, so that "passes version 5" keeps its meaning.
CONFORMANCE_VERSION = 5

KITS = {
    "backends": "BackendConformance",
    "formats": "FormatConformance",
    "algorithms": "AlgorithmConformance",
    "visualizations": "VisualizationConformance",
    "codegens": "CodeGeneratorConformance",
    "tools": "ToolConformance",
    "agents": "AgentConformance",
    "llm_providers": "LLMProviderConformance",
    "mcp_servers": "MCPServerConformance",
    "commands": "CommandConformance",
    "screens": "ScreenConformance",
    "views": "ViewConformance",
    "themes": "ThemeConformance",
    "services": "ServiceConformance",
}
"""The kit of each contribution kind. Its attribute that names what is checked is the kind without its ``s``."""

_MODULES = {
    "AgentConformance": "kinds.agent",
    "AlgorithmConformance": "kinds.algorithm",
    "BackendConformance": "backend",
    "CodeGeneratorConformance": "kinds.codegen",
    "CommandConformance": "kinds.command",
    "FormatConformance": "kinds.formats",
    "LLMProviderConformance": "kinds.llm",
    "MCPServerConformance": "kinds.mcp_server",
    "ScreenConformance": "kinds.screen",
    "ServiceConformance": "kinds.service",
    "ThemeConformance": "kinds.theme",
    "ToolConformance": "kinds.tool",
    "ViewConformance": "kinds.view",
    "VisualizationConformance": "kinds.visualization",
}

__all__ = [
    "CONFORMANCE_VERSION",
    "KITS",
    "AgentConformance",
    "AlgorithmConformance",
    "BackendConformance",
    "CodeGeneratorConformance",
    "CommandConformance",
    "FormatConformance",
    "LLMProviderConformance",
    "MCPServerConformance",
    "ScreenConformance",
    "ServiceConformance",
    "ThemeConformance",
    "ToolConformance",
    "ViewConformance",
    "VisualizationConformance",
]


# Lazily, because every pytest run in the environment imports this package for the plugin beside it.
def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
