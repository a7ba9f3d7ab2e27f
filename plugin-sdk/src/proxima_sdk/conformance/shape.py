"""Whether an object has the shape of its contract: attributes, methods, and parameters as callers pass them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from proxima.contracts.agent import Agent
from proxima.contracts.algorithm import Algorithm
from proxima.contracts.backend import Backend
from proxima.contracts.codegen import CodeGenerator
from proxima.contracts.command import Command
from proxima.contracts.formats import CircuitFormat
from proxima.contracts.llm import LLMProvider
from proxima.contracts.mcp_server import MCPServer
from proxima.contracts.screen import Screen
from proxima.contracts.service import Service
from proxima.contracts.theme import Theme
from proxima.contracts.tool import Tool
from proxima.contracts.view import View
from proxima.contracts.visualization import Visualization

CONTRACTS: Mapping[str, type[Any]] = {
    "backends": Backend,
    "formats": CircuitFormat,
    "algorithms": Algorithm,
    "visualizations": Visualization,
    "codegens": CodeGenerator,
    "tools": Tool,
    "agents": Agent,
    "llm_providers": LLMProvider,
    "mcp_servers": MCPServer,
    "commands": Command,
    "screens": Screen,
    "views": View,
    "themes": Theme,
    "services": Service,
}
"""The contract of each contribution kind."""

_KINDS = inspect.Parameter


def misfits(subject: object, contract: type[Any]) -> list[str]:
    """How an object differs from its contract, in sentences; empty where it fits."""
    return [*_attributes(subject, contract), *_methods(subject, contract)]


def _attributes(subject: object, contract: type[Any]) -> Iterator[str]:
    for name, annotation in inspect.get_annotations(contract).items():
        value = getattr(subject, name, None)
        if value is None:
            yield f"it has no attribute {name!r}"
        elif annotation == "str" and not isinstance(value, str):
            yield f"its {name} is {value!r:.60}, not text"
        elif str(annotation).startswith("tuple[str") and not _texts(value):
            yield f"its {name} is {value!r:.60}, not a tuple of text"


def _texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _methods(subject: object, contract: type[Any]) -> Iterator[str]:
    for name, declared in vars(contract).items():
        if name.startswith("_") or not inspect.isfunction(declared):
            continue
        method = getattr(subject, name, None)
        if not callable(method):
            yield f"it has no method {name}{_plain(declared)}"
            continue
        if getattr(method, "__isabstractmethod__", False) or getattr(method, "__func__", None) is declared:
            if name in getattr(contract, "__abstractmethods__", ()):
                yield f"it does not implement {name}{_plain(declared)}"
            continue
        for fault in _parameters(inspect.signature(method), declared):
            yield f"{name}{fault}; the contract is {name}{_plain(declared)}"


def _plain(declared: Any) -> str:
    names = list(inspect.signature(declared).parameters.values())[1:]
    return str(inspect.Signature([p.replace(annotation=_KINDS.empty) for p in names]))


def _parameters(signature: inspect.Signature, declared: Any) -> Iterator[str]:
    """Callers pass by position what the contract lets them, or by name."""
    wanted = list(inspect.signature(declared).parameters.values())[1:]
    given = signature.parameters
    spread = {p.kind for p in given.values()}
    by_position = [p.name for p in given.values() if p.kind is _KINDS.POSITIONAL_OR_KEYWORD]
    for place, parameter in enumerate(wanted):
        if parameter.name not in given:
            if _KINDS.VAR_KEYWORD not in spread:
                yield f" has no parameter called {parameter.name!r}"
        elif given[parameter.name].kind is _KINDS.POSITIONAL_ONLY:
            yield f" takes {parameter.name!r} by position alone"
        elif parameter.default is not _KINDS.empty and given[parameter.name].default is _KINDS.empty:
            yield f" needs {parameter.name!r}, which the contract lets callers leave out"
        elif (
            parameter.kind is _KINDS.POSITIONAL_OR_KEYWORD
            and _KINDS.VAR_POSITIONAL not in spread
            and parameter.name not in by_position[place : place + 1]
        ):
            yield f" does not take {parameter.name!r} at position {place + 1}"
    names = {p.name for p in wanted}
    for extra in given.values():
        spreads = extra.kind in (_KINDS.VAR_KEYWORD, _KINDS.VAR_POSITIONAL)
        if extra.name not in names and extra.default is _KINDS.empty and not spreads:
            yield f" needs {extra.name!r}, which no caller passes"
