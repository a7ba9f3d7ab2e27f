"""`method_asked`: what a request must be to make sense, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence

from proxima.contracts.backend import RunRequest
from proxima.contracts.operations import Op
from proxima.errors import UsageError


def method_asked(request: RunRequest, backend: str, methods: Sequence[str]) -> str:
    """The method that a request asks for, ``automatic`` where it asks for none.

    Args:
        request: Of a backend whose one option is the method.
        backend: Its name, for messages.
        methods: Those it has.

    Raises:
        UsageError: The request contradicts itself: an option or method that does not exist, open parameters without a
            gradient, samples without measurements or shots, an observable on another number of qubits.
    """
    circuit, wants = request.circuit, set(request.wants)
    if unknown := sorted(set(request.options) - {"method"}):
        raise UsageError(f"{backend} has no option {', '.join(unknown)}", hint="its only option is method")
    asked = request.options.get("method", "automatic")
    if asked not in methods:
        raise UsageError(f"{backend} has no method {asked!r}", hint=f"its methods are {', '.join(methods)}")
    if circuit.parameters and "gradient" not in wants:
        names = ", ".join(circuit.parameters)
        raise UsageError(f"the circuit has open parameters: {names}", hint="bind them to values first")
    check_answerable(request)
    return str(asked)


def check_answerable(request: RunRequest) -> None:
    """Refuses samples without measurements or shots, and observables on another number of qubits.

    Raises:
        UsageError: The request asks for one of these.
    """
    circuit, wants = request.circuit, set(request.wants)
    sampled = sorted({"counts", "samples"} & wants)
    if sampled and not (circuit.columns.ops == Op.MEASURE).any():
        raise UsageError(
            f"the circuit measures nothing, so there are no {' and '.join(sampled)}",
            hint="measure qubits into classical bits, or ask for probabilities",
        )
    if sampled and (request.shots is None or request.shots < 1):
        raise UsageError(f"{' and '.join(sampled)} need at least one shot, got {request.shots}")
    for observable in request.observables if wants & {"expectation", "gradient"} else ():
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} acts on {observable.num_qubits} qubits, the circuit has"
                f" {circuit.num_qubits}",
                hint="write one letter for each qubit, the highest qubit leftmost",
            )
