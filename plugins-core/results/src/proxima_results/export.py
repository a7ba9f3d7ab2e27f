"""A stored run as a file: JSON with everything, CSV with what fits a table, or one array as ``.npy``."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from proxima.contracts.records import RunRecord
from proxima.contracts.result import RunResult
from proxima.contracts.result_json import ARRAYS, result_to_dict
from proxima.errors import UsageError

FORMATS = ("json", "csv", "npy")


def record_to_dict(record: RunRecord) -> dict[str, Any]:
    """The record as JSON-ready data: the result's fields, and what the record adds to them.

    Raises:
        UsageError: An array is too large for JSON.
    """
    return {
        **result_to_dict(record.result),
        "created": record.created,
        "source": record.source,
        "plugin": record.plugin,
        "plugin_version": record.plugin_version,
        "host": dict(record.host),
        "noise": None if record.options.noise is None else str(record.options.noise),
        "parameters": dict(record.options.parameters),
        "options": dict(record.options.options),
    }


def to_csv(result: RunResult) -> str:
    """Tables with a header line each, an empty line between them: counts, expectations, gradients, probabilities,
    statevector.

    Raises:
        UsageError: There is nothing that fits a table.
    """
    tables: list[str] = []
    if result.counts is not None:
        tables.append(_csv(("bitstring", "count"), result.counts.items()))
    if result.expectations:
        rows = [(e.observable, e.value, e.variance, e.standard_error) for e in result.expectations]
        tables.append(_csv(("observable", "value", "variance", "standard_error"), rows))
    if result.gradients:
        derivatives = (
            (g.observable, name, value, g.method)
            for g in result.gradients
            for name, value in zip(g.parameters, g.values.tolist(), strict=True)
        )
        tables.append(_csv(("observable", "parameter", "derivative", "method"), derivatives))
    width = result.circuit.num_qubits if result.circuit else 0
    if result.probabilities is not None:
        pairs = enumerate(result.probabilities.tolist())
        tables.append(_csv(("bitstring", "probability"), ((format(i, f"0{width}b"), p) for i, p in pairs)))
    if result.statevector is not None:
        amplitudes = enumerate(result.statevector.tolist())
        rows3 = ((format(i, f"0{width}b"), a.real, a.imag) for i, a in amplitudes)
        tables.append(_csv(("bitstring", "real", "imaginary"), rows3))
    if not tables:
        raise UsageError("the result has nothing that fits a table", hint="use --format json, or npy for an array")
    return "\n".join(tables)


def _csv(header: tuple[str, ...], rows: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def to_npy(result: RunResult, name: str | None) -> bytes:
    """One array of the result as the content of an ``.npy`` file.

    Args:
        result: Where it is taken from.
        name: ``samples``, ``statevector``, ``density_matrix`` or ``probabilities``; may be left out where there is one.

    Raises:
        UsageError: There is no such array, or several and none is named.
    """
    arrays = {n: a for n in ARRAYS if (a := getattr(result, n)) is not None}
    if name is None and len(arrays) == 1:
        (name,) = arrays
    if name not in arrays:
        there = ", ".join(arrays) or "none"
        asked = f"no array {name!r}" if name else "no array was named"
        raise UsageError(f"cannot export as npy: {asked}; the result's arrays: {there}", hint="name one with --array")
    out = io.BytesIO()
    np.save(out, arrays[name], allow_pickle=False)
    return out.getvalue()
