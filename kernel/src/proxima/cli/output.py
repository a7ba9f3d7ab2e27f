"""What every command prints with: tables, bars, progress and JSON, safe for any text and any terminal width."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def clean(text: object) -> str:
    r"""Text from outside with everything a terminal would act on, or could not show, as an escape, e.g. ``\x1b``."""
    line = str(text)
    return line if line.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in line)


def paragraph(text: str) -> str:
    """Text of several lines, cleaned; those after the first are indented, so that none looks like one of ours."""
    first, *others = [clean(line) for line in text.splitlines()] or [""]
    return "\n".join([first, *(line if line.startswith(" ") else f"  {line}" for line in others)])


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def wrap(text: str, width: int | None = None) -> str:
    """One paragraph, cleaned and broken to the width; continued lines are indented."""
    import textwrap

    return textwrap.fill(clean(text), width or terminal_width(), subsequent_indent="  ", break_on_hyphens=False)


def terminal_width() -> int:
    """Columns of the terminal (``COLUMNS`` wins); 80 where there is none."""
    return max(shutil.get_terminal_size((80, 24)).columns, 20)


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Prints one JSON document in ASCII, so that any terminal and any encoding takes it; null for what JSON has not."""
    (stream or sys.stdout).write(json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """The data with null in place of infinities and of what is no number."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_seconds(seconds: float) -> str:
    """Three digits and a fitting unit: ``1.23 ms``, ``4.5 s``, ``2 min 5 s``."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds >= 119.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def format_bytes(size: float) -> str:
    """Three digits and a binary unit: ``512 B``, ``16 MiB``, ``16 TiB``."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    if size > 1e300:
        return "more than 1e300 B"  # what a circuit of a thousand qubits would take
    power = min(int(math.log2(size) // 10), len(units) - 1) if size >= 1 else 0
    return f"{_three_digits(size / 1024.0**power)} {units[power]}"


def _three_digits(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    text = f"{number:.3g}"
    return f"{number:.0f}" if "e" in text else text


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None, *, whole: int = 0) -> str:
    """Rows under headers, columns of numbers to the right; the widest columns are cut until a row fits the width.

    The first ``whole`` columns are cut only where that is not enough.
    """
    width = width or terminal_width()
    cells = [[clean(cell) for cell in row] for row in rows]
    sizes = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
    while sum(sizes) + 2 * (len(sizes) - 1) > width and max(sizes) > 4:
        first = whole if max(sizes[whole:], default=0) > 4 else 0
        sizes[sizes.index(max(sizes[first:]), first)] -= 1
    lines = []
    for row in ([clean(h) for h in headers], ["-" * size for size in sizes], *cells):
        fitted = (_cut(cell, size) for cell, size in zip(row, sizes, strict=True))
        aligned = (c.rjust(s) if r else c.ljust(s) for c, s, r in zip(fitted, sizes, right, strict=True))
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: max(size - 2, 1)] + ".."


def histogram(counts: Mapping[str, int], width: int | None = None, rows: int = 16, stream: TextIO | None = None) -> str:
    """A bar for each of the most frequent outcomes, scaled to the largest; the rest is summed on a last line.

    Long bit strings are cut in the middle. Bars are ASCII where ``stream`` (standard output) cannot encode blocks.
    """
    width = width or terminal_width()
    total = sum(counts.values())
    if not total:
        return "no counts"
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ordered[:rows], ordered[rows:]
    numbers = len(str(shown[0][1])) if not rest else len(str(max(shown[0][1], sum(n for _, n in rest))))
    tail = f"{len(rest)} more" if rest else ""
    # Two spaces before the number and the percentage (6 wide), one before the bar, which gets at least 8 columns.
    room = width - numbers - 2 - 8 - 9
    labels = [_cut_middle(clean(bits) or "(no bits)", max(room, 8)) for bits, _ in shown]
    size = max(len(tail), *map(len, labels))
    bar_width = max(width - size - numbers - 11, 1)
    blocks = can_encode(_EIGHTHS, stream)
    lines = [
        f"{label:<{size}}  {n:>{numbers}}  {100 * n / total:5.1f}% {bar(n / shown[0][1], bar_width, blocks)}".rstrip()
        for label, (_, n) in zip(labels, shown, strict=True)
    ]
    if rest:
        n = sum(count for _, count in rest)
        lines.append(f"{tail:<{size}}  {n:>{numbers}}  {100 * n / total:5.1f}%")
    return "\n".join(lines)


def bar(fraction: float, width: int, blocks: bool | None = None) -> str:
    """A bar over a fraction of the width, an eighth of a column at least; ASCII where standard output has no blocks."""
    if blocks is None:
        blocks = can_encode(_EIGHTHS)
    if not blocks:
        return "#" * max(round(fraction * width), 1)
    eighths = max(round(fraction * width * 8), 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _cut_middle(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    head = (size - 2) // 2
    return f"{text[:head]}..{text[len(text) - (size - 2 - head) :]}"


def can_encode(text: str, stream: TextIO | None = None) -> bool:
    """Whether the stream (standard output) has the characters."""
    try:
        text.encode(getattr(stream or sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class ProgressLine:
    """One line on standard error that says how far something is; nothing where that is no terminal.

    It appears once a second has passed, so that short work stays silent, and is wiped at the end.

        >>> with ProgressLine() as progress:
        ...     progress(0.5, "sampling")
    """

    def __init__(self, stream: TextIO | None = None, *, after: float = 1.0) -> None:
        self._stream = stream or sys.stderr
        self._shows = self._stream.isatty()
        self._start = time.monotonic()
        self._next = self._start + after
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __call__(self, fraction: float | None, message: str) -> None:
        """Says where it stands; drawn at most ten times a second."""
        now = time.monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + 0.1
        percent = "" if fraction is None else f"{100 * min(max(fraction, 0.0), 1.0):3.0f}%  "
        line = f"{percent}{clean(message)}  {format_seconds(now - self._start)}"
        self._stream.write(f"\r\x1b[K{line[: terminal_width() - 1]}")
        self._stream.flush()
        self._drawn = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Takes the line away, until there is more to tell."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False
