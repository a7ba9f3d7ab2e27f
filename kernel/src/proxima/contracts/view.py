"""The contract of a view: an interface as data, which the host draws. A plugin never touches the terminal."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; control characters are neutralised where it is shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines or bars over a common axis: ``series`` maps a label to one y per x."""

    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]
    kind: str = "line"
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields to fill in, described by a JSON Schema of type ``object``; submitting performs ``action``."""

    schema: Mapping[str, Any]
    action: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """A button: pressing it calls the view's ``act`` with this name."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Group:
    """Parts one below the other, under a title."""

    parts: tuple[Part, ...]
    title: str = ""


Part = Text | Table | Plot | Form | Action | Group


class View(Protocol):
    """A view."""

    name: str
    title: str

    @abstractmethod
    def show(self) -> Group:
        """What is to be seen now."""

    @abstractmethod
    def act(self, action: str, values: Mapping[str, Any]) -> Group:
        """Performs an action and returns what is to be seen then."""
