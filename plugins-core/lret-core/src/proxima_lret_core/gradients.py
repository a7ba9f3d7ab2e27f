"""`gradient`: expectation values and their derivatives by a circuit's open parameters, in one run and one pass back.

The pass back costs about as much for each observable as two runs, whatever the number of parameters
(docs/developer-guide/lowrank.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import CircuitError, UnsupportedError, UsageError
from proxima_lret_core._native import Plan, make_factor, make_plan
from proxima_lret_core.memory import available_bytes
from proxima_lret_core.program import before_final_measurements
from proxima_lret_core.refusals import (
    ROUNDOFF,
    refuse_absent,
    refuse_rounding,
    refuse_senseless,
    refuse_unsupported,
)
from proxima_lret_core.tails import Tail
from proxima_lret_core.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LowRankGradient:
    """Expectation values and their derivatives.

    The derivatives are those of the values that are returned, with what a run leaves out held fixed; see `gradient` for
    how far they may be from the exact ones.

    Attributes:
        parameters: The circuit's open parameters: the columns of ``slopes``.
        values: float64, shape (number of observables,).
        slopes: float64, shape (number of observables, number of parameters).
        spent, rounding: The trace of all pieces left out, and the bound on rounding, as of `LowRankState`.
        most_columns: The columns of L where it was widest.
    """

    parameters: tuple[str, ...]
    values: npt.NDArray[np.float64]
    slopes: npt.NDArray[np.float64]
    spent: float
    rounding: float
    most_columns: int

    @property
    def bound(self) -> float:
        """A bound on the trace distance of the state to the exact one."""
        return self.spent + self.rounding


def gradient(
    circuit: Circuit,
    parameters: Mapping[str, float],
    observables: Sequence[PauliSum],
    *,
    tolerance: float = 5e-3,
    noise: NoiseModel | None = None,
    precision: Precision = "double",
    memory: int | None = None,
    context: RunContext | None = None,
) -> LowRankGradient:
    """Runs a circuit and differentiates expectation values by its open parameters.

    Without noise the derivatives are exact but for rounding. With it, let d be the trace left out (`spent`). Where all
    of it is pruned from mixtures of unitaries, as depolarizing noise is, and the parameter occurs in one rotation, a
    derivative is off by at most d times the difference between the observable's largest and smallest eigenvalue; else
    by no more than about the root of d times that.

    Args:
        circuit: Its open parameters stand in gates; no conditions, and no measurements but final ones.
        parameters: A value for each open parameter.
        observables: Pauli sums over the circuit's qubits.
        tolerance: As for `run`, and
        noise: likewise,
        precision: likewise,
        memory: likewise, the pass back included,
        context: likewise.

    Raises:
        UsageError: A parameter has no value, there is no observable or it spans another number of qubits, or a number
            is out of range.
        UnsupportedError: A measurement in the middle, a condition, an open parameter of a channel, or rounding alone
            exceeds the tolerance.
        ResourceError: The memory does not suffice.
        CancelledError, DeadlineExceededError: Within a second.
    """
    context = context or RunContext()
    refuse_senseless(tolerance, precision)
    refuse_absent(circuit, noise, {})
    if noise is not None:
        circuit = noise.apply(circuit)
    bound = circuit.bind(parameters)
    refuse_unsupported(bound)
    _refuse_what_has_no_gradient(circuit, observables)
    plan = _plan(circuit, bound)
    rounding = ROUNDOFF[precision] * plan.rounding
    refuse_rounding(rounding, tolerance, precision)
    tails = [Tail(tuple(qubits), tuple(values)) for qubits, values in plan.tails]
    # The pass back holds, beside the factor, one as large for each observable.
    limit = (available_bytes() * 3 / 4 if memory is None else memory) / (1 + len(observables))
    watch = Watch(context)
    with watch.guard():
        factor = make_factor(circuit.num_qubits, precision == "single", context.threads, limit)
        factor.grant(tolerance - rounding, plan.error)
        factor.record()
        factor.advance(plan, 0, [], watch)
        sums = [[_term(factor_, letters, tails) for factor_, letters in o.terms] for o in observables]
        values, slopes = factor.gradient(sums, len(circuit.parameters), watch)
    return LowRankGradient(
        parameters=circuit.parameters,
        values=np.array(values),
        slopes=slopes,
        spent=factor.spent,
        rounding=rounding + factor.rounding,
        most_columns=factor.most_columns,
    )


def _refuse_what_has_no_gradient(circuit: Circuit, observables: Sequence[PauliSum]) -> None:
    if not observables:
        raise UsageError("a gradient needs an observable", hint='a Pauli sum such as PauliSum.parse("0.5*ZZ - XI")')
    for observable in observables:
        if observable.num_qubits != circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} spans {observable.num_qubits} qubits, the circuit {circuit.num_qubits}",
                hint="write I for a qubit that is left alone",
            )
    c = circuit.columns
    measured = int((c.ops == Op.MEASURE).sum()) - len(circuit.final_measurements)
    if measured or (c.conditions >= 0).any():
        raise UnsupportedError(
            "a circuit with a condition or a measurement in the middle has no gradient here",
            hint="defer its measurements to the end",
        )
    open_rows = np.unique(np.searchsorted(c.param_offsets, np.flatnonzero(c.param_refs >= 0), side="right") - 1)
    for op in c.ops[open_rows].tolist():
        if op in CHANNELS:
            raise UnsupportedError(
                f"there is no derivative by the parameter of {Op(op).name.lower()}",
                hint="bind it to a value; angles of gates have derivatives",
            )


def _plan(circuit: Circuit, bound: Circuit) -> Plan:
    (columns, rows), (values, _) = before_final_measurements(circuit), before_final_measurements(bound)
    try:
        return make_plan(
            columns.ops[:rows],
            columns.qubit_offsets[: rows + 1],
            columns.qubits,
            columns.param_offsets[: rows + 1],
            values.params,
            columns.payloads[:rows],
            [np.ascontiguousarray(np.stack(matrices)) for matrices in circuit.payloads],
            circuit.num_qubits,
            True,
            True,
            columns.param_refs,
            columns.params,
        )
    except ValueError as error:
        raise CircuitError(f"the circuit: {error}") from None


def _term(coefficient: float, letters: str, tails: Sequence[Tail]) -> tuple[int, int, complex]:
    """A Pauli string as the bits that it flips and signs, and its factor, the noise kept for the answer in it."""
    digits = ["IXYZ".index(letter) for letter in reversed(letters)]
    for tail in tails:
        coefficient *= tail.eigenvalue([digits[q] for q in tail.qubits])
    x = sum(1 << q for q, d in enumerate(digits) if d in (1, 2))
    z = sum(1 << q for q, d in enumerate(digits) if d in (2, 3))
    return x, z, coefficient * (-1j) ** digits.count(2)
