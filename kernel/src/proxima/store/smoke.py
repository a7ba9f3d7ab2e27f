"""One small call per contribution kind: enough to see that a plugin works here at all.

Whether it works *well* is the conformance kit's question, which its author answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from proxima.errors import ManifestError, PermissionDeniedError, UnsupportedError, UsageError
from proxima.plugins.manifest import Contribution
from proxima.schema import check_schema
from proxima.store.problems import Problem

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit

_SHOTS = 128


def _bell() -> Circuit:
    from proxima.contracts.circuit import Circuit

    return Circuit.builder(2, 2).h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()


def _backend(backend: Any, declared: Contribution) -> Iterator[Problem]:
    from proxima.contracts.backend import RunContext, RunRequest
    from proxima.contracts.features import features_of

    state = backend.probe()
    if state.state == "error":
        yield Problem("smoke", f"its probe says: {state.reason}", hint=state.hint)
        return
    if state.state != "available":
        yield Problem("not-tried", f"no circuit was run: {state.state}: {state.reason}", level="note", hint=state.hint)
        return
    capabilities = declared.data.get("capabilities") or {}
    if "counts" not in capabilities.get("wants", ["counts"]):
        yield Problem("not-tried", "no circuit was run: it gives no counts", level="note")
        return
    circuit = _bell()
    request = RunRequest(circuit=circuit, shots=_SHOTS, seed=7, wants=("counts",))
    estimate = backend.estimate(request, features_of(circuit))
    if not estimate.feasible:
        yield Problem("not-tried", f"no circuit was run: {estimate.reason}", level="note")
        return
    counts = backend.run(backend.plan(request), RunContext()).counts or {}
    if sum(counts.values()) != _SHOTS or not set(counts) <= {"00", "11"}:
        yield Problem("smoke", f"{_SHOTS} shots of a Bell pair gave {dict(counts)}; only 00 and 11 can occur")


def _format(made: Any, declared: Contribution) -> Iterator[Problem]:
    made.recognises(b"")
    try:
        text = made.dump(_bell())
    except UnsupportedError as error:
        yield Problem("not-tried", f"nothing was read or written: {error}", level="note")
        return
    try:
        read = made.load(text.encode(), source="what it wrote", directory=None)
    except UsageError as error:
        yield Problem("smoke", f"cannot read what it wrote: {error}")
        return
    if (read.num_qubits, read.num_clbits) != (2, 2):
        size = f"{read.num_qubits} qubits and {read.num_clbits} bits"
        yield Problem("smoke", f"wrote a circuit of 2 qubits and 2 bits and read {size}")


def _algorithm(made: Any, declared: Contribution) -> Iterator[Problem]:
    made.default_params()
    yield from ()


def _visualization(made: Any, declared: Contribution) -> Iterator[Problem]:
    if not made.formats:
        yield Problem("smoke", "offers no picture format")
        return
    try:
        empty = not made.render(_bell(), made.formats[0], {})
    except (UsageError, UnsupportedError) as error:
        yield Problem("not-tried", f"nothing was drawn: {error}", level="note")
    else:
        if empty:
            yield Problem("smoke", f"drew a {made.formats[0]} of no bytes")


def _codegen(made: Any, declared: Contribution) -> Iterator[Problem]:
    try:
        if not made.generate(_bell()).strip():
            yield Problem("smoke", "generated no code for a Bell pair")
    except UnsupportedError as error:
        yield Problem("not-tried", f"nothing was generated: {error}", level="note")


def _tool(made: Any, declared: Contribution) -> Iterator[Problem]:
    definition = made.definition()
    if definition.name != declared.name:
        yield Problem("smoke", f"its definition is of {definition.name!r}")
    if not definition.description:
        yield Problem("smoke", "its definition has no description, by which a model chooses")
    try:
        check_schema(definition.parameters, "what it says that it takes")
    except ManifestError as error:
        yield Problem("smoke", error.message)


def _view(made: Any, declared: Contribution) -> Iterator[Problem]:
    try:
        made.show()
    except PermissionDeniedError as error:
        yield Problem("not-tried", f"it was not shown: {error}", level="note")


def _theme(made: Any, declared: Contribution) -> Iterator[Problem]:
    for role, colour in made.colours.items():
        digits = colour.removeprefix("#")
        if len(digits) != 6 or len(colour) != 7 or not set(digits) <= set("0123456789abcdefABCDEF"):
            yield Problem("smoke", f"{role}: expected a colour such as #1e2a3b, got {colour!r}")


SMOKE: Mapping[str, Callable[[Any, Contribution], Iterator[Problem]]] = {
    "backends": _backend,
    "formats": _format,
    "algorithms": _algorithm,
    "visualizations": _visualization,
    "codegens": _codegen,
    "tools": _tool,
    "views": _view,
    "themes": _theme,
}
