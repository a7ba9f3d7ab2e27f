"""The comparison as a picture: time, memory and error over the qubits."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxima.errors import UsageError
from proxima_bench_lret.cases import LEAST_BYTES, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
# Wong, Nature Methods 8, 441 (2011): told apart with every kind of colour vision.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_STYLES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#555555"


def check_name(path: str) -> str:
    """The file's ending.

    Raises:
        UsageError: No picture is written under such a name.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError(f"{path}: a plot is written as {', '.join(FORMATS)}", hint="e.g. --plot scalability.png")
    return ending


def picture(rows: Sequence[Row], ending: str, *, tolerance: float) -> bytes:
    """The plot as a file's content.

    Args:
        rows: What was measured.
        ending: One of `FORMATS`.
        tolerance: Of the low-rank simulator, drawn as a line.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3, "svg.hashsalt": "proxima"}):
        figure = Figure(figsize=(13.5, 4.8), layout="constrained")
        time, memory, error = figure.subplots(1, 3, sharex=True)
        depths = sorted({row.case.depth for row in rows})
        noises = sorted({row.case.noise for row in rows})
        for style, depth in enumerate(depths):
            look = {"linestyle": _STYLES[style % len(_STYLES)], "marker": _MARKERS[style % len(_MARKERS)]}
            # The time of a density matrix does not depend on how strong the noise is.
            series = [r for r in rows if (r.case.depth, r.case.noise) == (depth, noises[0])]
            look |= {"color": _GREY}
            _draw(time, series, lambda r: r.cirq_seconds, **look)
            _draw(memory, series, lambda r: _mebibytes(r.cirq_bytes), **look)
            for number, noise in enumerate(noises):
                series = [r for r in rows if (r.case.depth, r.case.noise) == (depth, noise)]
                look |= {"color": _COLOURS[number % len(_COLOURS)]}
                _draw(time, series, lambda r: r.lret_seconds, **look)
                _draw(memory, series, lambda r: _mebibytes(r.lret_bytes), **look)
                _draw(error, series, lambda r: r.bound, **look)
                _draw(error, series, lambda r: r.distance, **{**look, "linestyle": "", "markerfacecolor": "none"})
        error.axhline(tolerance, color=_GREY, linewidth=1)
        _dress(time, "Time of one simulation", "seconds", log=True)
        _dress(memory, "Rise of the peak memory, from 1 MiB on", "MiB", log=True)
        if not memory.lines:
            memory.text(0.5, 0.5, "none rose by 1 MiB", transform=memory.transAxes, ha="center", color=_GREY)
            memory.set_yticks([])
            memory.minorticks_off()
        _dress(error, "Error of the low-rank state", "trace distance")
        error.set_ylim(0, 1.15 * tolerance)
        _explain(figure, depths, noises)
        figure.suptitle(
            "Low-rank simulator and Cirq's density matrices: brick circuits, depolarizing noise p after each gate"
        )
        out = io.BytesIO()
        figure.savefig(out, format=ending.removeprefix("."), dpi=150)
    return out.getvalue()


def _explain(figure: Figure, depths: Sequence[int], noises: Sequence[float]) -> None:
    """What colours, lines and marks mean, below the axes."""
    from matplotlib.lines import Line2D

    colours = [Line2D([], [], color=_GREY, label="Cirq")]
    colours += [
        Line2D([], [], color=_COLOURS[number % len(_COLOURS)], label=f"LRET, p = {noise:g}")
        for number, noise in enumerate(noises)
    ]
    lines = []
    for number, depth in enumerate(depths):
        look: dict[str, Any] = {"linestyle": _STYLES[number % len(_STYLES)], "marker": _MARKERS[number % len(_MARKERS)]}
        lines.append(Line2D([], [], color=_GREY, markersize=5, label=f"depth {depth}", **look))
    errors = [
        Line2D([], [], color=_GREY, linewidth=1, label="tolerance"),
        Line2D([], [], color=_GREY, marker="o", markersize=5, label="bound, certified"),
        Line2D([], [], color=_GREY, marker="o", markerfacecolor="none", linestyle="", label="true distance"),
    ]
    plain: dict[str, Any] = {"fontsize": 9, "frameon": False, "handlelength": 3}
    figure.legend(handles=colours, loc="outside lower left", ncols=2 if len(colours) > 3 else 3, **plain)
    figure.legend(handles=lines, loc="outside lower center", ncols=3, **plain)
    figure.legend(handles=errors, loc="outside lower right", ncols=3, **plain)


def _mebibytes(size: int | None) -> float | None:
    return None if size is None or size < LEAST_BYTES else size / 2**20


def _draw(axes: Axes, rows: Sequence[Row], value: Callable[[Row], float | None], **look: Any) -> None:
    points = [(row.case.qubits, y) for row in rows if (y := value(row))]  # 0 has no place on a logarithmic axis
    if points:
        axes.plot(*zip(*points, strict=True), markersize=5, linewidth=1.5, **look)


def _dress(axes: Axes, title: str, unit: str, *, log: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title)
    axes.set_xlabel("qubits")
    axes.set_ylabel(unit)
    axes.set_yscale("log" if log else "linear")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
