"""Measurements in the middle, resets and conditions, followed exactly as an ensemble."""

from __future__ import annotations

import numpy as np
import pytest
from lret_circuits import random_circuit

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit, Condition
from proxima_sdk import reference


@pytest.mark.parametrize("seed", range(30))
def test_branches_are_the_reference_s_ensemble(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    circuit = random_circuit(n, rng, length=25, strength=0.2, dynamic=True)
    state = lret.run(circuit, tolerance=1e-8, precision="double")
    truth: dict[tuple[int, ...], float] = {}
    for bits, rho in reference.ensemble_of(circuit.without_final_measurements()).items():
        truth[bits] = float(np.trace(rho).real)
    found = {bits: factor.trace() for bits, factor in state.branches.items()}
    for bits in truth | found:
        assert found.get(bits, 0.0) == pytest.approx(truth.get(bits, 0.0), abs=2e-8)
    np.testing.assert_allclose(state.probabilities(), reference.probabilities(circuit), atol=2e-8)
    assert sum(found.values()) == pytest.approx(1 - state.spent, abs=1e-9)


def test_teleportation_carries_a_state() -> None:
    builder = Circuit.builder(3, 3).u(0.7, 0.2, 0.4, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure(0, 0).measure(1, 1)
    builder.x(2, condition=Condition((1,), 1)).z(2, condition=Condition((0,), 1))
    state = lret.run(builder.build(), precision="double")
    alone = lret.run(Circuit.builder(1).u(0.7, 0.2, 0.4, 0).build(), precision="double")
    np.testing.assert_allclose(state.reduced_density_matrix([2]), alone.density_matrix(), atol=1e-12)
    assert len(state.branches) == 4


def test_branches_that_come_to_the_same_bits_are_joined() -> None:
    builder = Circuit.builder(2, 1)
    for _ in range(12):  # 2^12 histories, two values of the bit
        builder.h(0).measure(0, 0).cx(0, 1)
    state = lret.run(builder.build(), tolerance=1e-2, precision="double")
    assert len(state.branches) <= 2
    assert state.rank <= 128


def test_counts_of_a_measured_and_reset_qubit() -> None:
    circuit = Circuit.builder(1, 2).x(0).measure(0, 0).reset(0).measure(0, 1).build()
    assert lret.run(circuit).counts(50) == {"01": 50}
