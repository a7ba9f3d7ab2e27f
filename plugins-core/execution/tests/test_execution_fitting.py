from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.backend import Estimate, Plan, Probe
from proxima.contracts.result import RunResult
from proxima.errors import RunError, UnsupportedError
from proxima_execution.calibrating import calibrate_backend, measure_import
from proxima_execution.calibration import BackendRates, Calibration, Rates
from proxima_execution.families import calibration_circuits
from proxima_execution.fitting import fit_rates, misfit, nonnegative_least_squares


@given(st.integers(1, 6), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_least_squares_meets_the_optimality_conditions(n, seed):
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(3 * n, n)), rng.normal(size=3 * n)
    x = nonnegative_least_squares(A, b)
    gradient = A.T @ (A @ x - b)
    assert (x >= 0).all()
    assert (gradient > -1e-8).all()  # no coordinate could be raised
    assert abs(gradient[x > 0]).max(initial=0.0) < 1e-8  # none in use could be moved


def test_recovers_the_rates_of_exact_times_over_many_orders_of_magnitude():
    rng = np.random.default_rng(2)
    work = np.column_stack([np.ones(40), rng.uniform(1, 500, 40), 2.0 ** rng.uniform(2, 24, 40)])
    rates = np.array([2e-3, 4e-6, 1e-9])
    fitted = fit_rates(work, work @ rates)
    np.testing.assert_allclose(fitted, rates, rtol=1e-6)
    assert misfit(work, work @ rates, fitted) == pytest.approx((1.0, 1.0))


def test_noisy_times_are_missed_by_about_their_noise():
    rng = np.random.default_rng(3)
    work = np.column_stack([np.ones(60), 2.0 ** rng.uniform(2, 24, 60)])
    seconds = work @ np.array([1e-3, 1e-9]) * np.exp(rng.normal(0, 0.2, 60))
    typical, worst = misfit(work, seconds, fit_rates(work, seconds))
    assert 1.1 < typical < 1.3
    assert worst < 2.2


def test_the_circuits_have_many_sizes_and_kinds():
    circuits = list(calibration_circuits())
    assert len({c.name for c in circuits}) == len({(c.name, c.has_noise) for c in circuits})
    assert {c.name.split("-")[0] for c in circuits} == {"ghz", "qft", "random", "qaoa", "brickwork", "clifford"}
    assert any(c.has_noise for c in circuits)
    assert max(c.num_qubits for c in circuits) > 100


class Sleepless:
    """A backend that takes the time its own rates say, by a clock of its own."""

    name = "sleepless"

    def probe(self):
        return Probe("available", versions={"engine": "1"})

    def estimate(self, request, features):
        if features.noise_sites:
            return Estimate(False, "no noise")
        return Estimate(True, work={"run": 1, "gate": features.num_gates, "never": 0})

    def plan(self, request):
        if request.options.get("method") == "absent":
            raise UnsupportedError("no such method")
        return Plan(backend=self.name, request=request, method="m", native=None)

    def run(self, plan, context):
        import time

        gates = len(plan.request.circuit) - plan.request.circuit.num_qubits
        end = time.perf_counter() + 2e-4 + 1e-6 * gates
        while time.perf_counter() < end:
            pass
        return RunResult(backend=self.name, method="m", precision="single", shots=1, seed=0)


def test_calibrating_finds_what_a_backend_costs():
    backend = Sleepless()
    capabilities = {"methods": ["m", "absent"], "wants": ["counts"], "rates": {"never": 3.0, "run": 1e-4, "gate": 1e-7}}
    told: list[float] = []
    measured = calibrate_backend(
        backend,
        backend.probe(),
        capabilities,
        import_seconds=0.5,
        budget=1.5,
        progress=lambda fraction, message: told.append(fraction or 0.0),
    )
    assert measured.rates["run"] == pytest.approx(2e-4, rel=0.5)
    assert measured.rates["gate"] == pytest.approx(1e-6, rel=0.5)
    assert measured.rates["never"] == 3.0
    assert measured.versions == {"engine": "1"}
    assert measured.typical < 1.5
    assert told == sorted(told)


class Refusing(Sleepless):
    name = "refusing"

    def estimate(self, request, features):
        return Estimate(False, "nothing")


def test_a_backend_that_runs_no_circuit_cannot_be_calibrated():
    with pytest.raises(RunError, match="none of the calibration circuits ran"):
        calibrate_backend(Refusing(), Probe("available"), {}, import_seconds=0.0)


RATES = BackendRates({"engine": "1"}, {"run": 0.5}, 2.0, 1.1, 1.5, 30)
SHIPPED = {"rates": {"run": 0.1, "gate": 0.2}, "import_seconds": 3.0}


def test_stored_rates_go_before_the_manifests(tmp_path):
    calibration = Calibration(str(tmp_path / "state" / "calibration.json"), pytest.fail)
    assert calibration.rates_of("a", {"engine": "1"}, SHIPPED) == Rates(SHIPPED["rates"], 3.0)
    calibration.save({"a": RATES})
    assert calibration.rates_of("a", {"engine": "1"}, SHIPPED) == Rates({"run": 0.5, "gate": 0.2}, 2.0, typical=1.1)
    calibration.save({"b": RATES})
    assert set(calibration.backends()) == {"a", "b"}
    other_process = Calibration(calibration.path, pytest.fail)
    assert other_process.rates_of("a", {"engine": "1"}, SHIPPED).import_seconds == 2.0


def test_rates_of_another_engine_or_machine_are_not_used_and_that_is_told_once(tmp_path):
    told: list[str] = []
    calibration = Calibration(str(tmp_path / "calibration.json"), told.append)
    calibration.save({"a": RATES})
    for _ in range(3):
        assert calibration.rates_of("a", {"engine": "2"}, SHIPPED) == Rates(SHIPPED["rates"], 3.0)
    assert len(told) == 1
    assert "another version of its engine" in told[0]
    data = json.loads((tmp_path / "calibration.json").read_text())
    data["host"]["processor"] = "another"
    (tmp_path / "calibration.json").write_text(json.dumps(data))
    elsewhere = Calibration(calibration.path, told.append)
    assert elsewhere.rates_of("a", {"engine": "1"}, SHIPPED) == Rates(SHIPPED["rates"], 3.0)
    assert "on another machine" in told[1]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "\x00", '{"format": 1, "host": 3, "backends": {}}'])
def test_a_damaged_file_is_ignored(tmp_path, content):
    told: list[str] = []
    path = tmp_path / "calibration.json"
    path.write_text(content)
    assert Calibration(str(path), told.append).rates_of("a", {}, SHIPPED) == Rates(SHIPPED["rates"], 3.0)
    assert len(told) == 1


def test_a_rate_that_is_no_cost_is_refused(tmp_path):
    told: list[str] = []
    calibration = Calibration(str(tmp_path / "calibration.json"), told.append)
    calibration.save({"a": BackendRates({}, {"run": -1.0}, 0.0, 1.0, 1.0, 1)})
    assert calibration.rates_of("a", {}, SHIPPED) == Rates(SHIPPED["rates"], 3.0)
    assert "not a number from 0" in told[0]


def test_the_import_is_timed_in_a_fresh_process(kernel, exact_site, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{exact_site}:{':'.join(p for p in sys.path if p)}")
    assert measure_import(kernel, "exact") == 0.0  # its plan has no import to report
    with pytest.raises(RunError, match="cannot time the import of nothing"):
        measure_import(kernel, "nothing")
