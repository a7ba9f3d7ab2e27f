"""What a request becomes: one or two engine runs, made ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxima.contracts.backend import RunRequest
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.errors import UsageError
from proxima_backend_qiskit_aer import observables, pieces
from proxima_backend_qiskit_aer.cost import SAMPLE_WANTS, STATE_WANTS, Choice
from proxima_backend_qiskit_aer.deferred import extra_qubits, steps
from proxima_backend_qiskit_aer.translate import Translator

# A run expected to take longer than this is cut into pieces.
LONG_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Job:
    """One engine run.

    Attributes:
        circuit: An `AerCircuit`, or the circuit to be run in pieces.
        wants: What it answers.
        pairs: ``(qubit, classical bit)`` of the final measurements.
        num_qubits: With the qubits that stand for classical bits.
        first: In pieces: how many operations or shots the first piece takes; 0 for a single call.
    """

    method: str
    circuit: Any
    wants: frozenset[str]
    pairs: tuple[tuple[int, int], ...]
    num_qubits: int
    num_memory: int
    first: int = 0
    per_shot: bool = False


def check(request: RunRequest) -> None:
    """Raises `UsageError` where the request does not make sense for its circuit."""
    circuit = request.circuit
    if circuit.parameters:
        raise UsageError(f"the parameters {', '.join(circuit.parameters)} have no value", hint="bind them first")
    if SAMPLE_WANTS & set(request.wants):
        if not request.shots or request.shots < 1:
            raise UsageError("counts and samples need a number of shots, at least 1")
        if not circuit.num_clbits or not (circuit.columns.clbits >= 0).any():
            raise UsageError("counts and samples need a measurement, the circuit has none", hint="measure its qubits")
    if not circuit.num_qubits:
        raise UsageError("a circuit without qubits cannot be simulated")
    if "expectation" in request.wants and not request.observables:
        raise UsageError("expectation needs an observable")
    for observable in request.observables:
        observables.check_width(observable, circuit.num_qubits)


def jobs_of(aer: Any, request: RunRequest, choice: Choice) -> list[Job]:
    """The engine runs of a request: states that are exact come from another run than the shots of a dynamic circuit."""
    wants = frozenset(request.wants)
    states, samples = wants & STATE_WANTS, wants & SAMPLE_WANTS
    if choice.method != "density_matrix" or not choice.per_shot:
        return [_job(aer, request, choice, choice.method, wants, choice.per_shot)]
    jobs = [_job(aer, request, choice, "statevector", samples, True)]
    if states:
        jobs.append(_job(aer, request, choice, "density_matrix", states, False))
    return jobs


def _job(aer: Any, request: RunRequest, choice: Choice, method: str, wants: frozenset[str], per_shot: bool) -> Job:
    circuit, shots = request.circuit, request.shots or 1
    pairs = circuit.final_measurements if wants & SAMPLE_WANTS else ()
    body = circuit.without_final_measurements()
    long = choice.seconds > LONG_SECONDS
    n = circuit.num_qubits
    exact = method == "density_matrix"
    if exact:
        n += extra_qubits(body)
    pieces_needed = choice.seconds / pieces.PIECE_SECONDS
    if long and not per_shot and method != "stabilizer":
        first = int(0.5 * len(body) / pieces_needed)
        native = body if method == "matrix_product_state" else steps(body)
        return Job(method, native, wants, pairs, n, circuit.num_clbits, max(first, 1))
    writer = Translator(aer, method, n, circuit.num_clbits)
    if exact:
        for step in steps(body):
            if step.op == Op.UNITARY:
                writer.unitary(step.matrices[0], step.qubits)
            elif step.op == Op.KRAUS:
                writer.kraus(step.matrices, step.qubits)
            elif step.is_channel:
                writer.channel(step.op, step.qubits, step.params)
            else:
                writer.gate(step.op, step.qubits, step.params)
    else:
        writer.add(body)
    add_saves(writer, method, wants, request.observables, circuit.num_qubits, per_shot)
    if method == "stabilizer" and pairs and not per_shot:
        writer.circuit.save_state(list(range(n)), "save_stabilizer", "single", "tableau")
    else:
        writer.measure(pairs)
    if per_shot:
        writer.force_shots()
    # The first chunk of shots is small, for an estimate that is far off must not delay a cancellation.
    first = max(1, int(0.2 * shots / pieces_needed)) if long or (per_shot and pieces_needed > 0.2) else 0
    return Job(method, writer.circuit, wants, pairs, n, writer.num_memory, first, per_shot)


def add_saves(
    writer: Translator,
    method: str,
    wants: frozenset[str],
    observed: tuple[PauliSum, ...],
    num_qubits: int,
    per_shot: bool,
) -> None:
    """Appends the instructions that save the states a job answers with."""
    everything = list(range(num_qubits))
    if method == "density_matrix":
        if "density_matrix" in wants:
            writer.circuit.save_state(everything, "save_density_matrix", "average", "density_matrix")
        if "probabilities" in wants:
            writer.circuit.save_state(everything, "save_probabilities", "average", "probabilities")
    elif wants & {"statevector", "density_matrix", "probabilities"}:
        writer.circuit.save_state(everything, "save_statevector", "single", "statevector")
    if "expectation" in wants:
        kind = "list" if per_shot else "average"
        for i, observable in enumerate(observed):
            for key, each in ((f"mean{i}", observable), (f"square{i}", observable.squared())):
                if each is not None:
                    weights, strings = zip(*each.terms, strict=True)
                    writer.circuit.save_expval(
                        everything, "save_expval", strings, weights, [0.0] * len(weights), kind, key
                    )
