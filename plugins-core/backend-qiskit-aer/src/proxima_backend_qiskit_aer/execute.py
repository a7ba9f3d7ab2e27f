"""Running a job and collecting what it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.result import counts_from_samples
from proxima_backend_qiskit_aer import engine, observables, pieces
from proxima_backend_qiskit_aer.cost import RATES, SAMPLE_WANTS, STATE_WANTS, bonds_of_shot
from proxima_backend_qiskit_aer.jobs import Job, add_saves
from proxima_backend_qiskit_aer.outcome import Outcome, counts_of_hex, samples_of_hex
from proxima_backend_qiskit_aer.tableau import support
from proxima_backend_qiskit_aer.translate import Translator

# Aer drops singular values whose squares sum to less than this at each step.
MPS_THRESHOLD = 1e-16
# Shots in the first chunk that is drawn from a finished state.
_FIRST_SAMPLES = 10_000


def run_job(aer: Any, job: Job, request: RunRequest, context: RunContext, seed: int, outcome: Outcome) -> None:
    """Runs one job and adds its answers to ``outcome``.

    Raises:
        RunError: Aer failed.
        CancelledError, DeadlineExceededError: Between two pieces.
    """
    double = request.precision == "double" or job.method in ("stabilizer", "matrix_product_state")
    if job.first and not isinstance(job.circuit, aer.AerCircuit):
        double = True
        if job.method == "matrix_product_state":
            _run_mps(aer, job, request, context, seed, outcome)
        else:
            _run_state(aer, job, request, context, seed, outcome)
    else:
        _run_circuit(aer, job, request, context, seed, outcome, _engine_options(job, request, context, double))
    outcome.double |= double


def _engine_options(job: Job, request: RunRequest, context: RunContext, double: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"method": job.method, "max_parallel_threads": max(1, context.threads)}
    options["precision"] = "double" if double else request.precision
    if job.method == "matrix_product_state":
        options["matrix_product_state_truncation_threshold"] = MPS_THRESHOLD
        options["mps_omp_threads"] = max(1, context.threads)
    return options


def _run_circuit(
    aer: Any,
    job: Job,
    request: RunRequest,
    context: RunContext,
    seed: int,
    outcome: Outcome,
    options: dict[str, Any],
) -> None:
    """A job that is one `AerCircuit`, in one call or in chunks of shots."""
    from_tableau = job.method == "stabilizer" and bool(job.pairs) and not job.per_shot
    needs_shots = (bool(job.wants & SAMPLE_WANTS) or job.per_shot) and not from_tableau
    shots = (request.shots or 1) if needs_shots else 1
    # Aer drops qubits that no measurement depends on, but only where no state is saved.
    options["enable_truncation"] = not (job.wants & STATE_WANTS) and not job.per_shot and not from_tableau
    options["memory"] = "samples" in job.wants and not from_tableau
    # Aer's fusion overlooks the conditions of gates, which drawn Pauli errors are (`translate`).
    options["fusion_enable"] = job.num_memory == request.circuit.num_clbits

    def chunk(start: int, stop: int) -> None:
        began = time.perf_counter()
        answer = engine.execute(
            aer,
            job.circuit,
            num_qubits=job.num_qubits,
            num_memory=job.num_memory,
            shots=stop - start,
            # Shot i of a circuit simulated shot by shot takes the seed plus i, so chunks do not change the outcome.
            seed_simulator=seed + start,
            **options,
        )
        executed = time.perf_counter()
        sampled = float(answer["metadata"].get("sample_measure_time", 0.0))
        if from_tableau:
            _draw_from_tableau(answer["data"]["tableau"]["stabilizer"], job, request, context, seed, outcome)
            sampled = time.perf_counter() - executed
        _collect(answer["data"], job, request, outcome)
        outcome.execute += executed - began - (0.0 if from_tableau else sampled)
        outcome.sample += sampled
        outcome.convert += time.perf_counter() - executed - (sampled if from_tableau else 0.0)

    if job.first and not from_tableau:
        # Shots from one finished state are drawn in sequence from a seed of their chunk.
        pieces.in_pieces(shots, job.first, context, f"{job.method}: shots", chunk, adapt=job.per_shot)
    else:
        chunk(0, shots)
        context.check()


def _collect(data: Mapping[str, Any], job: Job, request: RunRequest, outcome: Outcome) -> None:
    """Takes what one engine call answered."""
    width = request.circuit.num_clbits
    if "memory" in data:
        outcome.samples.append(samples_of_hex(data["memory"], width))
    elif "counts" in job.wants and "tableau" not in data:
        outcome.counts.update(counts_of_hex(data["counts"], width))
    if "statevector" in data:
        _take_vector(np.asarray(data["statevector"]), job, outcome)
    if "density_matrix" in data:
        outcome.density_matrix = np.asarray(data["density_matrix"])
    if "probabilities" in data:
        outcome.probabilities = np.asarray(data["probabilities"], dtype=np.float64)
    for i in range(len(request.observables)) if "expectation" in job.wants else ():
        if job.per_shot:
            outcome.values.setdefault(i, []).extend(data[f"mean{i}"])
        else:
            outcome.means[i] = (data[f"mean{i}"], data.get(f"square{i}"))


def _take_vector(vector: npt.NDArray[Any], job: Job, outcome: Outcome) -> None:
    if "statevector" in job.wants:
        outcome.statevector = vector
    if "density_matrix" in job.wants:
        outcome.density_matrix = np.outer(vector, vector.conj())
    if "probabilities" in job.wants:
        outcome.probabilities = (vector.real**2 + vector.imag**2).astype(np.float64)


def _run_state(aer: Any, job: Job, request: RunRequest, context: RunContext, seed: int, outcome: Outcome) -> None:
    """A long job on a statevector or density matrix, in pieces of the circuit."""
    began = time.perf_counter()
    state = pieces.new_state(aer, job.method, job.num_qubits, max(1, context.threads), seed)
    pieces.evolve(state, job.circuit, job.first, context, job.method.replace("_", " "))
    evolved = time.perf_counter()
    outcome.execute += evolved - began
    if job.wants & SAMPLE_WANTS:
        _draw(lambda qubits, shots: pieces.sample(state, qubits, shots), job, request, context, outcome)
    sampled = time.perf_counter()
    outcome.sample += sampled - evolved
    if job.wants & STATE_WANTS:
        exact = job.method == "density_matrix"
        array = _traced(state.move_to_matrix(), request.circuit.num_qubits) if exact else state.move_to_ndarray()
        if exact:
            if "density_matrix" in job.wants:
                outcome.density_matrix = array
            if "probabilities" in job.wants:
                outcome.probabilities = np.diagonal(array).real.astype(np.float64)
        else:
            _take_vector(array, job, outcome)
        for i, observable in enumerate(request.observables) if "expectation" in job.wants else ():
            context.check()
            square = observable.squared()
            mean_square = None if square is None else observables.expectation(array, square)
            outcome.means[i] = (observables.expectation(array, observable), mean_square)
    outcome.convert += time.perf_counter() - sampled


def _draw_from_tableau(
    generators: list[str], job: Job, request: RunRequest, context: RunContext, seed: int, outcome: Outcome
) -> None:
    found, rng = support(generators, context.check), np.random.default_rng(seed)
    _draw(lambda qubits, shots: found.sample(qubits, shots, rng), job, request, context, outcome)


def _draw(
    sample: Callable[[list[int], int], npt.NDArray[np.uint8]],
    job: Job,
    request: RunRequest,
    context: RunContext,
    outcome: Outcome,
) -> None:
    """Draws the shots from a finished state, in chunks."""
    width = request.circuit.num_clbits
    qubits = sorted({qubit for qubit, _ in job.pairs})

    def chunk(start: int, stop: int) -> None:
        drawn = sample(qubits, stop - start)
        samples = np.zeros((stop - start, width), np.uint8)
        for qubit, bit in job.pairs:
            samples[:, bit] = drawn[:, qubits.index(qubit)]
        if "samples" in job.wants:
            outcome.samples.append(samples)
        else:
            outcome.counts.update(counts_from_samples(samples))

    pieces.in_pieces(request.shots or 1, _FIRST_SAMPLES, context, "sampling", chunk)


def _traced(matrix: npt.NDArray[Any], num_qubits: int) -> npt.NDArray[Any]:
    """The density matrix of the lowest qubits."""
    size = 1 << num_qubits
    rest = len(matrix) // size
    if rest == 1:
        return matrix
    traced: npt.NDArray[Any] = np.einsum("aiaj->ij", matrix.reshape(rest, size, rest, size))
    return traced


def _shots_in_piece(saved: Any) -> int:
    """How many shots of a matrix product state to draw at a time; by its bond dimension, never by the clock."""
    tensors, bonds = saved
    chi = max(map(len, bonds), default=1)
    # The next power of two: the smallest singular values come and go with rounding.
    seconds = RATES["bond"] * bonds_of_shot(len(tensors), 2.0 ** math.ceil(math.log2(max(chi, 1))))
    return max(1, int(pieces.PIECE_SECONDS / seconds))


def _run_mps(aer: Any, job: Job, request: RunRequest, context: RunContext, seed: int, outcome: Outcome) -> None:
    """A long job on a matrix product state, in pieces of the circuit, then in chunks of shots."""
    began = time.perf_counter()
    options = _engine_options(job, request, context, double=True)
    saved = pieces.evolve_mps(aer, job.circuit, job.first, context, options)
    outcome.execute += time.perf_counter() - began
    n, samples = job.num_qubits, job.wants & SAMPLE_WANTS
    for wants, pairs in ((job.wants & STATE_WANTS, ()), (samples, job.pairs)):
        if not wants:
            continue
        writer = Translator(aer, job.method, n, job.num_memory)
        writer.circuit.set_matrix_product_state(list(range(n)), [saved])
        add_saves(writer, job.method, wants, request.observables, n, False)
        writer.measure(pairs)
        shots = (request.shots or 1) if pairs else 0
        last = replace(job, circuit=writer.circuit, wants=wants, pairs=pairs, first=min(shots, _shots_in_piece(saved)))
        _run_circuit(aer, last, request, context, seed, outcome, dict(options))
