"""What PennyLane's measurements ask of a state.

Pauli sums and probabilities are read from the factor. Everything else comes from the density matrix of the wires that
are measured, by PennyLane's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pennylane.devices.qubit_mixed import measure
from pennylane.measurements import (
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMeasurement,
    Shots,
    VarianceMP,
)
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from proxima_lret_core import DensityMatrixState, LowRankState
from proxima_lret_core.pennylane.tapes import pauli_sum, sum_of

State = LowRankState | DensityMatrixState
Run = Callable[[Sequence[Operator]], State]
"""The state after the tape's operations and these."""


def analytic(tape: QuantumScript, run: Run) -> Any:
    """The exact results of a tape's measurements, in the shape PennyLane wants."""
    state = run(())
    results = tuple(_exact(measurement, state, tape.wires) for measurement in tape.measurements)
    return results[0] if len(results) == 1 else results


def _exact(measurement: MeasurementProcess, state: State, wires: Wires) -> Any:
    observable = measurement.obs
    if observable is not None and isinstance(measurement, ExpectationMP | VarianceMP):
        paulis = pauli_sum(observable, wires)
        if paulis is not None:
            value = state.expectation(paulis).value
            if isinstance(measurement, ExpectationMP):
                return np.float64(value)
            square = sum_of(observable.pauli_rep @ observable.pauli_rep, wires)
            return np.float64(state.expectation(square).value - value**2)
    if isinstance(measurement, ProbabilityMP) and observable is None and measurement.mv is None:
        return marginal(state.probabilities(), measurement.wires or wires, wires)
    needed = measurement.wires or wires
    rho = density_tensor(state, needed, wires)
    return measure(measurement.map_wires({wire: k for k, wire in enumerate(needed)}), rho)


def marginal(probabilities: npt.NDArray[np.float64], needed: Wires, wires: Wires) -> npt.NDArray[np.float64]:
    """The probabilities of some wires, the first listed most significant, shape (2^k,)."""
    axes = [wires.index(wire) for wire in needed]
    rest = tuple(axis for axis in range(len(wires)) if axis not in axes)
    summed = probabilities.reshape((2,) * len(wires)).sum(axis=rest)
    order = [sorted(axes).index(axis) for axis in axes]
    return np.asarray(summed.transpose(order).reshape(-1))


def density_tensor(state: State, needed: Wires, wires: Wires) -> npt.NDArray[np.complex128]:
    """The density matrix of some wires, shape (2,) * 2k, the first listed most significant."""
    qubits = [len(wires) - 1 - wires.index(wire) for wire in needed]
    return state.reduced_density_matrix(qubits[::-1]).reshape((2,) * (2 * len(qubits)))


def sampled(tape: QuantumScript, run: Run, rng: np.random.Generator) -> Any:
    """The results of a tape's measurements from shots, in the shape PennyLane wants.

    Measurements that agree on how each wire is turned share their shots.
    """
    shots: Shots = tape.shots
    bins = list(shots.bins())
    results: list[list[Any]] = [[None] * len(tape.measurements) for _ in bins]
    for gates, members in _in_groups(tape.measurements):
        state = run(gates)
        samples = state.samples(shots.total_shots, int(rng.integers(2**63)))[:, ::-1].astype(np.int64)
        for position in members:
            for k, (low, high) in enumerate(bins):
                results[k][position] = tape.measurements[position].process_samples(samples[low:high], tape.wires)
    for position, measurement in enumerate(tape.measurements):
        if not isinstance(measurement, SampleMeasurement):  # a classical shadow turns each wire at random in each shot
            rho = density_tensor(run(()), tape.wires, tape.wires)
            for k, (low, high) in enumerate(bins):
                results[k][position] = measurement.process_density_matrix_with_shots(
                    rho, tape.wires, high - low, rng=rng
                )
    each = [row[0] if len(row) == 1 else tuple(row) for row in results]
    return tuple(each) if shots.has_partitioned_shots else each[0]


def _in_groups(measurements: Sequence[MeasurementProcess]) -> list[tuple[list[Operator], list[int]]]:
    """Gates that turn the wires into the measured bases, and the positions of the measurements that they serve."""
    groups: list[tuple[dict[Any, tuple[int, ...]], list[Operator], list[int]]] = []
    for position, measurement in enumerate(measurements):
        if not isinstance(measurement, SampleMeasurement):
            continue
        gates = measurement.diagonalizing_gates()
        # a measurement of no named wire is one of all
        turned = {w: tuple(g.hash for g in gates if w in g.wires) for w in measurement.wires}
        for bases, kept, members in groups:
            shared = bases.keys() & turned.keys()
            whole = not measurement.wires or any(not measurements[m].wires for m in members)
            if all(bases[w] == turned[w] for w in shared) and not (whole and (gates or kept)):
                new = [g for g in gates if not set(g.wires) & shared]
                bases.update(turned)
                kept.extend(new)
                members.append(position)
                break
        else:
            groups.append((turned, list(gates), [position]))
    return [(gates, members) for _, gates, members in groups]
