"""Following a circuit to its ends: one where nothing is measured on the way, a tree of them where something is.

At a measurement or a reset the state parts in two. Exact answers need every end, each with its probability; samples
need those that some of the shots reach, and shots that have gone the same way so far share their state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.operations import Op
from proxima_backend_pennylane.states import State

# A call into the engine cannot be interrupted, so the context is asked after about so many operations times amplitudes.
PIECE = 1e8


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of a circuit as a state takes it.

    Attributes:
        operation: For `State.apply`; ``None`` for a measurement or a reset.
        qubit, clbit: What is measured, and where to; a reset has no bit (-1).
    """

    operation: Any
    condition: Condition | None = None
    qubit: int = -1
    clbit: int = -1


def rows_of(circuit: Circuit, translate: Callable[[Instruction], Any]) -> list[Row]:
    """A circuit without its final measurements."""
    rows: list[Row] = []
    for instruction in circuit:
        if instruction.op in (Op.MEASURE, Op.RESET):
            rows.append(Row(None, instruction.condition, instruction.qubits[0], instruction.clbit))
        elif instruction.op not in (Op.BARRIER, Op.ID):
            rows.append(Row(translate(instruction), instruction.condition))
    return rows


@dataclass(slots=True)
class End:
    """Where shots, or a share of the ensemble, come to: before the final measurements.

    Attributes:
        bits: The classical bits written on the way.
        weight: The probability of this end; ``shots``: how many of them took it.
    """

    state: State
    row: int
    bits: list[int]
    weight: float
    shots: int


def ends(
    rows: Sequence[Row],
    start: State,
    num_clbits: int,
    *,
    cost: float,
    shots: int,
    least: float | None,
    rng: np.random.Generator,
    context: RunContext,
) -> Iterator[End]:
    """Every end that matters.

    Args:
        rows: What to run.
        start: The state before it; it is changed.
        num_clbits: Of the circuit.
        cost: How many amplitudes an operation passes over.
        shots: How many are drawn; 0 where nothing is sampled.
        least: The smallest probability of an end that is followed; ``None`` where only the shots matter.
        rng: Draws the ways of the shots.
        context: Asked whether to go on, and told how far it is.

    Raises:
        CancelledError, DeadlineExceededError: Between two operations.
    """
    at_once = max(1, int(PIECE / cost))
    waiting = [End(start, 0, [0] * num_clbits, 1.0, shots)]
    done, told, since = 0.0, 0.0, 0
    while waiting:
        here = waiting.pop()
        share = here.weight if least is not None or not shots else here.shots / shots
        while here.row < len(rows):
            row = rows[here.row]
            since += 1
            if since >= at_once:
                since = 0
                context.check()
                told = max(told, min(done + share * here.row / len(rows), 1.0))
                context.progress(told, "evolving the state")
            if row.condition is not None and not row.condition.holds(here.bits):
                here.row += 1
            elif row.operation is not None:
                here.state.apply(row.operation, context.check)
                here.row += 1
            else:
                break
        else:
            context.check()
            done += share
            yield here
            continue
        context.check()
        # The one with fewer shots goes first, so that few states wait at a time.
        waiting += sorted(_parted(here, rows[here.row], least, rng), key=lambda end: -end.shots)


def _parted(here: End, row: Row, least: float | None, rng: np.random.Generator) -> list[End]:
    """The ways on from a measurement or a reset."""
    one = here.state.one(row.qubit)
    ones = int(rng.binomial(here.shots, one)) if here.shots else 0
    chances = ((0, (1 - one) * here.weight, here.shots - ones), (1, one * here.weight, ones))
    ways = [way for way in chances if way[2] or (least is not None and way[1] > least)]
    parted: list[End] = []
    for number, (outcome, weight, shots) in enumerate(ways):
        state = here.state.copy() if number + 1 < len(ways) else here.state
        state.collapse(row.qubit, outcome)
        bits = list(here.bits)
        if row.clbit >= 0:
            bits[row.clbit] = outcome
        elif outcome:
            state.flip(row.qubit)
        parted.append(End(state, here.row + 1, bits, weight, shots))
    return parted
