"""What lret-unified promises beyond the contract: its bound, its tolerance, its estimate, its refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.contracts.noise import NoiseModel
from proxima.contracts.result import RunResult
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima.paths import Paths
from proxima_sdk import circuits, reference

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

from proxima_backend_lret_unified.backend import UnifiedBackend
from proxima_lret_core.costs import choice, estimate

BACKEND = UnifiedBackend()


def noisy(circuit: Circuit, p: float = 0.02) -> Circuit:
    return NoiseModel.parse(f"depolarizing:{p}").apply(circuit)


def run(circuit: Circuit, context: RunContext | None = None, **request: Any) -> RunResult:
    plan = BACKEND.plan(RunRequest(circuit=circuit, **request))
    return BACKEND.run(plan, context or RunContext())


def trace_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(0.5 * np.abs(np.linalg.eigvalsh(a - b)).sum())


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("options", [{}, {"tolerance": 5e-3}, {"tolerance": 0.1}], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_the_exact_state_lies_within_the_bound(seed: int, options: dict[str, float], precision: str) -> None:
    circuit = noisy(circuits.brickwork(4, 4, seed=seed, measure=False))
    result = run(circuit, shots=None, wants=("density_matrix",), precision=precision, options=options)
    assert result.density_matrix is not None
    assert result.error_bound.kind == "trace_distance"
    exact = reference.density_matrix(circuit)
    assert trace_distance(result.density_matrix.astype(complex), exact) <= result.error_bound.value
    assert result.error_bound.value <= choice(RunRequest(circuit=circuit, precision=precision, options=options))[1]


def test_a_tolerance_saves_columns_and_the_notes_say_so() -> None:
    circuit = noisy(circuits.ghz(6))

    def rank(result: RunResult) -> int:
        return int(result.notes[0].split()[1].rstrip(","))

    exact = run(circuit, precision="double", options={"method": "low_rank"})
    loose = run(circuit, precision="double", options={"method": "low_rank", "tolerance": 0.02})
    assert exact.error_bound.value < 1e-9 < loose.error_bound.value <= 0.02
    assert rank(loose) < rank(exact)
    assert "tolerance 0.02" in loose.notes[1]


def test_progress_tells_rank_and_budget() -> None:
    told: list[str] = []
    run(noisy(circuits.brickwork(8, 4)), RunContext(progress=lambda fraction, message: told.append(message)))
    assert any(message.startswith("rank ") and "of the budget" in message for message in told)


@pytest.mark.parametrize("tolerance", [0, -1, 1.5, "much", True, float("nan")])
def test_a_tolerance_that_makes_no_sense(tolerance: object) -> None:
    with pytest.raises(UsageError, match="tolerance"):
        BACKEND.plan(RunRequest(circuit=circuits.ghz(2), options={"tolerance": tolerance}))


def test_a_tolerance_below_rounding_is_refused_with_a_hint() -> None:
    with pytest.raises(UnsupportedError, match="rounding") as refused:
        run(circuits.ghz(4), options={"tolerance": 1e-9})
    assert refused.value.hint == "ask for double precision"


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UsageError, match="rank"):
        BACKEND.plan(RunRequest(circuit=circuits.ghz(2), options={"rank": 3}))


def test_more_than_a_million_shots_come_in_parts_and_are_reproducible() -> None:
    shots = (1 << 20) + 1000
    first, again = (run(circuits.ghz(2), shots=shots, seed=5).counts for _ in range(2))
    assert first is not None
    assert sum(first.values()) == shots
    assert first == again
    alone = run(circuits.ghz(2), shots=1 << 20, seed=5).counts
    assert alone is not None
    assert all(0 <= first[bits] - alone[bits] <= 1000 for bits in first)


@pytest.mark.parametrize("want", ["statevector", "density_matrix"])
def test_large_dense_states_are_infeasible(want: str) -> None:
    request = RunRequest(circuit=circuits.ghz(14), shots=None, wants=(want,))  # type: ignore[arg-type]
    estimate = BACKEND.estimate(request, features_of(request.circuit))
    assert not estimate.feasible
    assert want in estimate.reason
    with pytest.raises(UnsupportedError, match="13 qubits"):
        BACKEND.plan(request)


def test_many_branches_and_heavy_noise_are_infeasible_but_for_shots() -> None:
    builder = Circuit.builder(2, 100)
    for bit in range(100):
        builder.h(0).measure(0, bit)
    many = builder.h(1).measure(1, 0).build()
    heavy = noisy(circuits.brickwork(35, 8), 0.1)
    for circuit in (many, heavy):
        request = RunRequest(circuit=circuit, wants=("probabilities",))
        estimate = BACKEND.estimate(request, features_of(circuit))
        assert not estimate.feasible
        assert "too many" in estimate.reason
        assert BACKEND.estimate(RunRequest(circuit=circuit), features_of(circuit)).method == "trajectories"
    counts = run(many, shots=100).counts
    assert counts is not None
    assert sum(counts.values()) == 100


@pytest.mark.parametrize(
    ("n", "p", "tolerance"), [(8, 0.001, 5e-3), (10, 0.001, 5e-3), (6, 0.01, None), (8, 0.0, None)]
)
def test_memory_is_estimated_from_above(n: int, p: float, tolerance: float | None) -> None:
    circuit = circuits.brickwork(n, 4) if p == 0 else noisy(circuits.brickwork(n, 4), p)
    options = {"method": "low_rank"} if tolerance is None else {"method": "low_rank", "tolerance": tolerance}
    request = RunRequest(circuit=circuit, options=options)
    estimate = BACKEND.estimate(request, features_of(circuit))
    most = int(run(circuit, options=request.options).notes[0].split()[4])
    assert 8 * 2**n * most <= estimate.memory_bytes


@pytest.mark.parametrize("method", ["low_rank", "density_matrix", "trajectories"])
def test_each_method_can_be_asked_for_and_is_told(method: str) -> None:
    result = run(noisy(circuits.ghz(5)), options={"method": method})
    assert result.method == method
    assert result.counts is not None
    assert sum(result.counts.values()) == 1024
    assert result.error_bound.kind == ("sampling" if method == "trajectories" else "trace_distance")


def test_automatic_takes_what_suits_and_says_why() -> None:
    assert run(noisy(circuits.brickwork(7, 4))).method == "density_matrix"
    assert run(noisy(circuits.ghz(12), 0.003), options={"tolerance": 5e-3}).method == "low_rank"
    result = run(noisy(circuits.brickwork(12, 6), 0.02), shots=20)
    assert result.method == "trajectories"
    assert any(note.startswith("Chosen: trajectories, expected to cost least") for note in result.notes)


@pytest.mark.parametrize(
    ("name", "circuit", "tolerance"),
    [
        ("GHZ", noisy(circuits.ghz(12), 0.01), 5e-3),
        ("GHZ, tight", noisy(circuits.ghz(10), 0.003), 1e-3),
        ("light", noisy(circuits.brickwork(10, 4), 0.001), 5e-3),
        ("no noise", circuits.brickwork(12, 6), None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_columns_are_guessed_within_a_factor_of_eight(name: str, circuit: Circuit, tolerance: float | None) -> None:
    options = {"method": "low_rank"} if tolerance is None else {"method": "low_rank", "tolerance": tolerance}
    request = RunRequest(circuit=circuit, options=options)
    guessed = estimate(request, features_of(circuit))[3]
    columns = int(run(circuit, options=options).notes[0].split()[4])
    assert columns / 8 <= guessed <= 8 * columns


def test_trajectories_give_counts_alone() -> None:
    with pytest.raises(UsageError, match="no probabilities"):
        BACKEND.plan(RunRequest(circuit=circuits.ghz(2), wants=("probabilities",), options={"method": "trajectories"}))
    with pytest.raises(UsageError, match="no method 'exact'"):
        BACKEND.plan(RunRequest(circuit=circuits.ghz(2), options={"method": "exact"}))


def test_auto_leaves_heavy_noise_to_others(tmp_path: Path) -> None:
    with proxima.open(paths=Paths.under(str(tmp_path))) as kernel:
        selection = kernel.run(noisy(circuits.brickwork(9, 6), 0.05), shots=100, store=False).selection
    assert selection is not None
    assert selection.chosen != "lret-unified"
    assert "lret-unified" in {candidate.backend for candidate in selection.candidates if candidate.feasible}


def test_memory_error_names_a_way_out() -> None:
    circuit = noisy(circuits.brickwork(36, 2), 0.001)
    with pytest.raises((ResourceError, UnsupportedError)) as refused:
        run(circuit)
    assert refused.value.hint
