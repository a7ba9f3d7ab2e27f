"""Language models by the chat completions protocol, streamed as server-sent events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from my_plugin.wire import Reply, message_of, open_reply, tool_of
from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.tool import ToolDefinition
from proxima.errors import NotFoundError, UnavailableError
from proxima.nearest import did_you_mean
from proxima_sdk import LLMProvider

if TYPE_CHECKING:
    from proxima.kernel import Kernel


class ChatCompletions(LLMProvider):
    """Whatever offers ``/models`` and ``/chat/completions``: a local server, or a service with a key."""

    name = "my-plugin"

    def __init__(self, kernel: Kernel) -> None:
        settings = kernel.settings
        self._url = str(settings.get("plugins.my-plugin.url")).rstrip("/")
        self._key_variable = str(settings.get("plugins.my-plugin.key_variable"))
        self._seconds = float(str(settings.get("plugins.my-plugin.seconds")))

    def models(self) -> Sequence[str]:
        """What the address lists."""
        with self._open("/models") as reply:
            listed = reply.json().get("data")
        if not isinstance(listed, list) or not all(
            isinstance(m, dict) and isinstance(m.get("id"), str) for m in listed
        ):
            raise UnavailableError(f"{self._url}/models did not answer with models", hint="is the address right?")
        return tuple(dict.fromkeys(model["id"] for model in listed))

    async def chat(
        self, model: str, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition] = ()
    ) -> AsyncIterator[ChatChunk]:
        """The reply, piece by piece, as it arrives."""
        offered = await asyncio.to_thread(self.models)
        if model not in offered:
            hint = did_you_mean(model, offered) or f"it offers {', '.join(offered) or 'none'}"
            raise NotFoundError(f"{self._url} offers no model {model!r}", hint=hint)
        body: dict[str, Any] = {"model": model, "stream": True, "messages": [message_of(each) for each in messages]}
        if tools:
            body["tools"] = [tool_of(each) for each in tools]
        reply = await asyncio.to_thread(self._open, "/chat/completions", body)
        try:
            while (event := await asyncio.to_thread(reply.event)) is not None:
                for chunk in reply.chunks(event):
                    yield chunk
        finally:
            reply.close()

    def _open(self, path: str, body: object = None) -> Reply:
        key = ""
        if self._key_variable:
            key = os.environ.get(self._key_variable, "")
            if not key:
                hint = f"set the environment variable {self._key_variable}"
                raise UnavailableError(f"there is no key for {self._url}", hint=hint)
        return open_reply(self._url + path, body, key=key, seconds=self._seconds)
