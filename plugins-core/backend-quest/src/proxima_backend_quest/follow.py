"""Random and conditional steps: one simulation per distinct outcome rather than one per shot.

At each measurement the shots are split between its outcomes, and each outcome that got a shot is followed on its own.
That is exact: a binomial split of the shots is what so many independent shots would do. Probabilities are split in the
same way where the state itself is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from proxima.contracts.backend import RunContext
from proxima_backend_quest.engine import Register, State
from proxima_backend_quest.program import Conditioned, Matrices, Measure, Native, flip, probability_of_one, project

Split: TypeAlias = Callable[[float, float], tuple[float, float]]
"""``(weight, probability of 1)`` to the weights of 0 and 1."""

_NEGLIGIBLE = 1e-14


@dataclass(frozen=True, slots=True)
class End:
    """Where one sequence of outcomes led.

    Attributes:
        bits: The classical bits so far.
        weight: How many shots, or what probability, came here.
    """

    state: State
    bits: list[int]
    weight: float


def shots_split(rng: np.random.Generator) -> Split:
    """Splits a number of shots at random."""

    def split(shots: float, one: float) -> tuple[float, float]:
        ones = float(rng.binomial(int(shots), min(max(one, 0.0), 1.0)))
        return shots - ones, ones

    return split


def weight_split(weight: float, one: float) -> tuple[float, float]:
    """Splits a probability."""
    shares = weight * (1 - one), weight * one
    return shares[0] if shares[0] > _NEGLIGIBLE else 0.0, shares[1] if shares[1] > _NEGLIGIBLE else 0.0


def ends(
    register: Register, steps: Sequence[Any], num_clbits: int, weight: float, split: Split, context: RunContext
) -> Iterator[End]:
    """Every end that some weight came to.

    Where probabilities are split, which is for density matrices alone, a measurement that no condition reads dephases.
    """
    straight = not any(isinstance(step, Measure | Conditioned) for step in steps)
    waiting: list[tuple[int, State | None, list[int], float]] = [(0, None, [0] * num_clbits, weight)]
    while waiting:
        position, state, bits, share = waiting.pop()
        while position < len(steps) and share > 0:
            context.check()
            step = steps[position]
            position += 1
            if isinstance(step, Conditioned):
                if not step.condition.holds(bits):
                    continue
                step = step.step
            if isinstance(step, Native):
                state = register.evolve(state, step.operations, context, report=len(steps) == 1)
                continue
            state = register.zero() if state is None else state
            if isinstance(step, Matrices):
                state = step.of(state, register.num_qubits)
                if straight:
                    context.progress(position / len(steps), "QuEST")
            elif split is weight_split and not step.read:
                state = register.evolve(state, register.dephasing(step.qubit), context)
            else:
                shares = split(share, probability_of_one(state, step.qubit))
                light, heavy = sorted((0, 1), key=shares.__getitem__)
                if shares[light] > 0:
                    # The lighter outcome is followed first, so that at most log2(weight) + 1 states wait.
                    waiting.append((position, *_after(step, heavy, state, bits), shares[heavy]))
                    heavy = light
                state, bits = _after(step, heavy, state, bits)
                share = shares[heavy]
        if share > 0:
            yield End(register.zero() if state is None else state, bits, share)


def _after(step: Measure, outcome: int, state: State, bits: list[int]) -> tuple[State, list[int]]:
    """State and classical bits after an outcome."""
    after = project(state, step.qubit, outcome)
    if step.clbit < 0:
        return (flip(after, step.qubit) if outcome else after), bits
    return after, [*bits[: step.clbit], outcome, *bits[step.clbit + 1 :]]
