"""Which contract types cross between the kernel and a worker, and what must hold of them beyond their fields' types.

In-process, a plugin's answer is trusted. Here it may be made to mislead, so what other code relies on without looking
is looked at once: lengths that belong together, shapes, signs, and numbers that are finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from proxima.contracts.lazy_numpy import np

if TYPE_CHECKING:
    from proxima.contracts.backend import Estimate, RunRequest
    from proxima.contracts.observable import PauliSum
    from proxima.contracts.result import Gradient, RunResult
    from proxima.contracts.view import Plot, Table

_PLACES: Mapping[str, tuple[str, ...]] = {
    "agent": ("AgentMessage",),
    "algorithm": ("AlgorithmResult",),
    "backend": ("RunRequest", "Estimate", "Probe", "Plan"),
    "circuit": ("Circuit",),
    "execution": ("RunOptions", "ComparedRun", "Comparison"),
    "features": ("Features",),
    "llm": ("ChatMessage", "ChatChunk", "ToolCall"),
    "mcp_server": ("MCPServer",),
    "noise": ("NoiseModel", "NoiseRule"),
    "observable": ("PauliSum",),
    "readout": ("ReadoutError",),
    "records": ("RecordSummary", "RunRecord"),
    "result": ("RunResult", "ErrorBound", "Expectation", "Gradient", "Candidate", "Selection", "CircuitInfo"),
    "theme": ("Theme",),
    "tool": ("ToolDefinition", "ToolResult"),
    "view": ("Text", "Table", "Plot", "Form", "Action", "Group"),
}

CIRCUIT = "Circuit"

CARRIED: Mapping[str, str] = {name: f"proxima.contracts.{place}" for place, names in _PLACES.items() for name in names}
"""By the tag that stands for a class on the wire, the module that it is in, which is imported when it is needed.

A `Circuit` crosses as its own buffer, any other as its fields.
"""


@cache
def class_of(tag: str) -> type[Any]:
    """The class that a tag of `CARRIED` stands for."""
    return getattr(import_module(CARRIED[tag]), tag)  # type: ignore[no-any-return]


def tag_of(cls: type[Any]) -> str:
    """The tag of a class; empty where it is not carried."""
    name = cls.__name__
    return name if CARRIED.get(name) == cls.__module__ and class_of(name) is cls else ""


NOT_FINITE = {
    "AlgorithmResult.value",  # an algorithm that diverged says so
    "AlgorithmResult.history",
    "Candidate.estimated_seconds",  # infinite where a unit of work has no rate
    "Expectation.standard_error",  # infinite with a single sample
    "Gradient.standard_errors",
    "Plot.x",
    "Plot.series",  # NaN leaves a gap in a line
    "Table.rows",
}
"""Fields that may hold NaN or an infinity. Every other number is finite."""

_SEEDS = 2**63


def mistake(value: Any) -> str:
    """What is wrong with a value whose fields have their types, or an empty string."""
    check = _CHECKS.get(tag_of(type(value)))
    return "" if check is None else next(check(value), "")


def _request(request: RunRequest) -> Iterator[str]:
    if request.shots is not None and request.shots < 0:
        yield "shots: a negative number"
    if not 0 <= request.seed < _SEEDS:
        yield "seed: outside 0 to 2^63 - 1"


def _estimate(estimate: Estimate) -> Iterator[str]:
    if estimate.memory_bytes < 0:
        yield "memory_bytes: a negative number"
    if any(amount < 0 for amount in estimate.work.values()):
        yield "work: a negative amount"


def _result(result: RunResult) -> Iterator[str]:
    if result.shots is not None and not 0 <= result.shots < 2**63:
        yield "shots: outside 0 to 2^63 - 1"
    if not 0 <= result.seed < _SEEDS:
        yield "seed: outside 0 to 2^63 - 1"
    if not 0 <= result.peak_rss_bytes < 2**63:
        yield "peak_rss_bytes: outside 0 to 2^63 - 1"
    if result.counts:
        if any(number < 0 for number in result.counts.values()):
            yield "counts: a negative number"
        if len(set(map(len, result.counts))) != 1 or set().union(*result.counts) - {"0", "1"}:
            yield "counts: keys that are not bit strings of one length"
    if result.samples is not None and (
        result.samples.ndim != 2 or (result.samples.size and int(result.samples.max()) > 1)
    ):
        yield "samples: not a table of bits"
    for name, dimensions, kind in (("statevector", 1, "c"), ("density_matrix", 2, "c"), ("probabilities", 1, "f")):
        array = getattr(result, name)
        if array is None:
            continue
        length = len(array) if array.ndim else 0
        if array.dtype.kind != kind or array.shape != (length,) * dimensions or length.bit_count() != 1:
            yield f"{name}: {array.dtype} of shape {array.shape}"
        if not _finite(array):
            yield f"{name}: a number that is not finite"


def _gradient(gradient: Gradient) -> Iterator[str]:
    shape = (len(gradient.parameters),)
    if gradient.values.shape != shape or not _finite(gradient.values):
        yield "values: not one finite number for each parameter"
    if gradient.standard_errors is not None and gradient.standard_errors.shape != shape:
        yield "standard_errors: not one for each parameter"


def _finite(array: np.ndarray) -> bool:
    numbers = array.view(array.real.dtype)
    with np.errstate(all="ignore"):
        # A sum is one pass and no temporary; it is not finite if any term is not, nor if it overflowed.
        return bool(np.isfinite(numbers.sum()) or np.isfinite(numbers).all())


def _pauli_sum(observable: PauliSum) -> Iterator[str]:
    strings = [letters for _, letters in observable.terms]
    if not strings or not strings[0] or len(set(map(len, strings))) != 1 or set().union(*strings) - set("IXYZ"):
        yield "terms: not Pauli strings of one length"


def _table(table: Table) -> Iterator[str]:
    if any(len(row) != len(table.headings) for row in table.rows):
        yield "rows: not one cell for each heading"


def _plot(plot: Plot) -> Iterator[str]:
    if any(len(values) != len(plot.x) for values in plot.series.values()):
        yield "series: not one value for each x"


_CHECKS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "RunRequest": _request,
    "Estimate": _estimate,
    "RunResult": _result,
    "Gradient": _gradient,
    "PauliSum": _pauli_sum,
    "Table": _table,
    "Plot": _plot,
}
