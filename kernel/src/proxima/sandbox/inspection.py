"""Whether a plugin's objects and classes have what their contracts call; run in the worker that holds them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

CONTRACTS: Mapping[str, str] = {
    "backends": "proxima.contracts.backend.Backend",
    "formats": "proxima.contracts.formats.CircuitFormat",
    "algorithms": "proxima.contracts.algorithm.Algorithm",
    "visualizations": "proxima.contracts.visualization.Visualization",
    "codegens": "proxima.contracts.codegen.CodeGenerator",
    "tools": "proxima.contracts.tool.Tool",
    "agents": "proxima.contracts.agent.Agent",
    "llm_providers": "proxima.contracts.llm.LLMProvider",
    "mcp_servers": "proxima.contracts.mcp_server.MCPServer",
    "commands": "proxima.contracts.command.Command",
    "screens": "proxima.contracts.screen.Screen",
    "views": "proxima.contracts.view.View",
    "themes": "proxima.contracts.theme.Theme",
}
"""Contribution kind to the class that its objects are like; a service names its own."""


def inspect_contributions(
    declared: Iterable[Mapping[str, str]], objects: Mapping[tuple[str, str], Any]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a plugin's contributions, as ``(kind, name, what)``.

    Args:
        declared: Of the manifest: ``kind``, ``name``, ``class``, and a service's ``contract``.
        objects: Those that the plugin handed over; of the kinds that cannot run here, only the class is looked at.
    """
    for entry in declared:
        kind, name = entry["kind"], entry["name"]
        made = objects.get((kind, name))
        try:
            contract = _named(entry.get("contract") or CONTRACTS[kind])
            cls = _named(entry["class"]) if made is None else type(made)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the plugin's code that is imported
            yield kind, name, f"{entry['class']} cannot be imported: {type(error).__name__}: {error}"
            continue
        for wrong in _unmet(cls, contract, made):
            yield kind, name, f"{entry['class']} {wrong}"


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _unmet(cls: Any, contract: type, made: Any) -> Iterator[str]:
    """What of a contract a class, or an object of it, does not meet."""
    if not inspect.isclass(cls):
        yield "is not a class"
    elif dataclasses.is_dataclass(contract):
        if not issubclass(cls, contract):
            yield f"is not a {contract.__name__}"
    else:
        for name in sorted(getattr(cls, "__abstractmethods__", ())):
            yield f"does not define {name}, which {contract.__name__} needs"
        for name, method in _methods(contract):
            if name not in getattr(cls, "__abstractmethods__", ()):
                yield from _unfit(cls, name, method)
        for name in [each for c in contract.__mro__ for each in vars(c).get("__annotations__", ()) if made is not None]:
            if not hasattr(made, name):
                yield f"has no attribute {name}"


def _methods(contract: type) -> Iterator[tuple[str, Any]]:
    for name in dir(contract):
        member = getattr(contract, name)
        if not name.startswith("_") and inspect.isfunction(member):
            yield name, member


def _unfit(cls: type, name: str, wanted: Any) -> Iterator[str]:
    """Whether a method can be called as the contract says: by position, and by name as calls from a kernel are."""
    expected = list(inspect.signature(wanted).parameters.values())[1:]
    shown = f"{name}({', '.join(_shown(expected))})"
    member = inspect.getattr_static(cls, name, None)
    if member is None:
        yield f"has no method {shown}"
        return
    try:
        signature = inspect.signature(getattr(cls, name))
    except (TypeError, ValueError):
        if not callable(getattr(cls, name, None)):
            yield f"has no method {shown}, but something else of that name"
        return  # a compiled method does not tell its parameters
    itself = () if isinstance(member, staticmethod | classmethod) else (None,)
    named = {each.name: None for each in expected if each.kind is each.KEYWORD_ONLY}
    by_position = [None for each in expected if each.kind is each.POSITIONAL_OR_KEYWORD]
    by_name = {each.name: None for each in expected if each.kind is each.POSITIONAL_OR_KEYWORD}
    needed = {each.name: None for each in expected if each.default is each.empty}
    try:
        signature.bind(*itself, **needed)
        signature.bind(*itself, *by_position, **named)
        signature.bind(*itself, **by_name, **named)
    except TypeError as error:
        yield f"has {name}{signature}, which cannot be called as {shown}: {error}"


def _shown(parameters: list[inspect.Parameter]) -> Iterator[str]:
    starred = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield each.name if each.default is each.empty else f"{each.name}={each.default!r}"
