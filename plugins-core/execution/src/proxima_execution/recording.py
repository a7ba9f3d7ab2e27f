"""Readout errors on every backend: in the circuit before a run, in what was measured after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.contracts.readout import record_counts, record_samples, with_readout_in_the_middle
from proxima.contracts.result import RunResult, counts_from_samples

_STREAM = 0x726561646F7574  # beside the seed: draws that are independent of the backend's own
NOTE = "A qubit was added for the readout errors of measurements in the middle; the states are given without it."


def prepare_readout(circuit: Circuit, noise: NoiseModel, sampled: bool) -> Circuit:
    """The circuit with one qubit more where a measurement in the middle may be recorded wrong and that can matter."""
    if not sampled and not circuit.conditions:
        return circuit
    return with_readout_in_the_middle(circuit, noise.readout_of(circuit.num_qubits))


def recorded(result: RunResult, request: RunRequest, options: RunOptions, num_qubits: int) -> RunResult:
    """The result as it is recorded: outcomes of final measurements with their errors, states without an added qubit.

    Args:
        result: As the backend gave it.
        request: What the backend was asked.
        options: With the user's noise and observables.
        num_qubits: Of the user's circuit.
    """
    changes: dict[str, Any] = {}
    if request.circuit.num_qubits > num_qubits:  # the one added is the highest and ends in |0>
        size = 2**num_qubits
        if result.probabilities is not None:
            changes["probabilities"] = result.probabilities[:size].copy()
        if result.density_matrix is not None:
            changes["density_matrix"] = result.density_matrix[:size, :size].copy()
        changes["expectations"] = tuple(
            replace(e, observable=str(o)) for o, e in zip(options.observables, result.expectations, strict=False)
        )
        changes["notes"] = (NOTE, *result.notes)
    of_qubit = {} if options.noise is None else options.noise.readout_of(num_qubits)
    errors = {c: of_qubit[q] for q, c in request.circuit.final_measurements if q in of_qubit}
    if errors and (result.samples is not None or result.counts is not None):
        rng = np.random.default_rng([request.seed, _STREAM])
        if result.samples is not None:
            changes["samples"] = record_samples(result.samples, errors, rng)
            if result.counts is not None:
                changes["counts"] = counts_from_samples(changes["samples"])
        elif result.counts is not None:
            changes["counts"] = record_counts(result.counts, errors, rng)
    return replace(result, **changes) if changes else result
