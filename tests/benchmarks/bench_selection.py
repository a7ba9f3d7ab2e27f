"""`auto` against the best backend for each circuit, over the shared circuits and generated families.

Goal: geometric mean at most 1.3 of the best, worst at most 3, and feasible wherever any backend is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from timing import seconds

import proxima
from proxima.errors import DeadlineExceededError, UnavailableError
from proxima.paths import Paths
from proxima_sdk import circuits

SHARED = Path(__file__).resolve().parents[3] / "shared" / "circuits"
DEADLINE = 15.0
SIZES = (4, 8, 12, 16, 20, 24)
BACKENDS = ("cirq", "qiskit-aer", "qsim", "quest", "stim")


def _generated() -> Iterator[tuple[str, proxima.Circuit]]:
    for n in SIZES:
        yield f"ghz {n}", circuits.ghz(n)
        yield f"qft {n}", circuits.qft(n)
        yield f"qaoa {n}", circuits.qaoa(n)
        yield f"random {n}", circuits.random(n, 10, seed=n)
        yield f"clifford {n}", circuits.clifford(n, seed=n)
        yield f"brickwork {n}", circuits.brickwork(n, seed=n)
    yield "brickwork 40, depth 4", circuits.brickwork(40, 4, seed=40)
    yield "clifford 100", circuits.clifford(100, seed=100)


def test_auto_against_the_best(tmp_path: Path) -> None:
    with proxima.open(paths=Paths.under(str(tmp_path))) as px:
        for name in BACKENDS:
            px.run(circuits.ghz(3), backend=name, store=False)  # engines loaded: what is compared is the choice
        cases = [(path.stem, px.load(path)) for path in sorted(SHARED.glob("qasmbench/*.qasm"))] + list(_generated())
        losses = []
        for name, circuit in cases:
            times = {backend: _best_of(px, circuit, backend) for backend in BACKENDS}
            chosen = _best_of(px, circuit, "auto")
            best = min(times.values())
            if math.isinf(best):
                print(f"{name:<24} no backend can within {DEADLINE:g} s")
                continue
            losses.append((chosen / best, name))
            shown = "  ".join(f"{b} {t * 1e3:9.2f}" for b, t in times.items())
            print(f"{name:<24} {shown}  auto {chosen * 1e3:9.2f} ms   {chosen / best:6.2f}")
    finite = [loss for loss, _ in losses]
    print(f"\nauto over {len(losses)} circuits: geometric mean {statistics.geometric_mean(finite):.3f} (goal 1.3)")
    print("worst: " + ", ".join(f"{loss:.2f} {name}" for loss, name in sorted(losses)[:-6:-1]) + " (goal 3)")


def _best_of(px: proxima.Kernel, circuit: proxima.Circuit, backend: str) -> float:
    """Least time of a few runs; infinite where the backend cannot, or passes the deadline."""
    times: list[float] = []

    def run() -> None:
        px.run(circuit, backend=backend, seed=1, threads=1, store=False, deadline=DEADLINE)

    try:
        while len(times) < 5 and sum(times) < 2.0:
            times.append(seconds(run))
    except (UnavailableError, DeadlineExceededError):
        return math.inf
    return min(times)


@pytest.mark.parametrize("gates", [100, 1000])
def test_cost_of_choosing(tmp_path: Path, gates: int) -> None:
    with proxima.open(paths=Paths.under(str(tmp_path))) as px:
        circuit = circuits.random(8, gates // 8, seed=1)
        px.run(circuit, store=False)
        chosen = min((px.run(circuit, store=False, seed=1) for _ in range(7)), key=lambda r: r.timings["select"])
        print(f"\nchoosing takes {chosen.timings['select'] * 1e3:.2f} ms at {len(circuit)} operations")
