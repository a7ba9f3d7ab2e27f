"""A report as one HTML page that needs nothing else: no script, no font, no other host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from proxima.cli.output import format_seconds
from proxima_execution.benchmarking.baseline import Comparison
from proxima_execution.benchmarking.plots import can_plot, picture
from proxima_execution.benchmarking.report import Measurement, Report
from proxima_execution.benchmarking.summary import by_case, fastest_of, standings

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777; --bar: #4c78a8; --bad: #c0392b; --good: #1e8449; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.about { color: var(--soft); margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .2rem .6rem; text-align: left; }
th { border-bottom: 2px solid var(--line); } tr.first td { border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bar { width: 25%; min-width: 6rem; }
td.bar div { background: var(--bar); height: .7rem; min-width: 2px; border-radius: 2px; }
td.why { color: var(--soft); } .slower, .lost { color: var(--bad); } .faster { color: var(--good); }
figure { margin: 1rem 0; background: #fff; border-radius: 4px; } svg { width: 100%; height: auto; }
"""


def to_html(report: Report, comparisons: Sequence[Comparison] = ()) -> str:
    """The page: a summary, the picture where matplotlib is installed, every case, and the baseline's ratios."""
    made = datetime.fromtimestamp(report.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    host = ", ".join(f"{key} {value}" for key, value in report.host.items())
    options = ", ".join(f"{key} {value}" for key, value in report.options.items() if value not in (None, False))
    title = f"Benchmark: {report.suite}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="about">{escape(made)}<br>{escape(host)}<br>{escape(options)}</p>',
    ]
    if report.interrupted:
        parts.append("<p><strong>Interrupted: what had been measured by then.</strong></p>")
    parts += ["<h2>Backends</h2>", _standings(report)]
    if can_plot() and any(m.seconds for m in report.measurements):
        svg = picture(report, "svg").decode()
        parts += ["<h2>Times</h2>", f"<figure>{svg[svg.index('<svg') :]}</figure>"]
    parts += ["<h2>Cases</h2>", _cases(report)]
    if comparisons:
        parts += ["<h2>Against the baseline</h2>", _comparisons(comparisons)]
    if report.skipped:
        rows = [
            f"<tr><td>{escape(name)}</td><td class=why>{escape(why)}</td></tr>" for name, why in report.skipped.items()
        ]
        parts += ["<h2>Left out</h2>", "<table>", *rows, "</table>"]
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _standings(report: Report) -> str:
    rows = [
        f"<tr><td>{escape(s.backend)}</td><td class=number>{s.measured} of {s.cases}</td>"
        f"<td class=number>{s.fastest}</td><td class=number>{'' if s.factor is None else f'{s.factor:.2f}x'}</td></tr>"
        for s in standings(report)
    ]
    head = (
        "<tr><th>backend<th class=number>timed<th class=number>fastest<th class=number>geometric mean to fastest</tr>"
    )
    return "\n".join(["<table>", head, *rows, "</table>"])


def _cases(report: Report) -> str:
    slowest = max((m.median for m in report.measurements if m.seconds), default=1.0)
    quickest = fastest_of(report.measurements)
    head = (
        "<tr><th>case<th>backend<th>method<th class=number>median<th class=number>spread<th class=number>runs"
        "<th class=number>to fastest<th>time, logarithmic</tr>"
    )
    lines = ["<table>", head]
    for name, group in by_case(report).items():
        best = fastest_of(group)
        for number, m in enumerate(group):
            first = ' class="first"' if number == 0 else ""
            lines.append(f"<tr{first}><td>{escape(name) if number == 0 else ''}</td><td>{escape(m.backend)}</td>")
            lines.append(_times(m, best, log_share(m.median, quickest, slowest)))
            lines.append("</tr>")
    return "\n".join([*lines, "</table>"])


def _times(m: Measurement, best: float, share: float) -> str:
    if not m.seconds:
        return f'<td colspan="6" class="why">{escape(m.status)}: {escape(m.reason)}</td>'
    return (
        f"<td>{escape(m.method)}</td><td class=number>{format_seconds(m.median)}</td>"
        f"<td class=number>{format_seconds(m.spread)}</td><td class=number>{len(m.seconds)}</td>"
        f"<td class=number>{m.median / best:.2f}x</td>"
        f'<td class="bar"><div style="width:{100 * share:.1f}%"></div></td>'
    )


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    rows = [
        f'<tr class="{c.change.split()[0]}"><td>{escape(c.case)}</td><td>{escape(c.backend)}</td>'
        f"<td class=number>{'' if c.ratio is None else f'{c.ratio:.3f}'}</td>"
        f"<td class=number>{'' if c.beyond is None else f'{c.beyond:.3f}'}</td><td>{escape(c.change)}</td></tr>"
        for c in comparisons
    ]
    head = "<tr><th>case<th>backend<th class=number>now / then<th class=number>noise up to<th>verdict</tr>"
    return "\n".join(["<table>", head, *rows, "</table>"])


def log_share(time: float, quickest: float, slowest: float) -> float:
    """Where a time lies between the quickest and the slowest on a logarithmic scale, from 0.05 to 1."""
    if not slowest > quickest or not math.isfinite(time):
        return 1.0
    return 0.05 + 0.95 * math.log(time / quickest) / math.log(slowest / quickest)
