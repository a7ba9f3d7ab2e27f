"""What goes over the wire: requests as JSON, replies as JSON or as server-sent events."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.tool import ToolDefinition
from proxima.errors import RunError, UnavailableError

MOST_BYTES = 16 << 20  # of a whole reply
LONGEST_LINE = 1 << 20


def message_of(message: ChatMessage) -> dict[str, Any]:
    """A message as the protocol has it."""
    sent: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        sent["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return {**sent, "tool_call_id": message.tool_call_id} if message.role == "tool" else sent


def tool_of(tool: ToolDefinition) -> dict[str, Any]:
    """A tool as the protocol has it."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def open_reply(url: str, body: object, *, key: str, seconds: float) -> Reply:
    """Asks; the answer is read as it arrives.

    Raises:
        UnavailableError: Nobody answers there, or the answer is an error.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=seconds)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(500).decode("utf-8", "replace")
        hint = "the key is not accepted" if error.code in (401, 403) else "see what it says"
        raise UnavailableError(f"{url} answered {error.code}: {said}", hint=hint) from None
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{url} cannot be reached: {error}", hint="start it, or set its address") from None
    return Reply(answer, url)


class Reply:
    """An answer that is being read."""

    def __init__(self, answer: http.client.HTTPResponse, url: str) -> None:
        self._answer, self._url, self._read = answer, url, 0
        self._calls: dict[int, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, read to its end or not."""
        self._answer.close()

    def json(self) -> dict[str, Any]:
        """The whole answer."""
        return self._parsed(self._answer.read(MOST_BYTES))

    def event(self) -> dict[str, Any] | None:
        """The next server-sent event; ``None`` after the last."""
        while True:
            try:
                line = self._answer.readline(LONGEST_LINE)
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise RunError(f"{self._url} broke off: {error}") from None
            self._read += len(line)
            if self._read > MOST_BYTES:
                raise RunError(f"{self._url} sent more than {MOST_BYTES} bytes")
            if not line:
                return None
            if line.startswith(b"data:"):
                data = line[5:].strip()
                return None if data == b"[DONE]" else self._parsed(data)

    def chunks(self, event: dict[str, Any]) -> Iterator[ChatChunk]:
        """What an event holds: text, and parts of calls, which name their tool only at first."""
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            if text := delta.get("content"):
                yield ChatChunk(text=text)
            for part in delta.get("tool_calls") or ():
                function, number = part.get("function") or {}, part.get("index", 0)
                if part.get("id"):
                    self._calls[number] = (part["id"], function.get("name") or "")
                call_id, name = self._calls.get(number, ("", ""))
                yield ChatChunk("", name, call_id, function.get("arguments") or "")

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise UnavailableError(f"{self._url} did not answer with JSON: {data[:80]!r}") from None
        if not isinstance(value, dict):
            raise UnavailableError(f"{self._url} did not answer with a JSON object: {data[:80]!r}")
        return value
