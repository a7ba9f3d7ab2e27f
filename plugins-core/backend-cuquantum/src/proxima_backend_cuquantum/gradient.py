"""Gradients by the parameter-shift rule, the shifted circuits side by side in one batch of statevectors.

The circuits differ in one gate each, so every gate is one launch for the whole batch: where it is the same, with one
matrix; where some of them turn it further, with a matrix for each of these and an index for every statevector. Nothing
here touches a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES
from proxima.contracts.parameter_shift import Shift, shifts_of
from proxima_backend_cuquantum.gates import Gate, fused, gate_of

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class BatchedGate:
    """A gate on every statevector of a batch.

    Attributes:
        matrices: complex128, shape (number of matrices, 2^k, 2^k).
        indices: Which matrix each statevector takes; empty where there is but one.
    """

    matrices: npt.NDArray[np.complex128]
    targets: tuple[int, ...]
    controls: tuple[int, ...]
    indices: tuple[int, ...] = ()


def side_by_side(circuits: Sequence[Sequence[Gate]]) -> Iterator[BatchedGate]:
    """The gates of some circuits that differ in their matrices alone, statevector s with those of circuit s."""
    for gates in zip(*circuits, strict=True):
        first, matrices = gates[0], np.stack([gate.matrix for gate in gates])
        if (matrices == matrices[0]).all():
            yield BatchedGate(matrices[:1], first.targets, first.controls)
        else:
            yield BatchedGate(matrices, first.targets, first.controls, tuple(range(len(gates))))


class Batch(Protocol):
    """Statevectors of as many qubits, each |0...0> at first."""

    def apply(self, gate: BatchedGate, check: Check) -> None:
        """Applies a gate to every one."""

    def expectations(self, observable: PauliSum, check: Check) -> npt.NDArray[np.float64]:
        """The expectation value in every one."""


def batched(circuit: Circuit, shifts: Sequence[Shift], most: int) -> list[BatchedGate]:
    """The gates of a bound circuit for a batch, statevector s with the angle of shift s moved.

    Args:
        circuit: Gates and barriers alone.
        shifts: One for each statevector.
        most: Gates that are the same in every statevector are fused up to so many qubits; 0 leaves them alone.
    """
    starts = circuit.columns.param_offsets.tolist()
    moved = np.searchsorted(starts, [shift.position for shift in shifts], side="right") - 1
    out: list[BatchedGate] = []
    run: list[Gate] = []
    for row, step in enumerate(circuit):
        if step.op not in GATES:
            continue
        states = np.flatnonzero(moved == row)
        if not len(states):
            run.append(gate_of(step))
            continue
        out += _same(run, most)
        run = []
        turned = [gate_of(step), *(_turned(step, shifts[s], starts[row]) for s in states.tolist())]
        indices = np.zeros(len(shifts), dtype=int)
        indices[states] = np.arange(1, len(turned))
        matrices = np.stack([gate.matrix for gate in turned])
        out.append(BatchedGate(matrices, turned[0].targets, turned[0].controls, tuple(indices.tolist())))
    return out + _same(run, most)


def _turned(step: Instruction, shift: Shift, start: int) -> Gate:
    """A gate whose angles begin at ``start`` of the circuit's, with one of them moved."""
    angles = list(step.params)
    angles[shift.position - start] = float(angles[shift.position - start]) + shift.angle  # type: ignore[arg-type]
    return gate_of(step._replace(params=tuple(angles)))


def _same(gates: Sequence[Gate], most: int) -> list[BatchedGate]:
    return [BatchedGate(g.matrix[None], g.targets, g.controls) for g in (fused(gates, most) if most else gates)]


def gradients(
    circuit: Circuit,
    bound: Circuit,
    observables: Sequence[PauliSum],
    *,
    at_once: int,
    most: int,
    make: Callable[[int], Batch],
    check: Check,
    tell: Callable[[float], None],
) -> npt.NDArray[np.float64]:
    """The derivatives of expectation values, shape (number of observables, number of parameters).

    Args:
        circuit: Gates alone, with open parameters.
        bound: The same with their values.
        observables: Of n qubits.
        at_once: How many statevectors a batch may have.
        most: See `batched`.
        make: Makes a batch of so many statevectors.
        check: Called between two launches; raises where the run is to stop.
        tell: Told how far it is.
    """
    found = np.zeros((len(observables), len(circuit.parameters)))
    shifts = list(shifts_of(circuit))
    for start, part in _parts(shifts, at_once):
        tell(start / len(shifts))
        batch = make(len(part))
        for gate in batched(bound, part, most):
            check()
            batch.apply(gate, check)
        for row, observable in zip(found, observables, strict=True):
            values = batch.expectations(observable, check)
            for shift, value in zip(part, values.tolist(), strict=True):
                row[shift.parameter] += shift.weight * value
    return found


def _parts(shifts: Sequence[Shift], at_once: int) -> Iterator[tuple[int, Sequence[Shift]]]:
    for start in range(0, len(shifts), at_once):
        yield start, shifts[start : start + at_once]
