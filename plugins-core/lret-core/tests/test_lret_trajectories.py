"""Trajectories: their distribution, what they share, and that a seed is a seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from lret_circuits import brick, random_circuit

import proxima_lret_core as lret
from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.errors import ResourceError
from proxima_lret_core import _native
from proxima_lret_core.program import Program
from proxima_sdk import reference

SHOTS = 20_000


def go_on(columns: int, spent: float) -> bool:
    return True


def chi_squared(counts: dict[str, int], expected: dict[str, float], shots: int) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom, rare outcomes taken together."""
    common = {bits: p for bits, p in expected.items() if p * shots >= 5}
    rest = 1 - sum(common.values())
    statistic = sum((counts.get(bits, 0) - p * shots) ** 2 / (p * shots) for bits, p in common.items())
    if rest * shots >= 1:
        others = sum(count for bits, count in counts.items() if bits not in common)
        statistic += (others - rest * shots) ** 2 / (rest * shots)
    return statistic, max(len(common) - 1 + (rest * shots >= 1), 1)


def measured(circuit: Circuit, noise: str = "") -> Circuit:
    """The circuit, with noise, and then every qubit measured into a classical bit of its own after those it has."""
    noisy = NoiseModel.parse(noise).apply(circuit) if noise else circuit
    n, bits = circuit.num_qubits, circuit.num_clbits
    builder = Circuit.builder(n, bits + n)
    for each in noisy:
        if each.op is Op.MEASURE:
            builder.measure(each.qubits[0], each.clbit)
        else:
            builder.append(each.op, each.qubits, each.params, condition=each.condition, matrices=each.matrices)
    for q in range(n):
        builder.measure(q, bits + q)
    return builder.build()


def assert_follows(state: lret.TrajectoryState, circuit: Circuit, shots: int, seed: int) -> None:
    """Chi squared within five standard deviations (its variance is twice its degrees of freedom) and its skew."""
    statistic, freedom = chi_squared(state.counts(shots, seed), reference.distribution(circuit), shots)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 12


def trajectories(circuit: Circuit, shots: int, **options: Any) -> lret.TrajectoryState:
    state = lret.simulate(circuit, shots=shots, method="trajectories", **options)
    assert isinstance(state, lret.TrajectoryState)
    return state


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("seed", range(12))
def test_shots_follow_the_exact_distribution(seed: int, precision: str) -> None:
    """Over every gate and channel, with measurements, resets and conditions in the middle."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 4))
    circuit = measured(random_circuit(n, rng, length=25, strength=0.4, dynamic=seed % 2 == 1))
    assert_follows(trajectories(circuit, SHOTS, precision=precision), circuit, SHOTS, seed)


def test_noise_kept_for_the_end_reaches_the_shots() -> None:
    circuit = measured(brick(4), "depolarizing:0.05")
    assert Program(circuit).tails
    assert_follows(trajectories(circuit, SHOTS), circuit, SHOTS, 4)


def test_a_seed_gives_the_same_shots_whatever_the_threads() -> None:
    circuit = measured(brick(9), "amplitude_damping:0.05")
    one, two = (trajectories(circuit, 300, context=RunContext(threads=t)).samples(300, 5) for t in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != trajectories(circuit, 300).samples(300, 6)).any()


def test_shots_that_share_a_history_are_one_column() -> None:
    program = Program(NoiseModel.parse("depolarizing:0.001").apply(brick(6)))
    made = _native.make_trajectories(6, 0, True, 1, 1000, 3)
    (block,) = program.blocks
    assert block.plan is not None
    made.advance(block.plan, 0, go_on)
    assert made.shots == 1000
    # The expected number of shots with an error, within five standard deviations, and the one history without.
    hit = 1000 * -math.expm1(-program.error)
    assert 1 < made.count < hit + 5 * math.sqrt(hit) + 1


def test_many_damping_steps_do_not_underflow() -> None:
    """A second qubit keeps them from being one channel."""
    builder = Circuit.builder(2, 2)
    for _ in range(3000):
        builder.ry(1.5, 0).amplitude_damping(0.05, 0).phase_damping(0.3, 0).cx(0, 1)
    circuit = builder.measure_all().build()
    assert_follows(trajectories(circuit, 2000, tolerance=0.5), circuit, 2000, 1)


def test_shots_come_in_batches_where_memory_is_short() -> None:
    circuit = measured(brick(6), "depolarizing:0.05")
    assert_follows(trajectories(circuit, 4000, memory=60_000), circuit, 4000, 8)
    with pytest.raises(ResourceError, match="need at least"):
        trajectories(circuit, 4000, memory=20_000).samples(10)


def test_sampling_error_is_what_the_bound_tells() -> None:
    circuit = Circuit.builder(1, 1).h(0).bit_flip(0.1, 0).measure(0, 0).build()
    state = trajectories(circuit, 400)
    assert state.error_bound.kind == "sampling"
    assert state.error_bound.value == pytest.approx(0.025)
    assert state.samples(0).shape == (0, 1)
