"""Whether a wheel's description makes a page: it is Markdown, it renders, and what it points to can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from proxima.store.problems import Problem

MAX_BYTES = 128 << 10

_REMOVED = ("script", "iframe", "object", "embed", "form", "style")
_WHERE = "README"


class _Page(HTMLParser):
    """What a rendered page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.words = 0
        self.removed: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REMOVED or any(name.startswith("on") for name, _ in attrs):
            self.removed.add(tag)
        self.targets += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.words += len(data.split())


def judge_readme(metadata: Message) -> Iterator[Problem]:
    """What is wrong with the description in a wheel's METADATA."""
    body = metadata.get_payload(decode=True)
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
    text = text.strip() or str(metadata.get("Description") or "").strip()
    kind = str(metadata.get("Description-Content-Type") or "text/x-rst").partition(";")[0].strip().lower()
    hint = 'write README.md and name it in pyproject.toml: readme = "README.md"'
    if not text:
        yield Problem("readme", "the wheel has no description", _WHERE, hint=hint)
        return
    if len(text.encode()) > MAX_BYTES:
        yield Problem(
            "readme", f"is larger than {MAX_BYTES:,} bytes", _WHERE, hint="move what is long to the documentation"
        )
        return
    if kind != "text/markdown":
        yield Problem("readme", f"is {kind}, which is shown as it stands, not rendered", _WHERE, "warning", hint)
        return
    page = _rendered(text)
    if page.words < 10:
        yield Problem("readme", f"says nothing: {page.words} words once it is rendered", _WHERE, "warning")
    if page.removed:
        tags = ", ".join(sorted(page.removed))
        yield Problem("readme", f"holds HTML that no page keeps: {tags}", _WHERE, "warning")
    for target in dict.fromkeys(page.targets):
        if not urlsplit(target).scheme and not target.startswith("#"):
            message = f"points to {target}, which is not part of the page"
            yield Problem("readme", message, _WHERE, "warning", "write the whole address, with https://")


def _rendered(text: str) -> _Page:
    page = _Page()
    page.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
    page.close()
    return page
