"""`RunResult`: what a run gives back. Arrays are in canonical order: qubit 0 is the least significant index bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from proxima.contracts.lazy_numpy import np, npt

BoundKind = Literal["exact", "sampling", "trace_distance", "truncated_weight"]


@dataclass(frozen=True, slots=True)
class ErrorBound:
    """How far the answer may be from the exact one.

    Attributes:
        kind: ``exact``: floating-point rounding alone, ``value`` estimates it. ``sampling``: ``value`` is the largest
            standard error of a relative frequency. ``trace_distance``: a certified bound. ``truncated_weight``: the
            weight that a truncation dropped, or the threshold it was allowed.
    """

    kind: BoundKind
    value: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expectation value of one observable.

    Attributes:
        variance: Of the observable in the state, where the engine gives it.
        standard_error: Of ``value``; 0 where it was computed exactly.
    """

    observable: str
    value: float
    variance: float | None = None
    standard_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Gradient:
    """The derivatives of one observable's expectation value by the circuit's parameters.

    Attributes:
        parameters: Names, in the order of `Circuit.parameters`.
        values: float64, shape (k,): the derivative by each parameter.
        method: ``adjoint``, ``parameter_shift``, ...
        standard_errors: float64, shape (k,): of ``values``; ``None`` where they were computed exactly.
    """

    observable: str
    parameters: tuple[str, ...]
    values: npt.NDArray[np.float64]
    method: str
    standard_errors: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One backend as the selection saw it.

    Attributes:
        reason: Why it cannot, or how it would.
        estimated_seconds, estimated_bytes: ``None`` where it cannot run the request.
    """

    backend: str
    feasible: bool
    reason: str
    estimated_seconds: float | None = None
    estimated_bytes: int | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which backend was chosen, why, and what the others would have cost."""

    chosen: str
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitInfo:
    """A circuit in a few numbers; ``hash`` is its content hash."""

    name: str
    num_qubits: int
    num_clbits: int
    num_operations: int
    depth: int
    hash: str


TIMING_STAGES = ("import", "select", "translate", "compile", "execute", "sample", "convert", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The outcome of one run.

    Attributes:
        backend: Name of the backend, and ``method``: the simulation method it used, e.g. ``statevector``.
        precision: The precision it computed in: at least the one asked for.
        seed: The seed used: with the same versions it gives the same counts again.
        counts: Occurrences by bit string, highest classical bit first.
        samples: uint8, shape (shots, num_clbits); column j is classical bit j.
        statevector: complex64 or complex128, shape (2^n,): the state before the final measurements.
        density_matrix: complex64 or complex128, shape (2^n, 2^n), likewise.
        probabilities: float64, shape (2^n,): of the qubits' computational basis, likewise.
        expectations, gradients: One for each of the request's observables, in their order, where they are wanted.
        timings: Seconds by stage, among `TIMING_STAGES`.
        peak_rss_bytes: Peak resident memory of the process; 0 until the caller has filled it in.
        versions: Of the engine and of whatever else shaped the numbers.
        id: The record's id once it is stored, else empty.
        notes: What the user should know, in sentences.
        circuit, selection: What was run, and why there; filled in by the execution service.
        tier: The isolation tier of the worker that the backend ran in, filled in by the kernel; ``None``: in-process.
    """

    backend: str
    method: str
    precision: Literal["single", "double"]
    shots: int | None
    seed: int
    counts: Mapping[str, int] | None = None
    samples: npt.NDArray[np.uint8] | None = None
    statevector: npt.NDArray[Any] | None = None
    density_matrix: npt.NDArray[Any] | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    expectations: tuple[Expectation, ...] = ()
    gradients: tuple[Gradient, ...] = ()
    error_bound: ErrorBound = ErrorBound("exact", 0.0)
    timings: Mapping[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    notes: tuple[str, ...] = ()
    circuit: CircuitInfo | None = None
    selection: Selection | None = None
    tier: Literal["A", "B", "C"] | None = None

    def _repr_html_(self) -> str:
        """A histogram of the counts, for notebooks."""
        from proxima.contracts.result_html import result_html

        return result_html(self)


def counts_from_samples(samples: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Counts by bit string, highest classical bit first, in ascending order of the bit string.

    Args:
        samples: Shape (shots, num_clbits), column j is classical bit j.
    """
    shots, width = samples.shape
    if width == 0:
        return {"": shots} if shots else {}
    if width <= 63:
        keys = samples.astype(np.int64) @ (np.int64(1) << np.arange(width, dtype=np.int64))
        values, numbers = np.unique(keys, return_counts=True)
        return {format(v, f"0{width}b"): n for v, n in zip(values.tolist(), numbers.tolist(), strict=True)}
    rows, numbers = np.unique(samples[:, ::-1], axis=0, return_counts=True)
    return {"".join(map(str, row)): n for row, n in zip(rows.tolist(), numbers.tolist(), strict=True)}
