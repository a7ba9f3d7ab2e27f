"""`RunResult` as JSON-ready data and back: what ``--json`` prints and what a record keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from proxima.contracts.lazy_numpy import np, npt
from proxima.contracts.result import (
    TIMING_STAGES,
    Candidate,
    CircuitInfo,
    ErrorBound,
    Expectation,
    Gradient,
    RunResult,
    Selection,
)
from proxima.errors import UsageError

MAX_ELEMENTS = 2**16
"""Larger arrays are refused: as text they would take ten times their size."""

ARRAYS = ("samples", "statevector", "density_matrix", "probabilities")


def result_to_dict(result: RunResult) -> dict[str, Any]:
    """The result as nested dicts and lists of JSON's own types.

    Arrays stand under ``results`` as nested lists, each complex number as ``[re, im]``. ``timings`` has every stage of
    `TIMING_STAGES`; 0 for one that the run did not have.

    Raises:
        UsageError: An array has more than 2^16 elements.
    """
    results: dict[str, Any] = {}
    for name in ARRAYS:
        array = getattr(result, name)
        if array is not None:
            results[name] = _array_to_lists(name, array)
    if result.expectations:
        results["expectations"] = [asdict(e) for e in result.expectations]
    if result.gradients:
        results["gradients"] = [_gradient_to_dict(g) for g in result.gradients]
    return {
        "id": result.id,
        "circuit": None if result.circuit is None else asdict(result.circuit),
        "backend": result.backend,
        "method": result.method,
        "selection": None if result.selection is None else _selection_to_dict(result.selection),
        "shots": result.shots,
        "seed": result.seed,
        "precision": result.precision,
        "counts": None if result.counts is None else dict(result.counts),
        "results": results,
        "error_bound": {"kind": result.error_bound.kind, "value": float(result.error_bound.value)},
        "timings": {stage: float(result.timings.get(stage, 0.0)) for stage in TIMING_STAGES},
        "peak_rss_bytes": result.peak_rss_bytes,
        "versions": dict(result.versions),
        "notes": list(result.notes),
        "tier": result.tier,
    }


def _selection_to_dict(selection: Selection) -> dict[str, Any]:
    # By hand: dataclasses.asdict copies deeply, and this is on the path of every run.
    candidates = [
        {
            "backend": c.backend,
            "feasible": c.feasible,
            "reason": c.reason,
            "estimated_seconds": c.estimated_seconds,
            "estimated_bytes": c.estimated_bytes,
            "method": c.method,
        }
        for c in selection.candidates
    ]
    return {"chosen": selection.chosen, "reason": selection.reason, "candidates": candidates}


def _gradient_to_dict(gradient: Gradient) -> dict[str, Any]:
    errors = gradient.standard_errors
    return {
        "observable": gradient.observable,
        "parameters": list(gradient.parameters),
        "values": gradient.values.tolist(),
        "method": gradient.method,
        "standard_errors": None if errors is None else errors.tolist(),
    }


def _gradient_from_dict(data: Mapping[str, Any]) -> Gradient:
    names, errors = tuple(map(str, data["parameters"])), data["standard_errors"]
    values = np.array(data["values"], dtype=np.float64).reshape(len(names))
    told = None if errors is None else np.array(errors, dtype=np.float64).reshape(len(names))
    return Gradient(str(data["observable"]), names, values, str(data["method"]), told)


def _array_to_lists(name: str, array: npt.NDArray[Any]) -> Any:
    if array.size > MAX_ELEMENTS:
        raise UsageError(
            f"the {name} has {array.size:,} elements, too many for JSON (at most {MAX_ELEMENTS:,})",
            hint="store the run and read the array as .npy with `proxima results export ID --format npy -o FILE`",
        )
    if np.iscomplexobj(array):
        return np.stack([array.real, array.imag], axis=-1).astype(np.float64).tolist()
    return array.tolist()


def result_from_dict(data: Mapping[str, Any]) -> RunResult:
    """The result that `result_to_dict` wrote.

    States come back as complex64 for single precision and complex128 for double.

    Raises:
        UsageError: A field is missing or is not what it should be.
    """
    try:
        results = data["results"]
        complex_type = np.complex64 if data["precision"] == "single" else np.complex128
        if data["precision"] not in ("single", "double") or data.get("tier") not in (None, "A", "B", "C"):
            raise ValueError(f"precision {data['precision']!r}, tier {data.get('tier')!r}")
        samples = results.get("samples")
        bound, circuit, selection = data["error_bound"], data["circuit"], data["selection"]
        return RunResult(
            backend=str(data["backend"]),
            method=str(data["method"]),
            precision=data["precision"],
            shots=data["shots"],
            seed=int(data["seed"]),
            counts=data["counts"],
            samples=None if samples is None else np.array(samples, dtype=np.uint8).reshape(len(samples), -1),
            statevector=_complex(results.get("statevector"), complex_type),
            density_matrix=_complex(results.get("density_matrix"), complex_type),
            probabilities=None if (p := results.get("probabilities")) is None else np.array(p, dtype=np.float64),
            expectations=tuple(Expectation(**e) for e in results.get("expectations", ())),
            gradients=tuple(map(_gradient_from_dict, results.get("gradients", ()))),
            error_bound=ErrorBound(bound["kind"], float(bound["value"])),
            timings=dict(data["timings"]),
            peak_rss_bytes=int(data["peak_rss_bytes"]),
            versions=dict(data["versions"]),
            id=str(data["id"]),
            notes=tuple(data["notes"]),
            tier=data.get("tier"),
            circuit=None if circuit is None else CircuitInfo(**circuit),
            selection=None
            if selection is None
            else Selection(
                selection["chosen"], selection["reason"], tuple(Candidate(**c) for c in selection["candidates"])
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"this is not a stored result: {type(error).__name__}: {error}") from None


def _complex(lists: Any, dtype: type[np.complexfloating[Any, Any]]) -> npt.NDArray[Any] | None:
    if lists is None:
        return None
    pairs = np.array(lists, dtype=np.float64)
    return (pairs[..., 0] + 1j * pairs[..., 1]).astype(dtype)
