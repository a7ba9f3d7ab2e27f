"""Rows as a table for the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from proxima.cli.output import format_bytes, format_seconds, table
from proxima_bench_lret.cases import LEAST_BYTES, Row

_FIELDS = (
    "qubits", "depth", "noise", "cirq_seconds", "lret_seconds", "speedup", "cirq_bytes", "lret_bytes", "rank",
    "distance", "bound", "fidelity", "notes",
)  # fmt: skip


def as_dict(row: Row) -> dict[str, Any]:
    """A row as JSON-ready data; seconds, bytes, and trace distances as numbers, null where there is none."""
    case = {"qubits": row.case.qubits, "depth": row.case.depth, "noise": row.case.noise}
    return case | {name: getattr(row, name) for name in _FIELDS[3:-1]} | {"notes": list(row.notes)}


def as_csv(rows: Sequence[Row]) -> str:
    """The rows under a header; empty where there is none, notes separated by semicolons."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(as_dict(row) | {"notes": "; ".join(row.notes)})
    return text.getvalue()


def as_table(rows: Sequence[Row]) -> str:
    """For the terminal: a table for each depth and noise, times and memory in fitting units."""
    groups: dict[tuple[int, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case.depth, row.case.noise), []).append(row)
    headers = ("qubits", "Cirq", "LRET", "speed-up", "Cirq mem", "LRET mem", "rank", "distance", "bound")
    parts = [
        f"depth {depth}, noise {noise:g}\n{table(headers, [_cells(row) for row in group], whole=1)}"
        for (depth, noise), group in groups.items()
    ]
    return "\n\n".join(parts)


def _cells(row: Row) -> tuple[object, ...]:
    return (
        row.case.qubits,
        "" if row.cirq_seconds is None else format_seconds(row.cirq_seconds),
        "" if row.lret_seconds is None else format_seconds(row.lret_seconds),
        "" if row.speedup is None else times(row.speedup),
        _memory(row.cirq_bytes),
        _memory(row.lret_bytes),
        "" if row.rank is None else str(row.rank),
        "" if row.distance is None else f"{row.distance:.2g}",
        "" if row.bound is None else f"{row.bound:.2g}",
    )


def times(factor: float) -> str:
    """A factor with three digits: ``13.2x``, ``1118x``."""
    return f"{factor:.0f}x" if factor >= 99.95 else f"{factor:.3g}x"


def _memory(size: int | None) -> str:
    if size is None:
        return ""
    return format_bytes(size) if size >= LEAST_BYTES else "< 1 MiB"


def remarks(rows: Sequence[Row]) -> list[str]:
    """What was not measured and why, each reason once."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            case = f"{row.case.qubits} qubits, depth {row.case.depth}, noise {row.case.noise:g}"
            found.setdefault(note, []).append(case)
    return [f"{note} ({cases[0] if len(cases) == 1 else f'{len(cases)} cases'})" for note, cases in found.items()]
