"""Docstrings as Markdown: sections as lists, examples as code, and nothing in them as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from textwrap import dedent

_LISTED = re.compile(r"(Args|Attributes|Raises):$")
_TOLD = re.compile(r"(Example|Examples|Note|Notes|Returns|Yields):$")
_NAMES = re.compile(r"[\w*, .]+")
_CODE = re.compile(r"(`+[^`]+`+)")


def docstring_as_markdown(docstring: str) -> list[str]:
    """The lines of a docstring in Google's style, its indentation cleaned, as lines of Markdown."""
    return tidy(_lines(docstring.splitlines()))


def tidy(lines: Iterable[str]) -> list[str]:
    """The lines of Markdown without a blank one after another, at the beginning or at the end; code stays as it is."""
    kept: list[str] = []
    fence = ""
    for line in lines:
        if fence:
            fence = "" if line == fence else fence
        elif opening := re.match("`{3,}", line):
            fence = opening[0]
        elif not line and (not kept or not kept[-1]):
            continue
        kept.append(line)
    return kept[:-1] if kept and not kept[-1] else kept


def fenced(text: str, language: str) -> list[str]:
    """Code between fences that are longer than any run of backticks in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 0)
    return [f"{fence}{language}", *text.splitlines(), fence]


def _lines(lines: list[str]) -> Iterator[str]:
    section, i = "", 0
    while i < len(lines):
        line = lines[i]
        if line.lstrip().startswith((">>> ", "```")) or line.endswith("::"):
            end = _end_of_code(lines, i)
            yield from _code(lines[i:end])
            i = end
            continue
        i += 1
        if _LISTED.fullmatch(line) or _TOLD.fullmatch(line):
            section = line[:-1]
            yield from ("", line, "")
        elif not section or not line.startswith(" "):
            section = section if not line.strip() else ""
            yield inline(line)
        elif _TOLD.fullmatch(f"{section}:"):
            yield inline(line.strip())
        elif line.startswith("     "):
            yield f"  {inline(line.strip())}"
        else:
            name, colon, text = line.strip().partition(": ")
            simple = colon and _NAMES.fullmatch(name)
            yield f"- `{name}`: {inline(text)}" if simple else f"- {inline(line.strip())}"


def _end_of_code(lines: list[str], start: int) -> int:
    """The line after the code that begins here: a session ends with a blank line, as doctest has it."""
    first, end = lines[start], start + 1
    if first.lstrip().startswith("```"):
        closing = next((i for i in range(end, len(lines)) if lines[i].strip() == "```"), len(lines) - 1)
        return closing + 1
    if first.endswith("::"):
        indent = _indent(first)
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
            end += 1
        return end
    while end < len(lines) and lines[end].strip():
        end += 1
    return end


def _code(lines: list[str]) -> Iterator[str]:
    """What introduces it, and the code: a session keeps its prompts where it has output, which they tell it from."""
    text = dedent("\n".join(lines))
    language = "python"
    if lines[0].lstrip().startswith("```"):
        language = lines[0].strip().lstrip("`")
        text = text.partition("\n")[2].removesuffix("```").rstrip("\n")
    elif lines[0].endswith("::"):
        yield inline(lines[0].strip()[:-1])
        text = dedent("\n".join(lines[1:])).strip("\n")
    if text.startswith(">>> "):
        prompted = [line for line in text.splitlines() if re.match(r"(>>>|\.\.\.)( |$)", line)]
        language = "pycon" if len(prompted) < len(text.splitlines()) else "python"
        text = text if language == "pycon" else "\n".join(line[4:] for line in prompted)
    if text:
        yield from ("", *fenced(text, language), "")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def inline(text: str) -> str:
    """One line, with the double backticks of docstrings as single ones; what is no code holds no HTML and no link."""
    parts = _CODE.split(text)
    prose = [part if i % 2 else _plain(part) for i, part in enumerate(parts)]
    return "".join(prose).replace("``", "`").replace("|", "\\|")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
