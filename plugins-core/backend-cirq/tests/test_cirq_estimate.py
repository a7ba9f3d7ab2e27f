"""What the backend says of a run before it runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima_backend_cirq.backend import CirqBackend
from proxima_backend_cirq.work import DEFAULT_RATES, METHODS

MANIFEST = yaml.safe_load((Path(__file__).parent.parent / "plugin.yaml").read_text(encoding="utf-8"))
CAPABILITIES = MANIFEST["entry_points"]["backends"][0]["capabilities"]


def test_manifest_says_what_the_code_does() -> None:
    assert CAPABILITIES["rates"] == dict(DEFAULT_RATES)
    assert tuple(CAPABILITIES["methods"]) == METHODS


def ghz(n: int) -> Circuit:
    builder = Circuit.builder(n, n).h(0)
    for q in range(n - 1):
        builder.cx(q, q + 1)
    return builder.measure_all().build()


def seconds(circuit: Circuit, **request: object) -> float:
    asked = RunRequest(circuit=circuit, **request)  # type: ignore[arg-type]
    estimate = CirqBackend().estimate(asked, features_of(circuit))
    assert estimate.feasible
    assert set(estimate.work) <= set(DEFAULT_RATES)
    return estimate.seconds(DEFAULT_RATES)


def test_cost_grows_with_the_state() -> None:
    options = {"method": "statevector"}
    small, large = (seconds(ghz(n), options=options) for n in (18, 24))
    assert 16 < large / small < 64


def test_shots_cost_only_where_they_are_simulated_one_by_one() -> None:
    options = {"method": "statevector"}
    still = ghz(14)
    assert seconds(still, shots=8000, options=options) < 3 * seconds(still, shots=800, options=options)
    noisy = Circuit.builder(14, 14)
    for layer in range(20):
        for q in range(14):
            noisy.ry(0.1 + layer, q).depolarizing(0.2, q)
        for q in range(0, 13, 2):
            noisy.cx(q, q + 1)
    loud = noisy.measure_all().build()
    assert seconds(loud, shots=8000, options=options) > 8 * seconds(loud, shots=800, options=options)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("num_qubits", "want", "method"),
    [(23, "counts", "statevector"), (23, "statevector", "statevector"), (11, "counts", "density_matrix")],
)
def test_memory_is_what_the_run_takes(num_qubits: int, want: str, method: str) -> None:
    """Measured in a process of its own, over what the same process took before the run."""
    code = f"""
from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima_backend_cirq.backend import CirqBackend
# Not ru_maxrss: a child inherits it from the process that started it.
peak = lambda: next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) * 1024
def run(n):
    b = Circuit.builder(n, n).h(0)
    for q in range(n - 1):
        b.cx(q, q + 1)
    for q in range(n):
        b.rx(0.1, q)
    r = RunRequest(circuit=b.measure_all().build(), wants=({want!r},), options={{"method": {method!r}}})
    backend = CirqBackend()
    backend.run(backend.plan(r), RunContext())
    return backend.estimate(r, None).memory_bytes
run(4)
before = peak()
print(run({num_qubits}), peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    estimated, taken = map(int, done.stdout.split())
    assert 0.8 < estimated / taken < 2.5


def test_a_thousand_qubits_are_estimated_and_run_as_a_stabiliser() -> None:
    circuit = ghz(1000)
    backend = CirqBackend()
    for method in METHODS:
        assert seconds(circuit, options={"method": method}) > 0
    plan = backend.plan(RunRequest(circuit=circuit, shots=10))
    assert plan.method == "clifford"
    assert set(backend.run(plan, RunContext()).counts or {}) == {"0" * 1000, "1" * 1000}
