"""Random and conditional steps: one simulation per distinct outcome rather than one per shot.

At each random step the shots are split among its outcomes, and every outcome that got a shot is followed on its own.
Shots that have seen the same outcomes so far share their simulation, which is exact: a multinomial split of the shots
is what so many independent shots would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from proxima_backend_cirq.program import Conditioned, Kraus, Measure, Mixture

Split: TypeAlias = Callable[[float, Sequence[float]], Sequence[float]]
Leaf: TypeAlias = Callable[[Any, list[int], float], None]

# Branches of less probability than this are dropped where outcomes are enumerated: below rounding.
NEGLIGIBLE = 1e-14


def shots_split(rng: np.random.Generator) -> Split:
    """Splits a number of shots at random."""

    def split(shots: float, probabilities: Sequence[float]) -> Sequence[float]:
        if shots == 1:
            edges = np.cumsum(probabilities)
            out = [0.0] * len(probabilities)
            out[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))] = 1.0
            return out
        numbers: list[float] = rng.multinomial(int(shots), probabilities).tolist()
        return numbers

    return split


def weight_split(weight: float, probabilities: Sequence[float]) -> Sequence[float]:
    """Splits a probability exactly, to enumerate every outcome."""
    return [w if (w := weight * p) > NEGLIGIBLE else 0.0 for p in probabilities]


def follow(
    steps: Sequence[Any],
    state: Any,
    bits: list[int],
    weight: float,
    split: Split,
    leaf: Leaf,
    check: Callable[[], None],
    start: int = 0,
) -> None:
    """Follows the steps from a state, and calls ``leaf`` with the state, the classical bits and the weight of each end.

    The outcome of most weight is followed last and in place, so at most log2(shots) + 1 states are held at a time.
    """
    for position in range(start, len(steps)):
        check()
        step = steps[position]
        if isinstance(step, Conditioned):
            if not step.condition.holds(bits):
                continue
            step = step.step
        if not isinstance(step, (Measure, Mixture, Kraus)):
            state.apply(step)
            continue
        if isinstance(step, Measure) and not step.read and split is weight_split and hasattr(state, "dephase"):
            state.dephase(step.qubit)
            continue
        shares = split(weight, _probabilities(step, state))
        outcomes = sorted((share, k) for k, share in enumerate(shares) if share > 0)
        if not outcomes:
            return
        for share, k in outcomes[:-1]:
            child, own = state.copy(), bits.copy()
            _take(step, k, child, own)
            follow(steps, child, own, share, split, leaf, check, position + 1)
        weight, k = outcomes[-1]
        _take(step, k, state, bits)
    leaf(state, bits, weight)


def _probabilities(step: Measure | Mixture | Kraus, state: Any) -> Sequence[float]:
    if isinstance(step, Measure):
        one = state.probability_of_one(step.qubit)
        return 1.0 - one, one
    if isinstance(step, Mixture):
        return step.weights
    probabilities: Sequence[float] = state.kraus_probabilities(step.qubits, step.operators)
    return probabilities


def _take(step: Measure | Mixture | Kraus, outcome: int, state: Any, bits: list[int]) -> None:
    """Makes of a state what the given outcome makes of it."""
    if isinstance(step, Measure):
        state.project(step.qubit, outcome)
        if step.clbit >= 0:
            bits[step.clbit] = outcome
        for operation in step.flip if outcome else ():
            state.apply(operation)
    elif isinstance(step, Mixture):
        for operation in step.choices[outcome]:
            state.apply(operation)
    else:
        state.apply_kraus(step.qubits, step.operators[outcome])
