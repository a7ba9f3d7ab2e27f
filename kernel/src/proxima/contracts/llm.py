"""The contract of a language model provider."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from proxima.contracts.tool import ToolDefinition


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made, whole: its id, the tool's name, and the arguments as JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation.

    Attributes:
        tool_call_id: Of a ``tool`` message: the call that it answers.
        tool_calls: Of an ``assistant`` message: the calls that it made. Providers refuse an answer to a call that no
            message before it made.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_call_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """A piece of a reply as it arrives: text, or of a call of a tool.

    The arguments of all pieces with one ``tool_call_id``, put together, are JSON text; only the first of them has to
    name the tool.
    """

    text: str = ""
    tool_name: str = ""
    tool_call_id: str = ""
    tool_arguments: str = ""


class LLMProvider(Protocol):
    """A source of language models."""

    name: str

    @abstractmethod
    def models(self) -> Sequence[str]:
        """The models it offers.

        Raises:
            UnavailableError: It cannot be reached, or a key is missing.
        """

    @abstractmethod
    def chat(
        self, model: str, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition] = ()
    ) -> AsyncIterator[ChatChunk]:
        """A reply to the conversation, piece by piece."""
