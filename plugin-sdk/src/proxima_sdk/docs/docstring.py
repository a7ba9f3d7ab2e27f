"""Docstrings as Markdown: sections as lists, examples as code, and nothing in them as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
_CODE = re.compile(r"(`+[^`]+`+)")


def docstring_as_markdown(docstring: str) -> list[str]:
    """The lines of a docstring in Google's style, its indentation cleaned, as lines of Markdown."""
    text = "\n".join(_lines(docstring.splitlines()))
    return text.replace("```python\n\n", "```python\n").replace("\n\n```\n", "\n```\n").splitlines()


def _lines(lines: list[str]) -> Iterator[str]:
    section, code = "", False
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        in_code = line.startswith((">>> ", "... ")) or (code and line.startswith("    "))
        if code and not in_code and line.strip():
            yield "```"
            yield ""
            code = False
        if heading := _SECTION.fullmatch(line):
            section = heading[1]
            yield f"{section}:"
            yield ""
        elif line.startswith((">>> ", "... ")):
            if not code:
                yield "```python"
            code = True
            yield line[4:]
        elif code:
            yield line.removeprefix("    ")
        elif line.endswith("::"):
            yield inline(line[:-1])
            yield ""
            yield "```python"
            code = True
        elif section and line.startswith("    ") and not line.startswith("     "):
            name, colon, text = line.strip().partition(": ")
            simple = colon and re.fullmatch(r"[\w, .]+", name)
            yield f"- `{name}`: {inline(text)}" if simple else f"- {inline(line.strip())}"
        elif section and line.strip():
            yield f"  {inline(line.strip())}"
        else:
            if not line.startswith(" ") and line.strip():
                section = ""
            yield inline(line)
        if code and not following and i + 1 == len(lines):
            yield "```"


def inline(text: str) -> str:
    """One line, with the double backticks of docstrings as single ones; what is no code holds no HTML and no link."""
    parts = _CODE.split(text)
    prose = [part if i % 2 else _plain(part) for i, part in enumerate(parts)]
    return "".join(prose).replace("``", "`").replace("|", "\\|")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
