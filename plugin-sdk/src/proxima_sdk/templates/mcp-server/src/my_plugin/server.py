"""The server: JSON-RPC 2.0 over standard input and output, one message a line (MCP, revision 2025-06-18).

It is run as a program of its own and needs the standard library alone.
"""

from __future__ import annotations

import json
import sys
from typing import Any

PROTOCOL = "2025-06-18"
LONGEST_LINE = 1 << 20
PARSE_ERROR, INVALID_REQUEST, NO_SUCH_METHOD, WRONG_PARAMETERS = -32700, -32600, -32601, -32602

COUNTS = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "integer", "minimum": 0},
    "description": "Occurrences by bit string",
}
TOOL = {
    "name": "distance",
    "description": "Total variation distance of two runs' counts: 0 where they are alike, 1 where nothing is shared",
    "inputSchema": {"type": "object", "properties": {"a": COUNTS, "b": COUNTS}, "required": ["a", "b"]},
}


class RequestError(Exception):
    """A request that cannot be answered: its code and message go back."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def distance(a: dict[str, int], b: dict[str, int]) -> float:
    """Half the sum of the differences between relative frequencies."""
    shots_a, shots_b = sum(a.values()), sum(b.values())
    return sum(abs(a.get(bits, 0) / shots_a - b.get(bits, 0) / shots_b) for bits in a.keys() | b.keys()) / 2


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one request."""
    if method == "initialize":
        info = {"name": "my-plugin", "version": "0.1.0"}
        return {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return _called(params)
    raise RequestError(NO_SUCH_METHOD, f"there is no method {method!r}")


def _called(params: dict[str, Any]) -> dict[str, Any]:
    if params.get("name") != TOOL["name"]:
        raise RequestError(WRONG_PARAMETERS, f"there is no tool {params.get('name')!r}")
    given = params.get("arguments")
    a, b = (_counts(given.get(name) if isinstance(given, dict) else None) for name in ("a", "b"))
    if a is None or b is None:
        return {"content": [{"type": "text", "text": "a and b: expected counts by bit string"}], "isError": True}
    value = distance(a, b)
    return {"content": [{"type": "text", "text": f"{value:.6f}"}], "structuredContent": {"distance": value}}


def _counts(value: Any) -> dict[str, int] | None:
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        return None
    return value if any(value.values()) else None


def reply(line: str) -> dict[str, Any] | None:
    """What goes back for one line; ``None`` for a notification."""
    number: Any = None
    try:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise RequestError(PARSE_ERROR, "expected one JSON message a line") from None
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise RequestError(INVALID_REQUEST, "expected a JSON-RPC request")
        if "id" not in request:
            return None
        number = request["id"]
        params = request.get("params") or {}
        if not isinstance(params, dict):
            raise RequestError(WRONG_PARAMETERS, "params: expected an object")
        return {"jsonrpc": "2.0", "id": number, "result": answer(request["method"], params)}
    except RequestError as error:
        return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}


def main() -> None:
    """Answers until the input is closed."""
    while line := sys.stdin.readline(LONGEST_LINE):
        if line.strip() and (answered := reply(line)) is not None:
            print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main()
