"""`LLMProvider`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence

from proxima.contracts import llm as contract
from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.tool import ToolDefinition


class LLMProvider(contract.LLMProvider):
    """A source of language models.

    Attributes:
        name: As the manifest has it.
    """

    @abstractmethod
    def models(self) -> Sequence[str]:
        """The models it offers.

        Raises:
            UnavailableError: It cannot be reached, or a key is missing; the hint says what to do.
        """

    @abstractmethod
    def chat(
        self, model: str, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition] = ()
    ) -> AsyncIterator[ChatChunk]:
        """A reply to the conversation, piece by piece; usually an ``async def`` with ``yield``.

        A call of a tool has its arguments as JSON text.

        Raises:
            NotFoundError: It offers no such model.
            UnavailableError: It cannot be reached, or a key is missing; the hint says what to do.
        """
