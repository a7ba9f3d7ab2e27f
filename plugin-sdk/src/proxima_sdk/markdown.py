"""Text of somebody's as Markdown, in which it stays text."""

from __future__ import annotations

_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", **{mark: f"\\{mark}" for mark in "\\`*_[]"}}
)


def plain(text: str) -> str:
    """The text on one line, without a character that means something in Markdown, in its tables or in HTML."""
    return " ".join(text.split()).translate(_ESCAPED)
