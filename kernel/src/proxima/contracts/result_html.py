"""A result as HTML for notebooks: a histogram in plain markup, no script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxima.contracts.result import RunResult

MAX_ROWS = 32


def result_html(result: RunResult) -> str:
    """The result's header line and, where there are counts, their histogram, the most frequent first."""
    head = f"<b>{escape(result.backend)}</b> ({escape(result.method)}, {result.precision} precision"
    head += f", {result.shots} shots)" if result.shots else ")"
    rows = [
        f"<tr><td>{escape(e.observable)}</td><td>{e.value:.8g} &plusmn; {e.standard_error:.2g}</td></tr>"
        for e in result.expectations
    ]
    rows += [
        f"<tr><td>d{escape(g.observable)}/d{escape(name)}</td><td>{value:.8g}</td></tr>"
        for g in result.gradients
        for name, value in zip(g.parameters, g.values.tolist(), strict=True)
    ]
    if result.counts:
        total = sum(result.counts.values())
        ordered = sorted(result.counts.items(), key=lambda item: (-item[1], item[0]))
        top = ordered[0][1]
        for bits, count in ordered[:MAX_ROWS]:
            bar = f'<div style="background:#4c78a8;height:0.8em;width:{100 * count / top:.1f}%"></div>'
            rows.append(
                f"<tr><td><code>{escape(bits)}</code></td><td>{count}</td><td>{100 * count / total:.1f}%</td>"
                f'<td style="width:20em">{bar}</td></tr>'
            )
        if len(ordered) > MAX_ROWS:
            more, rest = len(ordered) - MAX_ROWS, sum(count for _, count in ordered[MAX_ROWS:])
            rows.append(f"<tr><td>{more} more</td><td>{rest}</td><td>{100 * rest / total:.1f}%</td><td></td></tr>")
    states = [
        name
        for name in ("statevector", "density_matrix", "probabilities", "samples")
        if getattr(result, name) is not None
    ]
    if states:
        head += f": {', '.join(states)}"
    return f"<div>{head}</div>" + (f"<table>{''.join(rows)}</table>" if rows else "")
