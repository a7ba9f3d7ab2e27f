"""What the conformance kit leaves out: the other methods, held against the reference simulator; each needs a GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from proxima.contracts.backend import Backend, RunContext, RunRequest, Want
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, Op
from proxima.contracts.result import RunResult
from proxima_backend_cuquantum import costs, gpus
from proxima_backend_cuquantum.backend import CuQuantumBackend
from proxima_sdk import reference
from proxima_sdk.circuits import brickwork, random
from proxima_sdk.conformance.statistics import fit

OBSERVABLE = PauliSum.parse("ZIXYI + 0.5 * IIIII - 0.25 * XXIIZ")


@pytest.fixture
def cuquantum() -> CuQuantumBackend:
    found = CuQuantumBackend()
    probe = found.probe()
    if probe.state != "available":
        pytest.skip(f"cuquantum cannot run here: {probe.state}: {probe.reason}")
    return found


def check(found: Backend, seed: int, method: str) -> None:
    """Every answer about a circuit, in double precision."""
    circuit = random(5, 6, seed=seed, operations=[op for op in sorted(GATES) if op is not Op.UNITARY])
    body = circuit.without_final_measurements()
    expected = reference.statevector(body)

    def run(want: Want, shots: int | None = None) -> RunResult:
        observables = (OBSERVABLE,) if want == "expectation" else ()
        request = RunRequest(
            circuit=circuit,
            wants=(want,),
            shots=shots,
            seed=3,
            precision="double",
            observables=observables,
            options={"method": method},
        )
        plan = found.plan(request)
        assert plan.method == method
        return found.run(plan, RunContext())

    assert abs(np.vdot(run("statevector").statevector, expected)) == pytest.approx(1.0, abs=1e-9)
    assert run("probabilities").probabilities == pytest.approx(np.abs(expected) ** 2, abs=1e-9)
    value = run("expectation").expectations[0].value
    assert value == pytest.approx(reference.expectation(body, OBSERVABLE)[0], abs=1e-9)
    assert fit(run("counts", 20_000).counts or {}, reference.distribution(circuit)).accepted


@pytest.mark.parametrize("seed", range(3))
def test_matrix_product_states(cuquantum: CuQuantumBackend, seed: int) -> None:
    check(cuquantum, seed, "matrix_product_state")


@pytest.mark.parametrize("devices", [2, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_several_gpus(cuquantum: CuQuantumBackend, devices: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(gpus.find().gpus) < devices:
        pytest.skip(f"there are no {devices} GPUs")
    choose = costs.choose
    monkeypatch.setattr(costs, "choose", lambda request, free=(): replace(choose(request, free), devices=devices))
    check(cuquantum, seed, "statevector")


def test_a_wide_matrix_product_state(cuquantum: CuQuantumBackend) -> None:
    request = RunRequest(circuit=brickwork(60, 4), shots=100, seed=1)
    result = cuquantum.run(cuquantum.plan(request), RunContext())
    assert (result.method, sum((result.counts or {}).values())) == ("matrix_product_state", 100)
