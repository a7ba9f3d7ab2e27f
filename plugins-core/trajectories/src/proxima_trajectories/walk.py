"""Following a circuit to its ends: one where nothing parts the state on the way, else a tree of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.operations import CHANNELS, Op
from proxima_trajectories.channels import Channel
from proxima_trajectories.state import State


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of a circuit as a state takes it.

    Attributes:
        operation: For `State.apply`; ``None`` where the state parts.
        qubit, clbit: What is measured, and where to; a reset has no bit (-1).
        channel: Where the row is one.
    """

    operation: Any
    condition: Condition | None = None
    qubit: int = -1
    clbit: int = -1
    channel: Channel | None = None


def rows_of(
    circuit: Circuit, gate: Callable[[Instruction], Any], channel: Callable[[Instruction], Channel] | None = None
) -> list[Row]:
    """A circuit without its final measurements, as rows.

    Args:
        circuit: Without open parameters.
        gate: Makes an operation for `State.apply`; of a channel, too, where ``channel`` is left out.
        channel: Makes the ways of a channel.
    """
    rows: list[Row] = []
    for instruction in circuit:
        op, condition = instruction.op, instruction.condition
        if op in (Op.MEASURE, Op.RESET):
            rows.append(Row(None, condition, instruction.qubits[0], instruction.clbit))
        elif op in CHANNELS and channel is not None:
            rows.append(Row(None, condition, channel=channel(instruction)))
        elif op not in (Op.BARRIER, Op.ID):
            rows.append(Row(gate(instruction), condition))
    return rows


@dataclass(slots=True)
class End:
    """Where some shots, or a share of the ensemble, come to.

    Attributes:
        row: How far it is; past the last row for an end that `ends` gives.
        bits: The classical bits written on the way.
        weight: Its probability, where every way is followed.
        shots: How many of them took it.
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
    at_once: int,
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
        at_once: How many operations may go by between two looks at the context.
        shots: How many are drawn; 0 where nothing is sampled.
        least: The smallest probability of a way that is followed although no shot takes it; ``None`` where only the
            shots matter.
        rng: Draws the ways of the shots.
        context: Asked whether to go on, and told how far it is.

    Raises:
        CancelledError, DeadlineExceededError: Between two operations.
    """
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
        # The one with fewest shots goes first, so that few states wait at a time.
        waiting += sorted(_parted(here, rows[here.row], least, rng, context), key=lambda end: -end.shots)


def partings_of(circuit: Circuit) -> int:
    """How many measurements and resets there are on the way, each of which parts the state in two."""
    ops = circuit.columns.ops
    return int((ops == Op.MEASURE).sum() + (ops == Op.RESET).sum()) - len(circuit.final_measurements)


def waiting_states(shots: int, ways: int) -> float:
    """How many states wait at most while only the shots matter: each that goes first has at most half the shots."""
    return math.log2(shots + 1) * max(ways - 1, 1)


def _parted(here: End, row: Row, least: float | None, rng: np.random.Generator, context: RunContext) -> list[End]:
    """The ways on from a measurement, a reset or a channel."""
    chances = _chances(here.state, row)
    shares = rng.multinomial(here.shots, chances).tolist() if here.shots else [0] * len(chances)
    followed = [
        way
        for way, (chance, shots) in enumerate(zip(chances.tolist(), shares, strict=True))
        if shots or (least is not None and chance * here.weight > least)
    ]
    parted: list[End] = []
    for way in followed:
        state = here.state if way == followed[-1] else here.state.copy()
        bits = here.bits
        if row.channel is None:
            state.collapse(row.qubit, way)
            if row.clbit >= 0:
                bits = [*bits[: row.clbit], way, *bits[row.clbit + 1 :]]
            elif way:
                state.flip(row.qubit)
        elif (operation := row.channel.operations[way]) is not None:
            state.apply(operation, context.check)
            if row.channel.chances is None:
                state.normalise()
        parted.append(End(state, here.row + 1, bits, here.weight * float(chances[way]), shares[way]))
    return parted


def _chances(state: State, row: Row) -> npt.NDArray[np.float64]:
    """The probability of each way."""
    if row.channel is None:
        one = min(max(state.one(row.qubit), 0.0), 1.0)
        return np.array([1.0 - one, one])
    if row.channel.chances is not None:
        return row.channel.chances
    rho = state.reduced(row.channel.qubits)
    found = np.array([max(float(np.trace(effect @ rho).real), 0.0) for effect in row.channel.effects])
    out: npt.NDArray[np.float64] = found / found.sum()
    return out
