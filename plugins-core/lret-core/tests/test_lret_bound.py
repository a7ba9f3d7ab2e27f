"""The certified bound against the exact density matrix."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from lret_circuits import brick, exact, random_circuit, trace_distance

import proxima_lret_core as lret
from proxima.contracts.noise import NoiseModel

BATCHES = 20
IN_A_BATCH = 25


@pytest.mark.parametrize("batch", range(BATCHES))
def test_bound_is_never_exceeded_on_500_random_circuits(batch: int) -> None:
    rng = np.random.default_rng(batch)
    ratios = []
    for _ in range(IN_A_BATCH):
        n = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8], p=[0.05, 0.1, 0.2, 0.2, 0.2, 0.15, 0.07, 0.03]))
        dynamic = bool(rng.random() < 0.3)
        circuit = random_circuit(
            n, rng, length=int(rng.integers(5, 30)), strength=float(10 ** rng.uniform(-3, -0.3)), dynamic=dynamic
        )
        tolerance = float(10 ** rng.uniform(-3, -0.3))
        state = lret.run(circuit, tolerance=tolerance, precision=str(rng.choice(["single", "double"])))  # type: ignore[arg-type]
        distance = trace_distance(state.density_matrix(), exact(circuit))
        assert state.bound <= tolerance
        assert distance <= state.bound + 1e-13  # what the test's own eigenvalues are good for
        if state.spent:
            ratios.append(distance / state.bound)
    assert ratios, "nothing was dropped, so nothing was tested"
    assert statistics.median(ratios) > 0.05, "a bound far from the truth is of no use"


@pytest.mark.parametrize("precision", ["single", "double"])
def test_rounding_alone_is_bounded_too(precision: str) -> None:
    circuit = brick(6, layers=20)
    state = lret.run(circuit, precision=precision)  # type: ignore[arg-type]
    distance = trace_distance(state.density_matrix(), exact(circuit))
    assert state.rank == 1
    assert state.spent == 0
    assert 1e-16 < distance <= state.bound <= (1e-3 if precision == "single" else 1e-11)


def test_a_smaller_tolerance_is_kept_to_with_more_columns() -> None:
    circuit = NoiseModel.parse("depolarizing:0.01").apply(brick(5))
    states = [lret.run(circuit, tolerance=t, precision="double") for t in (0.1, 1e-2, 1e-4, 1e-9)]
    truth = exact(circuit)
    distances = [trace_distance(state.density_matrix(), truth) for state in states]
    assert [state.most_columns for state in states] == sorted(state.most_columns for state in states)
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] <= 1e-9


def test_truncation_finds_that_columns_repeat() -> None:
    """A Clifford circuit's errors are few different states, however many ways lead to them."""
    builder = lret_clifford(4, layers=30)
    circuit = NoiseModel.parse("depolarizing:0.002").apply(builder)
    state = lret.run(circuit, tolerance=1e-2)
    assert state.most_columns < 4 * 2**4 * 4
    assert trace_distance(state.density_matrix(), exact(circuit)) <= state.bound <= 1e-2


def lret_clifford(n: int, layers: int):  # type: ignore[no-untyped-def]
    from proxima.contracts.circuit import Circuit

    builder = Circuit.builder(n)
    for layer in range(layers):
        for q in range(n):
            builder.h(q).s(q)
        for q in range(layer % 2, n - 1, 2):
            builder.cx(q, q + 1)
    return builder.build()
