"""The Qiskit backend and primitives against Aer's and Qiskit's own."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qiskit", reason="Qiskit is not installed")
pytest.importorskip("qiskit_aer", reason="Qiskit Aer is not installed")

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.random import random_circuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator
from qiskit.providers import JobStatus
from qiskit.quantum_info import Kraus, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer import noise as aer

import proxima_lret_core as lret
from proxima.errors import CancelledError, UnsupportedError, UsageError
from proxima_lret_core.qiskit import LowRankBackend, LowRankEstimator, LowRankSampler

EXACT: dict[str, Any] = {"tolerance": 1e-9, "engine_options": {"precision": "double"}}
SHOTS = 20_000


def device() -> aer.NoiseModel:
    model = aer.NoiseModel()
    model.add_all_qubit_quantum_error(aer.depolarizing_error(0.03, 1), ["h", "ry", "x"])
    model.add_all_qubit_quantum_error(aer.depolarizing_error(0.05, 2), ["cx"])
    model.add_quantum_error(aer.amplitude_damping_error(0.1), ["x"], [1])
    model.add_all_qubit_readout_error([[0.95, 0.05], [0.1, 0.9]])
    return model


def dynamic() -> QuantumCircuit:
    """Two registers, feedback through a recorded bit, a reset."""
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "mid"), ClassicalRegister(3, "end"))
    circuit.ry(1.1, 0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.h(2)
    circuit.cx(2, 1)
    circuit.reset(0)
    circuit.measure([0, 1, 2], [1, 2, 3])
    return circuit


def assert_alike(got: dict[str, int], expected: dict[str, int]) -> None:
    for bits in {*got, *expected}:  # six standard errors of a difference of two frequencies
        p, q = got.get(bits, 0) / SHOTS, expected.get(bits, 0) / SHOTS
        assert abs(p - q) < 6 * np.sqrt(2 * max(q, 1e-3) / SHOTS), bits


def expectations(circuit: QuantumCircuit, strings: list[str], model: aer.NoiseModel | None) -> list[float]:
    """Exactly, from Aer's density matrix."""
    saved = circuit.copy()
    saved.save_density_matrix()
    rho = AerSimulator(method="density_matrix", noise_model=model).run(saved, shots=1).result().data()["density_matrix"]
    return [float(rho.expectation_value(SparsePauliOp(s)).real) for s in strings]


def test_counts_follow_aer_s_under_its_noise_model() -> None:
    result = LowRankBackend(noise_model=device()).run(dynamic(), shots=SHOTS, seed_simulator=1).result()
    theirs = AerSimulator(noise_model=device(), seed_simulator=2).run(dynamic(), shots=SHOTS).result().get_counts()
    assert_alike(result.get_counts(), theirs)
    assert 0 < result.results[0].metadata["trace_distance_bound"] <= 5e-3


def test_a_transpiled_circuit_runs_and_keeps_its_width() -> None:
    backend = LowRankBackend()
    circuit = random_circuit(4, 5, seed=3, measure=True)
    circuit.append(Kraus([np.eye(2)]).to_instruction(), [0])
    made = transpile(circuit, backend)
    assert made.num_qubits == 4
    theirs = AerSimulator(seed_simulator=2).run(transpile(circuit, AerSimulator()), shots=SHOTS).result().get_counts()
    assert_alike(backend.run(made, shots=SHOTS, seed_simulator=1).result().get_counts(), theirs)


def test_memory_counts_and_seeds() -> None:
    backend = LowRankBackend(shots=200)
    job = backend.run([dynamic(), dynamic()], memory=True, seed_simulator=5)
    result = job.result()
    assert job.status() == JobStatus.DONE
    assert not job.cancel()
    first, second = result.get_memory(0), result.get_memory(1)
    assert len(first) == 200
    assert first != second
    assert {bits: first.count(bits) for bits in first} == result.get_counts(0)
    assert backend.run([dynamic(), dynamic()], memory=True, seed_simulator=5).result().get_memory(1) == second


def test_more_than_sixty_four_classical_bits() -> None:
    circuit = QuantumCircuit(2, 70)
    circuit.x(0)
    circuit.measure([0, 1], [69, 3])
    counts = LowRankBackend().run(circuit, shots=7).result().get_counts()
    assert counts == {"1" + "0" * 69: 7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shot": 5}, "no option 'shot'"),
        ({"shots": 0}, "whole number from 1"),
        ({"shots": True}, "whole number from 1"),
        ({"threads": 0}, "threads: expected"),
        ({"seed_simulator": -1}, "seed_simulator: expected"),
        ({"noise_model": "loud:1"}, "unknown noise 'loud'"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LowRankBackend().run(dynamic(), **options)


def test_a_circuit_that_fails_fails_its_job_with_the_reason() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(2)):
        circuit.x(0)
    job = LowRankBackend().run(circuit)
    with pytest.raises(UnsupportedError, match="for_loop"):
        job.result()
    assert job.status() == JobStatus.ERROR
    with pytest.raises(UsageError, match="tolerance of 0"):
        LowRankBackend(tolerance=0.0).run(dynamic()).result()


def test_a_job_can_be_cancelled() -> None:
    circuit = QuantumCircuit(16)
    rng = np.random.default_rng(1)
    for layer in range(60):
        for q in range(16):
            circuit.ry(rng.uniform(0, 3), q)
        for q in range(layer % 2, 15, 2):
            circuit.cx(q, q + 1)
    circuit.measure_all()
    job = LowRankBackend(noise_model="depolarizing:0.01").run(circuit)
    assert job.status() == JobStatus.RUNNING
    assert job.cancel()
    start = time.monotonic()
    with pytest.raises(CancelledError):
        job.result()
    assert time.monotonic() - start < 20  # a second on a quiet machine
    assert job.status() == JobStatus.CANCELLED


def ansatz() -> tuple[QuantumCircuit, np.ndarray]:
    """Two parameters, and values of them of shape (3, 2)."""
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(3)
    circuit.ry(a, 0)
    circuit.cx(0, 1)
    circuit.rx(2 * b, 1)
    circuit.cx(1, 2)
    return circuit, np.random.default_rng(0).uniform(0, 3, (3, 2))


def test_expectation_values_are_those_of_qiskit_s_estimator_in_every_shape() -> None:
    circuit, values = ansatz()
    observables = [[SparsePauliOp(["ZZI", "IXX", "III"], [0.5, -2.0, 0.25])], ["YIZ"]]
    pubs = [
        (circuit, observables, values),
        (circuit, "ZZZ", values[0]),
        (circuit.assign_parameters(values[0]), ["XXX", "ZII"]),
    ]
    ours = LowRankEstimator(**EXACT).run(pubs).result()
    theirs = StatevectorEstimator().run(pubs).result()
    for got, expected in zip(ours, theirs, strict=True):
        assert got.data.evs.shape == expected.data.evs.shape
        np.testing.assert_allclose(got.data.evs, expected.data.evs, atol=1e-12)
        assert (np.abs(got.data.evs - expected.data.evs) <= got.metadata["bounds"] + 1e-15).all()
        assert not got.data.stds.any()


@pytest.mark.parametrize("tolerance", [5e-3, 1e-9])
def test_noisy_expectation_values_lie_within_their_bounds(tolerance: float) -> None:
    circuit, values = ansatz()
    bound, strings = circuit.assign_parameters(values[1]), ["ZZI", "XIX", "IYY", "ZZZ"]
    options = {"tolerance": tolerance, "engine_options": {"precision": "double"}}
    (result,) = LowRankEstimator(noise_model=device(), **options).run([(bound, strings)]).result()
    exact = expectations(bound, strings, device())
    assert (np.abs(result.data.evs - exact) <= result.metadata["bounds"] + 1e-14).all()
    assert result.metadata["bounds"].max() <= 2 * tolerance


def test_projectors_are_observables() -> None:
    circuit = QuantumCircuit(2)
    circuit.ry(0.8, 0)
    circuit.h(1)
    (result,) = LowRankEstimator(**EXACT).run([(circuit, ["+0", "I1", "-I"])]).result()
    np.testing.assert_allclose(result.data.evs, [np.cos(0.4) ** 2, np.sin(0.4) ** 2, 0], atol=1e-12)


def test_a_precision_asks_for_samples() -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    estimator = LowRankEstimator(seed=3, default_precision=0.02, **EXACT)
    (result,) = estimator.run([(circuit, [["Z"]] * 300)]).result()
    errors = result.data.evs - np.cos(1.0)
    expected = np.sin(1.0) * 0.02
    np.testing.assert_allclose(result.data.stds, expected, rtol=0.15)
    # The spread of 300 draws: its own relative standard error is 4 %.
    assert np.std(errors) == pytest.approx(expected, rel=0.25)
    again = estimator.run([(circuit, [["Z"]] * 300)]).result()[0]
    np.testing.assert_array_equal(again.data.evs, result.data.evs)
    for wrong in (float("nan"), 1e-10):
        with pytest.raises(UsageError, match="precision of"):
            estimator.run([(circuit, "Z")], precision=wrong)


def test_the_sampler_gives_each_register_its_bits() -> None:
    circuit, values = ansatz()
    registers = circuit.copy()
    low, high = ClassicalRegister(1, "low"), ClassicalRegister(9, "high")
    registers.add_register(low, high)
    registers.measure([0, 1, 2], [low[0], high[0], high[8]])
    (result,) = LowRankSampler(seed=2).run([(registers, values, SHOTS)]).result()
    assert result.data.low.shape == result.data.high.shape == (3,)
    assert (result.data.high.num_bits, result.data.high.num_shots) == (9, SHOTS)
    assert 0 < result.metadata["trace_distance_bound"] <= 5e-3
    for index, point in enumerate(values):
        probabilities = expectations(circuit.assign_parameters(point), ["IIZ", "IZI", "ZII"], None)
        bits = (result.data.low[index].array & 1, result.data.high[index].array[:, 1] & 1)
        for got, z in zip((*bits, result.data.high[index].array[:, 0] & 1), probabilities, strict=True):
            assert abs(got.mean() - (1 - z) / 2) < 6 * 0.5 / np.sqrt(SHOTS)


def test_the_sampler_follows_aer_under_noise_and_feedback() -> None:
    (result,) = LowRankSampler(noise_model=device(), seed=1).run([dynamic()], shots=SHOTS).result()
    counts = AerSimulator(noise_model=device(), seed_simulator=2).run(dynamic(), shots=SHOTS).result().get_counts()
    joined = result.join_data(["mid", "end"]).get_counts()
    assert_alike(joined, {bits.replace(" ", ""): n for bits, n in counts.items()})


def test_a_circuit_without_classical_registers_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="no classical register"):
        (result,) = LowRankSampler().run([QuantumCircuit(1)]).result()
    assert not list(result.data)


def test_qiskit_s_own_primitives_run_on_the_backend() -> None:
    circuit, values = ansatz()
    backend = LowRankBackend()
    estimator = BackendEstimatorV2(backend=backend, options={"seed_simulator": 3, "default_precision": 0.02})
    (estimate,) = estimator.run([(circuit, [["ZZZ"], ["IIX"]], values)]).result()
    (exact,) = StatevectorEstimator().run([(circuit, [["ZZZ"], ["IIX"]], values)]).result()
    np.testing.assert_allclose(estimate.data.evs, exact.data.evs, atol=6 * 0.02)  # six standard errors
    measured = circuit.measure_all(inplace=False)
    (sampled,) = BackendSamplerV2(backend=backend).run([(measured, values)], shots=50).result()
    assert sampled.data.meas.shape == (3,)


def test_any_engine_with_the_library_s_signature_will_do() -> None:
    asked: list[dict[str, Any]] = []

    def engine(circuit: Any, **options: Any) -> lret.LowRankState:
        asked.append(options)
        return lret.run(circuit, **options)

    circuit = QuantumCircuit(1)
    circuit.measure_all()
    LowRankBackend(engine, tolerance=0.01).run(circuit, engine_options={"memory": 10**8}).result()
    LowRankSampler(engine).run([circuit]).result()
    LowRankEstimator(engine).run([(circuit, "Z")]).result()
    assert [each["tolerance"] for each in asked] == [0.01, 5e-3, 5e-3]
    assert asked[0]["memory"] == 10**8

    def sampling(circuit: Any, *, shots: int, **options: Any) -> lret.LowRankState:
        return engine(circuit, **options)

    asked.clear()
    LowRankBackend(sampling=sampling).run(circuit).result()
    LowRankSampler(sampling=sampling).run([circuit]).result()
    assert len(asked) == 2


def test_the_library_itself_needs_no_qiskit() -> None:
    code = "import sys, proxima_lret_core; sys.exit('qiskit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    code = "import sys; sys.modules['qiskit'] = None; import proxima_lret_core.qiskit"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'proxima-lret-core[qiskit]'" in done.stderr
