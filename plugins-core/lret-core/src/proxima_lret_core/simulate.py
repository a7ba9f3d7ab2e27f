"""`run`: a circuit with noise to a `LowRankState`.

A measurement in the middle splits the state into one factor for each value of the classical bits (an ensemble), so
that what follows is exact and needs no trajectories; branches that come to the same bits are joined. Budget and memory
are shared between the branches by their weight.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping

import numpy as np

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit, Columns
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.errors import CircuitError, ResourceError, UnsupportedError, UsageError
from proxima_lret_core._native import Factor, Plan, make_factor, make_plan
from proxima_lret_core.memory import available_bytes
from proxima_lret_core.readout import ReadoutError
from proxima_lret_core.state import Bits, LowRankState
from proxima_lret_core.watch import Watch

MAX_QUBITS = 40
ROUNDOFF = {"single": 2.0**-24, "double": 2.0**-53}
MAX_KRAUS_QUBITS = 4
_NO_WEIGHT = 1e-14


def run(
    circuit: Circuit,
    *,
    tolerance: float = 5e-3,
    noise: NoiseModel | None = None,
    readout: Mapping[int, ReadoutError] | None = None,
    precision: Precision = "single",
    memory: int | None = None,
    context: RunContext | None = None,
) -> LowRankState:
    """Runs a circuit up to its final measurements.

    Args:
        circuit: Without open parameters.
        tolerance: The largest trace distance to the exact state that is accepted, 0 < tolerance <= 1.
        noise: Applied to the circuit first.
        readout: For the final measurement of these qubits.
        precision: Of the columns; what rounding adds is part of the bound.
        memory: Bytes that the columns may take; by default three quarters of what the machine has free.
        context: Threads, deadline, cancellation; its progress tells the rank and the budget spent.

    Returns:
        The state; its `LowRankState.bound` is at most ``tolerance``.

    Raises:
        UsageError: The tolerance is out of range, noise names a qubit that does not exist, or a parameter is open.
        UnsupportedError: The precision's rounding alone exceeds the tolerance, or an operation is not offered.
        ResourceError: The memory does not suffice; the hint says for which tolerance it would.
        CancelledError, DeadlineExceededError: Within a second.
    """
    context = context or RunContext()
    if not 0.0 < tolerance <= 1.0:
        raise UsageError(f"a tolerance of {tolerance} makes no sense: a trace distance lies above 0 and up to 1")
    if precision not in ROUNDOFF:
        raise UsageError(f"there is no precision {precision!r}", hint="single or double")
    if circuit.parameters:
        raise UsageError(f"the circuit has open parameters: {', '.join(circuit.parameters)}", hint="bind it first")
    circuit = _noisy(circuit, noise, readout or {})
    _refuse_unsupported(circuit, readout or {})
    limit = float(available_bytes() * 3 // 4 if memory is None else memory)
    ensemble = _Ensemble(circuit, tolerance, precision, limit, context)
    return ensemble.run(readout or {})


def _noisy(circuit: Circuit, noise: NoiseModel | None, readout: Mapping[int, ReadoutError]) -> Circuit:
    named = {*readout, *(q for rule in (noise.rules if noise else ()) for q in rule.qubits or ())}
    beyond = sorted(q for q in named if not 0 <= q < circuit.num_qubits)
    if beyond:
        raise UsageError(
            f"the noise names qubit {beyond[0]}; the circuit has {circuit.num_qubits}", hint="qubits count from 0"
        )
    return noise.apply(circuit) if noise else circuit


def _refuse_unsupported(circuit: Circuit, readout: Mapping[int, ReadoutError]) -> None:
    if not 1 <= circuit.num_qubits <= MAX_QUBITS:
        raise UnsupportedError(f"the low-rank simulator takes 1 to {MAX_QUBITS} qubits, not {circuit.num_qubits}")
    c = circuit.columns
    if circuit.payloads and (np.diff(c.qubit_offsets)[c.ops == Op.KRAUS] > MAX_KRAUS_QUBITS).any():
        raise UnsupportedError(f"a channel by its Kraus operators acts on at most {MAX_KRAUS_QUBITS} qubits here")
    if readout and len(circuit.final_measurements) < int((c.ops == Op.MEASURE).sum()):
        raise UnsupportedError("readout error is offered for final measurements only, and one here is not final")


class _Ensemble:
    """The factors by the classical bits they go with, and the run that makes them."""

    def __init__(
        self, circuit: Circuit, tolerance: float, precision: Precision, memory: float, context: RunContext
    ) -> None:
        self._circuit = circuit
        self._columns, self._num_rows = _before_final_measurements(circuit)
        self._tolerance = tolerance
        self._precision = precision
        self._memory = memory
        self._context = context
        self._matrices = [np.ascontiguousarray(np.stack(matrices)) for matrices in circuit.payloads]
        self._branches: dict[Bits, Factor] = {}
        here = weakref.ref(self)  # held through its own watch, its columns would wait for the garbage collector
        self._watch = Watch(context, lambda: each._fraction() if (each := here()) else None)
        self._error = 0.0

    def run(self, readout: Mapping[int, ReadoutError]) -> LowRankState:
        """Everything up to the final measurements."""
        blocks = self._blocks()
        plans = [self._plan(at, blocks) for at in range(len(blocks))]
        rounding = ROUNDOFF[self._precision] * sum(plan.rounding for plan in plans if plan)
        if rounding >= self._tolerance:
            raise UnsupportedError(
                f"rounding in {self._precision} precision may reach a trace distance of {rounding:.2g} over this"
                f" circuit, above the tolerance of {self._tolerance:.2g}",
                hint="ask for double precision" if self._precision == "single" else "accept a larger tolerance",
            )
        self._error = sum(plan.error for plan in plans if plan)
        with self._watch.guard():
            first = make_factor(
                self._circuit.num_qubits, self._precision == "single", self._context.threads, self._memory
            )
            first.grant(self._tolerance - rounding, self._error)
            self._branches[(0,) * self._circuit.num_clbits] = first
            for (begin, _), plan in zip(blocks, plans, strict=True):
                if plan is None:
                    self._measure(begin)
                else:
                    self._advance(begin, plan)
        last = plans[-1] if plans else None
        return LowRankState(
            circuit=self._circuit,
            branches=self._branches,
            tails=last.tails if last else [],
            rounding=rounding + sum(f.rounding for f in self._branches.values()),
            precision=self._precision,
            readout=readout,
            context=self._context,
        )

    def _fraction(self) -> float | None:
        if not self._error or len(self._branches) != 1:
            return None
        (factor,) = self._branches.values()
        return min(1.0, factor.done / self._error)

    def _blocks(self) -> list[tuple[int, int]]:
        """Runs of rows under one condition, or none; a measurement is a run of its own."""
        rows, c = self._num_rows, self._columns
        if not self._circuit.is_dynamic:
            return [(0, rows)] if rows else []
        measures = c.ops[:rows] == Op.MEASURE
        starts = np.flatnonzero(np.diff(c.conditions[:rows]).astype(bool) | measures[1:] | measures[:-1])
        edges = [0, *(starts + 1).tolist(), rows]
        return list(itertools.pairwise(edges))

    def _plan(self, at: int, blocks: list[tuple[int, int]]) -> Plan | None:
        """What a block does to a factor; ``None`` for a measurement."""
        (begin, end), c = blocks[at], self._columns
        if c.ops[begin] == Op.MEASURE:
            return None
        always = int(c.conditions[begin]) < 0
        try:
            return make_plan(
                c.ops[begin:end],
                c.qubit_offsets[begin : end + 1],
                c.qubits,
                c.param_offsets[begin : end + 1],
                c.params,
                c.payloads[begin:end],
                self._matrices,
                self._circuit.num_qubits,
                at == 0 and always,
                at == len(blocks) - 1 and always,
            )
        except ValueError as error:
            raise CircuitError(f"the circuit from row {begin}: {error}") from None

    def _advance(self, row: int, plan: Plan) -> None:
        condition = int(self._columns.conditions[row])
        for bits, factor in self._branches.items():
            if condition < 0 or self._circuit.conditions[condition].holds(bits):
                others = sum(f.num_bytes for f in self._branches.values() if f is not factor)
                factor.limit(max(0.0, self._memory - others))
                factor.advance(plan, 0, None, False, self._watch)

    def _measure(self, row: int) -> None:
        """Splits every branch in two, or joins those whose bits come out the same."""
        c = self._columns
        qubit, clbit, condition = int(c.qubits[c.qubit_offsets[row]]), int(c.clbits[row]), int(c.conditions[row])
        needed = 2 * sum(factor.num_bytes for factor in self._branches.values())
        if needed > self._memory:
            raise ResourceError(
                f"a measurement in the middle needs {needed:,.0f} bytes for its branches, more than were given",
                hint="give the run more memory or a larger tolerance",
            )
        split: dict[Bits, Factor] = {}
        for bits, factor in self._branches.items():
            if condition >= 0 and not self._circuit.conditions[condition].holds(bits):
                _join(split, bits, factor)
                continue
            halves = [factor.project(qubit, outcome, 1.0) for outcome in (0, 1)]
            weights = [half.trace() for half in halves]
            least = min(max(weights), max(_NO_WEIGHT, 0.1 * factor.allowed))
            kept = [w >= least for w in weights]
            total = sum(w for w, keep in zip(weights, kept, strict=True) if keep)
            for outcome in (0, 1):
                if kept[outcome]:
                    half = halves[outcome]
                    half.scale_budget(weights[outcome] / total)
                    half.charge(sum(w for w, keep in zip(weights, kept, strict=True) if not keep))
                    _join(split, (*bits[:clbit], outcome, *bits[clbit + 1 :]), half)
            self._context.check()
        self._branches = split


def _join(branches: dict[Bits, Factor], bits: Bits, factor: Factor) -> None:
    if bits in branches:
        branches[bits].absorb(factor)
    else:
        branches[bits] = factor


def _before_final_measurements(circuit: Circuit) -> tuple[Columns, int]:
    """The columns, and how many of their rows come before the final measurements."""
    final, rows = len(circuit.final_measurements), len(circuit)
    c = circuit.columns
    if not final or ((c.ops[rows - final :] == Op.MEASURE).all() and not circuit.is_dynamic):
        return c, rows - final
    earlier = circuit.without_final_measurements()
    return earlier.columns, len(earlier)
