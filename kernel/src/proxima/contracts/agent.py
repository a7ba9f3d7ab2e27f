"""The contract of an agent: a goal in, a reply out, by way of tools."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """One step of an agent at work: ``text`` is said to the user, the other kinds tell what it did on the way."""

    kind: Literal["text", "tool_call", "tool_result", "error"]
    text: str
    data: Any = None


class Agent(Protocol):
    """An agent."""

    name: str

    @abstractmethod
    def pursue(self, goal: str, *, cancel: CancelToken) -> AsyncIterator[AgentMessage]:
        """Works towards a goal, telling each step; the last ``text`` is the reply."""
