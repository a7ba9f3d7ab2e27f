"""`simulate`: each method against the exact state, switches forced at random points, and what the state says of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from lret_circuits import brick, exact, random_circuit, trace_distance

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima_lret_core import simulation
from proxima_lret_core.ensemble import Limits
from proxima_sdk import reference

BATCHES = 20
IN_A_BATCH = 25


def noisy(circuit: Circuit, p: float = 0.01) -> Circuit:
    return NoiseModel.parse(f"depolarizing:{p}").apply(circuit)


def forced(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, to: str) -> None:
    """Low rank is what `automatic` begins with, and it is left at a random unit for another method."""
    left = float(rng.uniform(0, 1))

    def limits(self: Any, others: list[str]) -> Limits:
        blocks = self._program.blocks
        at = int(rng.integers(len(blocks)))

        def columns(block: int) -> list[float]:
            plan = blocks[block].plan
            unit = int(left * plan.num_units)
            return [0.0 if block >= at and each >= unit else math.inf for each in range(plan.num_units)]

        return Limits(columns, lambda rank, block, unit: to)

    monkeypatch.setattr(simulation._Simulation, "_limits", limits)
    seconds = simulation.Prediction.seconds
    monkeypatch.setattr(
        simulation.Prediction,
        "seconds",
        lambda self, method: 0.1 if method == "low_rank" else 1 + seconds(self, method),
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_bound_is_never_exceeded_whichever_method_and_wherever_it_is_left(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1000 + batch)
    switched = 0
    for _ in range(IN_A_BATCH):
        n = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.1, 0.2, 0.25, 0.25, 0.15, 0.05]))
        circuit = random_circuit(
            n, rng, length=int(rng.integers(5, 30)), strength=float(10 ** rng.uniform(-3, -0.3)),
            dynamic=bool(rng.random() < 0.3),
        )  # fmt: skip
        tolerance = float(10 ** rng.uniform(-2.5, -0.3))
        precision: Any = str(rng.choice(["single", "double"]))
        with monkeypatch.context() as patch:
            method: Any = "density_matrix"
            if rng.random() < 0.7:
                method = "automatic"
                forced(patch, rng, "density_matrix")
            state = lret.simulate(circuit, tolerance=tolerance, precision=precision, method=method)
        assert not isinstance(state, lret.TrajectoryState)
        distance = trace_distance(state.density_matrix(), exact(circuit))
        assert state.bound <= tolerance
        assert distance <= state.bound + 1e-13  # what the test's own eigenvalues are good for
        switched += any(note.startswith("Went over") for note in state.notes)
    assert switched > IN_A_BATCH / 5, "hardly anything was left in the middle"


@pytest.mark.parametrize("precision", ["single", "double"])
def test_rounding_of_a_density_matrix_is_bounded(precision: Any) -> None:
    circuit = noisy(brick(6, layers=12), 1e-4)
    state = lret.simulate(circuit, tolerance=0.05, precision=precision, method="density_matrix")
    assert isinstance(state, lret.DensityMatrixState)
    distance = trace_distance(state.density_matrix(), exact(circuit))
    assert distance <= state.bound < {"single": 2e-3, "double": 4e-12}[precision]
    assert state.spent == 0


def test_the_answers_of_a_density_matrix() -> None:
    circuit = noisy(brick(5), 0.03)
    state = lret.simulate(circuit, tolerance=1e-9, precision="double", method="density_matrix")
    rho = exact(circuit)
    np.testing.assert_allclose(state.probabilities(), rho.diagonal().real, atol=1e-12)
    low = lret.run(circuit, tolerance=1e-9, precision="double")
    np.testing.assert_allclose(state.reduced_density_matrix([3, 1]), low.reduced_density_matrix([3, 1]), atol=3e-9)
    for letters in ("ZIIII", "IXYZI", "YYIIX", "XZZYY", "IIIII"):
        value, _ = reference.expectation(circuit, PauliSum(((1.0, letters),)))
        assert state.expectation(PauliSum(((1.0, letters),))).value == pytest.approx(value, abs=1e-12)
    assert state.method == "density_matrix"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [8, 9, 10])
def test_passes_over_parts_of_the_coefficients_agree_with_columns(n: int, threads: int) -> None:
    """From 9 qubits on a part of the coefficients is copied out for several superoperators."""
    from proxima.contracts.backend import RunContext

    rng = np.random.default_rng(n)
    builder = Circuit.builder(n)
    for _ in range(3):
        order = rng.permutation(n).tolist()
        for q in range(n):
            builder.u(*rng.uniform(0, 6, 3).tolist(), q)
        for a, b in zip(order[::2], order[1::2], strict=False):
            builder.cx(a, b)
        builder.ccx(*order[:3])
    circuit = builder.bit_flip(0.1, 0).ry(0.3, 0).cx(0, n - 1).build()
    state = lret.simulate(circuit, precision="double", method="density_matrix", context=RunContext(threads=threads))
    low = lret.run(circuit, precision="double")
    np.testing.assert_allclose(state.probabilities(), low.probabilities(), atol=1e-12)
    np.testing.assert_allclose(
        state.reduced_density_matrix([0, n - 1]), low.reduced_density_matrix([0, n - 1]), atol=1e-12
    )


def test_automatic_takes_what_is_cheap_and_says_so() -> None:
    light = lret.simulate(noisy(brick(10), 0.0005))
    heavy = lret.simulate(noisy(brick(7), 0.02))
    many = lret.simulate(noisy(brick(10), 0.02), shots=20)
    assert (light.method, heavy.method, many.method) == ("low_rank", "density_matrix", "trajectories")
    for state in (light, heavy, many):
        assert state.notes[0].startswith("Chosen: ")
        assert "expected to cost least" in state.notes[0]


def test_low_rank_is_left_where_columns_become_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guess before the run is made to be wrong; the run itself notices."""
    circuit = noisy(brick(8), 0.02)
    monkeypatch.setattr(simulation.Prediction, "columns", 1.0)
    state = lret.simulate(circuit)
    assert state.method == "density_matrix"
    assert any("Went over from low rank to a density matrix" in note for note in state.notes)
    assert state.bound <= 5e-3


def test_memory_leaves_low_rank_for_trajectories(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = noisy(brick(12), 0.004)
    monkeypatch.setattr(simulation.Prediction, "columns", 1.0)
    state = lret.simulate(circuit, shots=40, memory=30_000_000)
    assert state.method == "trajectories"
    assert any("Went over from low rank to trajectories" in note for note in state.notes)
    assert state.error_bound.kind == "trace_distance"
    assert 0 < state.error_bound.value <= 5e-3
    assert state.samples(40).shape == (40, 12)


def test_more_than_four_qubits_at_once_are_not_for_a_density_matrix() -> None:
    wide = Circuit.builder(5).unitary(np.eye(32), 0, 1, 2, 3, 4).build()
    with pytest.raises(UnsupportedError, match="acts on 5 qubits"):
        lret.simulate(wide, method="density_matrix")
    assert lret.simulate(wide).method == "low_rank"


def test_a_density_matrix_that_does_not_fit_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(ResourceError, match=r"takes 4,398,046,511,104 bytes"):
        lret.simulate(Circuit.builder(20).h(0).build(), method="density_matrix", memory=2**33)
    with pytest.raises(ResourceError):
        lret.simulate(Circuit.builder(40).h(0).build(), method="density_matrix")


def test_a_tolerance_below_rounding_is_refused_by_each_method() -> None:
    circuit = noisy(brick(4))
    for method in lret.METHODS:
        with pytest.raises(UnsupportedError, match="rounding in single precision"):
            lret.simulate(circuit, tolerance=1e-9, method=method, shots=10)


def test_what_makes_no_sense() -> None:
    bell = Circuit.builder(2, 2).h(0).cx(0, 1).measure_all().build()
    with pytest.raises(UsageError, match="no method 'exact'"):
        lret.simulate(bell, method="exact")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no shots were asked for"):
        lret.simulate(bell, method="trajectories")
    with pytest.raises(UsageError, match="0 shots"):
        lret.simulate(bell, shots=0)
    for tolerance in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(UsageError, match="tolerance"):
            lret.simulate(bell, tolerance=tolerance)
    state = lret.simulate(bell, shots=10, method="trajectories")
    for question in (
        state.probabilities,
        state.density_matrix,
        lambda: state.expectation(PauliSum.parse("ZZ")),
        lambda: state.reduced_density_matrix([0]),
    ):
        with pytest.raises(UnsupportedError, match="trajectories give samples"):
            question()


@pytest.mark.parametrize("method", ["low_rank", "density_matrix", "trajectories"])
def test_a_measurement_in_the_middle_is_told_wrong_but_happens_right(method: Any) -> None:
    """The qubit is |1>; the bit says 0 in a fifth of all shots, and only the bit decides on the second qubit's flip."""
    from proxima.contracts.circuit import Condition

    builder = Circuit.builder(2, 3).x(0).measure(0, 0).x(1, condition=Condition((0,), 1)).measure(0, 1).measure(1, 2)
    readout = {0: ReadoutError(0.0, 0.2)}
    shots = 20_000
    state = lret.simulate(builder.build(), readout=readout, shots=shots, method=method)
    counts = state.counts(shots, seed=2)
    expected = {"111": 0.8 * 0.8, "101": 0.8 * 0.2, "010": 0.2 * 0.8, "000": 0.2 * 0.2}
    assert set(counts) <= set(expected)
    for bits, probability in expected.items():
        sigma = math.sqrt(probability * (1 - probability) / shots)
        assert abs(counts.get(bits, 0) / shots - probability) < 5 * sigma


def test_fusing_leaves_one_superoperator_for_each_pair() -> None:
    from proxima_lret_core.program import Program

    builder = Circuit.builder(2)
    for _ in range(5):
        builder.rx(0.3, 0).ry(0.1, 1).cx(0, 1).append(Op.RZZ, (1, 0), (0.4,))
    program = Program(noisy(builder.build()))
    (ops,) = program.superops
    assert ops is not None
    assert ops.count == 1
