"""`Program`: a circuit up to its final measurements, translated for the native simulators."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proxima.contracts.circuit import Circuit, Columns, Condition
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import CircuitError, UsageError
from proxima_lret_core._native import Plan, Superops, make_plan
from proxima_lret_core.refusals import refuse_absent, refuse_unsupported

_NO_ERROR = ReadoutError(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Block:
    """Operations under one condition or none, or a measurement in the middle.

    Attributes:
        plan: What is done to the state; ``None`` for a measurement.
        qubit, clbit: Of a measurement.
    """

    plan: Plan | None
    condition: Condition | None
    qubit: int = -1
    clbit: int = -1


class Program:
    """A circuit with its noise, checked and planned.

    Raises:
        UsageError: Noise or readout names a qubit that does not exist, or a parameter is open.
        UnsupportedError: The circuit has too many qubits, or a Kraus channel acts on too many.
        CircuitError: An operation's parameters make no sense.
    """

    def __init__(
        self, circuit: Circuit, noise: NoiseModel | None = None, readout: Mapping[int, ReadoutError] | None = None
    ) -> None:
        if circuit.parameters:
            raise UsageError(f"the circuit has open parameters: {', '.join(circuit.parameters)}", hint="bind it first")
        if readout is None:
            readout = noise.readout_of(circuit.num_qubits) if noise else {}
        refuse_absent(circuit, noise, readout)
        self.readout = readout
        self.circuit = noise.apply(circuit) if noise else circuit
        refuse_unsupported(self.circuit)
        self._columns, self._num_rows = before_final_measurements(self.circuit)
        self._matrices = [np.ascontiguousarray(np.stack(matrices)) for matrices in self.circuit.payloads]
        edges = self._edges()
        self.blocks = [self._block(at, edges) for at in range(len(edges))]

    @property
    def plans(self) -> list[Plan]:
        """Of the blocks that are no measurements."""
        return [block.plan for block in self.blocks if block.plan is not None]

    @cached_property
    def error(self) -> float:
        """The sum of all channels' errors."""
        return sum(plan.error for plan in self.plans)

    @cached_property
    def rounding(self) -> float:
        """A bound on the trace distance that rounding in columns adds, truncations aside, in units of roundoff."""
        return sum(plan.rounding for plan in self.plans)

    @cached_property
    def num_measured(self) -> int:
        """Measurements in the middle."""
        return sum(block.plan is None for block in self.blocks)

    @cached_property
    def too_wide(self) -> int:
        """On how many qubits an operation acts that is too wide for a density matrix; 0 where none is."""
        return max((plan.too_wide for plan in self.plans), default=0)

    @cached_property
    def superops(self) -> list[Superops | None]:
        """What each block's plan does to a density matrix; to be asked only where none is `too_wide`."""
        return [
            block.plan.superops(0, self.circuit.num_qubits) if block.plan is not None else None for block in self.blocks
        ]

    @cached_property
    def density_rounding(self) -> float:
        """As `rounding`, for a density matrix: superoperators, measurements and the joining of what comes of them."""
        measured = 2.0 * math.sqrt(2.0**self.circuit.num_qubits) * self.num_measured
        return measured + sum(ops.rounding for ops in self.superops if ops is not None)

    @cached_property
    def density_products(self) -> float:
        """Multiplications for each coefficient of a density matrix."""
        return sum(ops.products for ops in self.superops if ops is not None)

    @property
    def tails(self) -> list[tuple[list[int], list[float]]]:
        """The noise that low-rank simulation and trajectories keep for the answer."""
        last = self.blocks[-1].plan if self.blocks else None
        return last.tails if last is not None else []

    def readout_of(self, qubit: int) -> ReadoutError:
        """How the qubit's measurements err."""
        return self.readout.get(qubit, _NO_ERROR)

    def _edges(self) -> list[tuple[int, int]]:
        """Runs of rows under one condition, or none; a measurement is a run of its own."""
        rows, c = self._num_rows, self._columns
        if not self.circuit.is_dynamic:
            return [(0, rows)] if rows else []
        measures = c.ops[:rows] == Op.MEASURE
        starts = np.flatnonzero(np.diff(c.conditions[:rows]).astype(bool) | measures[1:] | measures[:-1])
        edges = [0, *(starts + 1).tolist(), rows]
        return list(itertools.pairwise(edges)) if rows else []

    def _block(self, at: int, edges: list[tuple[int, int]]) -> Block:
        (begin, end), c = edges[at], self._columns
        number = int(c.conditions[begin])
        condition = self.circuit.conditions[number] if number >= 0 else None
        if c.ops[begin] == Op.MEASURE:
            return Block(None, condition, int(c.qubits[c.qubit_offsets[begin]]), int(c.clbits[begin]))
        try:
            plan = make_plan(
                c.ops[begin:end],
                c.qubit_offsets[begin : end + 1],
                c.qubits,
                c.param_offsets[begin : end + 1],
                c.params,
                c.payloads[begin:end],
                self._matrices,
                self.circuit.num_qubits,
                at == 0 and condition is None,
                at == len(edges) - 1 and condition is None,
            )
        except ValueError as error:
            raise CircuitError(f"the circuit from row {begin}: {error}") from None
        return Block(plan, condition)


def before_final_measurements(circuit: Circuit) -> tuple[Columns, int]:
    """The columns, and how many of their rows come before the final measurements."""
    final, rows = len(circuit.final_measurements), len(circuit)
    c = circuit.columns
    if not final or ((c.ops[rows - final :] == Op.MEASURE).all() and not circuit.is_dynamic):
        return c, rows - final
    earlier = circuit.without_final_measurements()
    return earlier.columns, len(earlier)
