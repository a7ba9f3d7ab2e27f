"""A report's times as pictures, by matplotlib, which is an extra of this package."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from proxima.errors import UnavailableError, UsageError
from proxima.storage import write_atomic
from proxima_execution.benchmarking.report import Measurement, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
_COLUMNS = 3


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def check_plot(path: str) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: It is neither PNG nor SVG.
        UnavailableError: matplotlib is not installed.
    """
    ending = os.path.splitext(path)[1].lower().lstrip(".")
    if ending not in FORMATS:
        raise UsageError(f"cannot plot to {path}", hint="its name must end in .png or .svg")
    if not can_plot():
        raise UnavailableError(
            "plots need matplotlib, which is not installed", hint='pip install "proxima-execution[plots]"'
        )
    return ending


def write_plot(report: Report, path: str) -> None:
    """Writes the picture to a file whose name ends in ``.png`` or ``.svg``.

    Raises:
        StorageError: The file cannot be written.
    """
    write_atomic(path, picture(report, check_plot(path)))


def picture(report: Report, picture_format: str) -> bytes:
    """The picture: for each family with several sizes its times over the number of qubits, other cases as bars."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "proxima", "font.size": 9.0}):
        metadata = {"Date": None} if picture_format == "svg" else {}
        _draw(report).savefig(buffer, format=picture_format, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _draw(report: Report) -> Figure:
    from matplotlib.figure import Figure

    families: dict[str, list[Measurement]] = {}
    for m in report.measurements:
        if m.seconds:
            families.setdefault(m.family, []).append(m)
    lines = {name: ms for name, ms in families.items() if len({m.num_qubits for m in ms}) > 1}
    others = [m for name, ms in families.items() if name not in lines for m in ms]
    panels = len(lines) + bool(others) or 1
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    height = max(3.0 * rows, 0.22 * len(others) + 1.5 if others and not lines else 0.0)
    figure = Figure(figsize=(max(3.9 * columns, 6.0), height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = {backend: f"C{number % 10}" for number, backend in enumerate(report.backends)}
    for axis, (name, measurements) in zip(axes, lines.items(), strict=False):
        _lines(axis, name, measurements, colours)
    if others:
        _bars(axes[len(lines)], others, colours)
    for axis in axes[panels:]:
        axis.set_visible(False)
    shown = [
        backend for backend in report.backends if any(m.backend == backend and m.seconds for m in report.measurements)
    ]
    if shown:
        from matplotlib.patches import Patch

        handles = [Patch(color=colours[backend], label=backend) for backend in shown]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(shown), 6), frameon=False)
    else:
        axes[0].text(0.5, 0.5, "nothing was measured", ha="center")
    return figure


def _lines(axis: Any, name: str, measurements: Sequence[Measurement], colours: dict[str, str]) -> None:
    for backend in dict.fromkeys(m.backend for m in measurements):
        mine = sorted((m for m in measurements if m.backend == backend), key=lambda m: m.num_qubits)
        axis.errorbar(
            [m.num_qubits for m in mine],
            [m.median for m in mine],
            # No lower end at or below zero, which a logarithmic axis has no place for.
            yerr=[[min(m.spread, 0.9 * m.median) for m in mine], [m.spread for m in mine]],
            color=colours[backend],
            marker="o",
            markersize=3,
            linewidth=1.2,
            capsize=2,
        )
    axis.set_yscale("log")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_title(name)
    axis.set_xlabel("qubits")
    axis.set_ylabel("seconds")
    axis.grid(visible=True, which="major", alpha=0.3)


def _bars(axis: Any, measurements: Sequence[Measurement], colours: dict[str, str]) -> None:
    labels = [m.case for m in measurements]
    axis.barh(
        range(len(measurements)),
        [m.median for m in measurements],
        xerr=[[min(m.spread, 0.9 * m.median) for m in measurements], [m.spread for m in measurements]],
        color=[colours[m.backend] for m in measurements],
    )
    axis.set_yticks(range(len(labels)), labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel("seconds")
