"""A server on this machine that speaks the protocol: it repeats what it is told, and calls the tool it is offered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a key"


def answers_calls(messages: list[dict[str, Any]]) -> bool:
    """Whether each answer of a tool belongs to a call that was made before, which strict servers want."""
    made: set[str] = set()
    for message in messages:
        made |= {call["id"] for call in message.get("tool_calls", ())}
        if message["role"] == "tool" and message["tool_call_id"] not in made:
            return False
    return True


class Handler(BaseHTTPRequestHandler):
    """Wants the key, streams its replies, and closes."""

    def do_GET(self) -> None:
        if self._allowed():
            self._answer("application/json", json.dumps({"data": [{"id": "parrot"}]}))

    def do_POST(self) -> None:
        if not self._allowed():
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not answers_calls(body["messages"]):
            self.send_error(400, "a tool message answers no call")
            return
        said = body["messages"][-1]["content"]
        deltas: list[dict[str, Any]] = [{"content": word + " "} for word in said.split()]
        for tool in body.get("tools", ())[:1]:
            called = {"name": tool["function"]["name"], "arguments": '{"a": 1,'}
            deltas.append({"tool_calls": [{"index": 0, "id": "call-1", "function": called}]})
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": ' "b": 2}'}}]})
        events = [f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in deltas]
        self._answer("text/event-stream", "".join([": hello\n\n", *events, "data: [DONE]\n\n"]))

    def _allowed(self) -> bool:
        allowed = self.headers["Authorization"] == f"Bearer {KEY}"
        if not allowed:
            self.send_error(401)
        return allowed

    def _answer(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serves, and gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
