"""Tokens of OpenQASM 2, each with its position."""

from __future__ import annotations

import re

from proxima.errors import CircuitSyntaxError
from proxima_format_openqasm.source import Source

KEYWORDS = frozenset(
    "OPENQASM include qreg creg gate opaque measure reset barrier if pi sin cos tan exp ln sqrt U CX".split()  # noqa: SIM905
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>[A-Za-z_]\w*)
    | (?P<real>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    | (?P<integer>\d+)
    | (?P<string>"[^"\n]*"|'[^'\n]*')
    | (?P<symbol>->|==|[-+*/^(),;\[\]{}])
    | (?P<end>\Z)
    | (?P<unknown>.)
    )""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)

MAX_DIGITS = 1000


class Cursor:
    """The current token, and the way to the next.

    Attributes:
        kind: ``name``, ``real``, ``integer``, ``string``, ``symbol`` or ``end``.
        text: The token as written.
        at: Its position.
        end: The position behind it.
    """

    __slots__ = ("at", "end", "kind", "source", "text")

    def __init__(self, source: Source, at: int) -> None:
        self.source = source
        self.end = at
        self.advance()

    def advance(self) -> None:
        """Moves to the next token."""
        match = _TOKEN.match(self.source.text, self.end)
        if match is None or match.lastgroup is None:  # pragma: no cover - the pattern's last branches match anything
            raise AssertionError("the token pattern matches every text")
        self.kind = match.lastgroup
        self.text = match[self.kind]
        self.at, self.end = match.span(self.kind)
        if self.kind == "unknown":
            raise self.error("unexpected character")

    def error(self, message: str, *, hint: str | None = None) -> CircuitSyntaxError:
        """The error for the current token."""
        if self.kind == "end":
            return self.source.error(f"the file ends too early: {message}", self.at, hint=hint)
        return self.source.error(message, self.at, self.text, hint=hint)

    def accept(self, symbol: str) -> bool:
        """Moves past ``symbol`` if it is there."""
        if self.kind == "symbol" and self.text == symbol:
            self.advance()
            return True
        return False

    def require(self, symbol: str) -> int:
        """Moves past ``symbol`` and returns the position behind it; anything else is an error."""
        if self.kind != "symbol" or self.text != symbol:
            raise self.error(f"expected {symbol!r}")
        end = self.end
        # What follows the last symbol of a statement belongs to the next one: it is read there.
        if symbol not in ";}":
            self.advance()
        return end

    def name(self, what: str) -> str:
        """Moves past a name; ``what`` says in errors what it would be the name of."""
        if self.kind != "name":
            raise self.error(f"expected the name of {what}")
        text = self.text
        self.advance()
        return text

    def integer(self, what: str) -> int:
        """Moves past a non-negative integer."""
        if self.kind != "integer":
            raise self.error(f"expected {what}, a non-negative integer")
        if len(self.text) > MAX_DIGITS:
            raise self.error(f"a number of {len(self.text)} digits; the limit is {MAX_DIGITS}")
        value = int(self.text)
        self.advance()
        return value
