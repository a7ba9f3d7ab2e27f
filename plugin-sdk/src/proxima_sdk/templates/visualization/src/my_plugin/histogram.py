"""A histogram of counts as SVG, written out as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.result import RunResult
from proxima.errors import UsageError
from proxima_sdk import Visualization

HEIGHT, BASE, TOP = 240, 180, 30  # of the picture, of the axis, of the tallest bar
STEP, BAR = 48, 32  # from bar to bar, and a bar's width


class Histogram(Visualization):
    """The most frequent bit strings, each as a bar with its share of the shots."""

    name = "my-plugin"
    formats = ("svg",)
    defaults = {"bars": 16, "colour": "#1f4e79", "title": ""}

    def render(self, subject: RunResult | Circuit, picture_format: str, options: Mapping[str, Any]) -> bytes:
        """Draws a result; what is left out is said below the axis."""
        given = self.settings(picture_format, options)
        if not isinstance(subject, RunResult) or not subject.counts:
            raise UsageError(f"{self.name} draws the counts of a result, and there are none")
        if given["bars"] < 1:
            raise UsageError(f"{self.name}: bars: expected at least 1, got {given['bars']}")
        most = sorted(subject.counts.items(), key=lambda item: (-item[1], item[0]))
        shown = sorted(most[: given["bars"]])
        title = given["title"] or f"{subject.backend}, {sum(subject.counts.values())} shots"
        return _svg(shown, sum(subject.counts.values()), title, given["colour"], len(most) - len(shown)).encode()


def _svg(bars: list[tuple[str, int]], shots: int, title: str, colour: str, left_out: int) -> str:
    width = max(STEP * (len(bars) + 1), 240)
    highest = max(count for _, count in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" font-family="sans-serif">',
        f'<text x="{width / 2}" y="18" font-size="14" text-anchor="middle">{escape(title)}</text>',
        f'<line x1="{STEP / 2}" y1="{BASE}" x2="{width - STEP / 2}" y2="{BASE}" stroke="#444"/>',
    ]
    for number, (bits, count) in enumerate(bars):
        x, height = STEP * (number + 0.5) + (STEP - BAR) / 2, (BASE - TOP - 14) * count / highest
        lines += [
            f'<rect x="{x}" y="{BASE - height:.2f}" width="{BAR}" height="{height:.2f}" fill="{escape(colour)}"/>',
            _label(x + BAR / 2, BASE - height - 4, f"{count / shots:.1%}"),
            _label(x + BAR / 2, BASE + 14, bits),
        ]
    if left_out:
        lines.append(_label(width / 2, HEIGHT - 12, f"{left_out} rarer bit strings are not shown"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y:.2f}" font-size="10" text-anchor="middle">{escape(text)}</text>'
