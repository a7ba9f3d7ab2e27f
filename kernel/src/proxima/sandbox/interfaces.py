"""What a sandboxed plugin may contribute, and how each kind's methods are called from another process.

Both sides read these tables: the worker serves nothing else, and the kernel takes no answer of another type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Interface:
    """One contribution kind.

    Attributes:
        attributes: What an object of the kind is read for once, to its type.
        methods: What it is called for, to the type of the answer, as `codec.decode` expects it.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Any] = field(default_factory=dict)


INTERFACES: Mapping[str, Interface] = {
    # plan, bind and run are served apart from these: a plan stays where it was made.
    "backends": Interface({}, {"probe": "Probe", "estimate": "Estimate"}),
    "formats": Interface(
        {"extensions": tuple[str, ...]},
        {"recognises": bool, "load": "Circuit", "dump": str},
    ),
    "algorithms": Interface({}, {"default_params": Mapping[str, Any], "execute": "AlgorithmResult"}),
    "visualizations": Interface({"formats": tuple[str, ...]}, {"render": bytes}),
    "codegens": Interface({"language": str, "library": str}, {"generate": str}),
    "tools": Interface({}, {"definition": "ToolDefinition", "call": "ToolResult"}),
    "views": Interface({"title": str}, {"show": "Group", "act": "Group"}),
    "themes": Interface(),
}

HOOKS = ("proxima_run_finished", "proxima_kernel_closing")
"""Hooks beside those of the kinds that a sandboxed plugin is told of."""
