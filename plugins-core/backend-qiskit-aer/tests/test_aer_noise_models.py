"""A noise model of Aer means here what it means to Aer, on every installed backend.

Aer's own density matrix is the judge: our circuit with the channels written into it is held against it, through the
reference simulator and through each backend.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aer_noise_models import density_matrix, random_error, random_model, random_pair
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer import noise as aer

import proxima
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk import reference

BACKENDS = ("qiskit-aer", "cirq", "qsim", "lret-unified")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with proxima.open(paths=Paths.under(str(tmp_path_factory.mktemp("home")))) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(6))
def test_the_channels_are_aer_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(3, rng)
    ours, theirs = random_pair(3, 14, rng)
    noisy = NoiseModel.of(model).apply(ours)
    # Rounding alone: some fifty operations in double precision.
    np.testing.assert_allclose(reference.density_matrix(noisy), density_matrix(theirs, model), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("qubits", [1, 2, 3])
def test_an_error_is_the_same_superoperator(qubits: int, seed: int) -> None:
    """On a maximally entangled state, which tells any two channels apart."""
    name = {1: "x", 2: "cx", 3: "ccx"}[qubits]
    model = aer.NoiseModel()
    model.add_all_qubit_quantum_error(random_error(qubits, np.random.default_rng(seed)), name)
    ours, theirs = Circuit.builder(2 * qubits), QuantumCircuit(2 * qubits)
    for q in range(qubits):
        ours.h(q).cz(q, qubits + q)
        theirs.h(q)
        theirs.cz(q, qubits + q)
    getattr(ours, name)(*range(qubits))
    getattr(theirs, name)(*range(qubits))
    for q in range(qubits):
        ours.h(qubits + q)
        theirs.h(qubits + q)
    noisy = NoiseModel.of(model).apply(ours.build())
    np.testing.assert_allclose(reference.density_matrix(noisy), density_matrix(theirs, model), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_backend_gives_aer_s_state(seed: int, backend: str, kernel: Kernel) -> None:
    if backend == "lret-unified":
        pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")
    rng = np.random.default_rng(100 + seed)
    model = random_model(3, rng)
    ours, theirs = random_pair(3, 14, rng)
    single = backend == "qsim"
    options: dict[str, Any] = {"precision": "single" if single else "double", "store": False}
    rho = kernel.run(ours, want="density_matrix", noise=model, backend=backend, **options).density_matrix
    # qsim has single precision alone: some fifty operations of 1e-7 each. The others reckon in double precision.
    np.testing.assert_allclose(rho, density_matrix(theirs, model), rtol=0, atol=1e-5 if single else 1e-9)


def test_a_file_of_aer_s_says_the_same(tmp_path: Path) -> None:
    model = random_model(2, np.random.default_rng(7))
    path = tmp_path / "device.json"
    data = model.to_dict(serializable=True)
    path.write_text(json.dumps(data))
    assert NoiseModel.parse(str(path)) == NoiseModel.of(model) == NoiseModel.of(data)


def test_a_device_s_model_with_its_delays() -> None:
    model = aer.NoiseModel.from_backend(GenericBackendV2(5, seed=3))
    ours = Circuit.builder(3).sx(0).rz(0.3, 0).cx(0, 1).sx(1).cx(1, 2).x(2).reset(0).build()
    theirs = QuantumCircuit(3)
    theirs.sx(0)
    theirs.rz(0.3, 0)
    theirs.cx(0, 1)
    theirs.sx(1)
    theirs.cx(1, 2)
    theirs.x(2)
    theirs.reset(0)
    read = NoiseModel.of(model)
    rho = reference.density_matrix(read.apply(ours))
    assert np.trace(rho).real == pytest.approx(1, abs=1e-12)
    # Aer leaves out what it draws with a probability of 1e-10 or less, and loses that much of the trace.
    np.testing.assert_allclose(rho, density_matrix(theirs, model), rtol=0, atol=1e-8)
    assert set(read.readout) == set(range(5))
    assert not any(rule.kraus for rule in read.rules)  # relaxation and depolarizing are told apart


def test_independent_errors_become_separate_channels_and_pauli_errors_stay_ones() -> None:
    model = aer.NoiseModel()
    product = aer.depolarizing_error(0.1, 1).tensor(aer.pauli_error([("X", 0.2), ("I", 0.8)]))
    model.add_all_qubit_quantum_error(product, "cx")
    model.add_all_qubit_quantum_error(aer.depolarizing_error(0.1, 2), "cz")
    model.add_all_qubit_quantum_error(aer.pauli_error([("I", 1.0)]), "x")
    found = [(r.channel, r.positions, r.gates) for r in NoiseModel.of(model).rules]
    assert found == [
        (Op.BIT_FLIP, (0,), {"cx"}),
        (Op.DEPOLARIZING, (1,), {"cx"}),
        (Op.DEPOLARIZING2, (0, 1), {"cz"}),
    ]
    rules = NoiseModel.of(model).rules
    # Aer's l is the weight of the maximally mixed state, ours that of all errors: p = 3l/4, and 15l/16 on two qubits.
    assert rules[1].params == pytest.approx((0.075,), abs=1e-15)
    assert rules[2].params == pytest.approx((0.09375,), abs=1e-15)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"channel": "depolarizing", "params": [0.3]}, aer.depolarizing_error(0.4, 1)),
        ({"channel": "depolarizing2", "params": [0.3]}, aer.depolarizing_error(0.32, 2)),
        ({"channel": "bit_flip", "params": [0.3]}, aer.pauli_error([("X", 0.3), ("I", 0.7)])),
        ({"channel": "amplitude_damping", "params": [0.3]}, aer.amplitude_damping_error(0.3)),
        ({"channel": "phase_damping", "params": [0.3]}, aer.phase_damping_error(0.3)),
        (
            {"channel": "thermal_relaxation", "t1": 50, "t2": 70, "time": 20, "excited": 0.2},
            aer.thermal_relaxation_error(50, 70, 20, 0.2),
        ),
        (
            {"channel": "thermal_relaxation", "t1": 50, "t2": 30, "time": 20, "excited": 0.2},
            aer.thermal_relaxation_error(50, 30, 20, 0.2),
        ),
    ],
    ids=lambda value: value["channel"] if isinstance(value, dict) else "",
)
def test_conventions_beside_aer_s(rule: dict[str, Any], error: aer.QuantumError) -> None:
    """The table of the user guide's page on noise."""
    name = "cx" if error.num_qubits == 2 else "h"
    model = aer.NoiseModel()
    model.add_all_qubit_quantum_error(error, name)
    ours, theirs = Circuit.builder(2).ry(0.7, 1).h(0).cx(0, 1).build(), QuantumCircuit(2)
    theirs.ry(0.7, 1)
    theirs.h(0)
    theirs.cx(0, 1)
    noise = NoiseModel.parse(json.dumps({"rules": [rule | {"gates": [name]}]}))
    np.testing.assert_allclose(
        reference.density_matrix(noise.apply(ours)), density_matrix(theirs, model), rtol=0, atol=1e-12
    )


def test_readout_errors_are_aer_s() -> None:
    model = aer.NoiseModel()
    model.add_all_qubit_readout_error([[0.9, 0.1], [0.3, 0.7]])
    model.add_readout_error([[0.8, 0.2], [0.4, 0.6]], [1])
    assert NoiseModel.of(model).readout_of(2) == {0: ReadoutError(0.1, 0.3), 1: ReadoutError(0.2, 0.4)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_counts_with_readout_errors_and_feedback_follow_aer_s(backend: str, kernel: Kernel) -> None:
    """One measurement in the middle, what depends on its recorded value, and final measurements."""
    if backend == "lret-unified":
        pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")
    model = aer.NoiseModel()
    model.add_all_qubit_readout_error([[0.9, 0.1], [0.25, 0.75]])
    model.add_all_qubit_quantum_error(aer.pauli_error([("X", 0.1), ("I", 0.9)]), "measure")
    theirs = QuantumCircuit(2, 3)
    theirs.ry(1.1, 0)
    theirs.measure(0, 2)
    with theirs.if_test((theirs.clbits[2], 1)):
        theirs.x(1)
    theirs.h(0)
    theirs.measure([0, 1], [0, 1])
    ours = Circuit.builder(2, 3).ry(1.1, 0).measure(0, 2).x(1, condition=Condition((2,), 1)).h(0)
    shots = 20_000
    result = kernel.run(
        ours.measure(0, 0).measure(1, 1).build(), noise=model, shots=shots, seed=5, backend=backend, store=False
    )
    simulator = AerSimulator(method="density_matrix", noise_model=model, seed_simulator=3, max_parallel_threads=1)
    theirs_counts = simulator.run(theirs, shots=shots).result().get_counts()
    assert result.counts is not None
    for bits in {*theirs_counts, *result.counts}:
        # Six standard errors of a difference of two frequencies.
        got, expected = result.counts.get(bits, 0) / shots, theirs_counts.get(bits, 0) / shots
        assert abs(got - expected) < 6 * np.sqrt(2 * max(expected, 1e-3) / shots), bits


_TWICE = [[[2, 0], [0, 0]], [[0, 0], [2, 0]]]


def _qerror(**changes: Any) -> dict[str, Any]:
    error = {
        "type": "qerror",
        "operations": ["x"],
        "instructions": [[{"name": "x", "qubits": [0]}]],
        "probabilities": [1.0],
    }
    return {"errors": [error | changes]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"errors": 3}, "not a noise model of Qiskit Aer"),
        (_qerror(type="loud"), "error 0: errors of the type 'loud'"),
        (_qerror(operations=["u3"]), "comes with 'u3', which is no operation here"),
        (_qerror(instructions=[[{"name": "x"}]]), "error 0 is damaged: KeyError"),
        (_qerror(instructions=[[{"name": "x", "qubits": [-1]}]]), "-1 is no qubit"),
        (_qerror(instructions=[[{"name": "superop", "qubits": [0]}]]), "consists of 'superop'"),
        (_qerror(instructions=[[{"name": "x", "qubits": [7]}]]), "at most 4 qubits"),
        (
            _qerror(instructions=[[{"name": "unitary", "qubits": [0], "params": [[[[2, 0]]]]}]]),
            "does not fit its qubits",
        ),
        (_qerror(instructions=[[{"name": "pauli", "qubits": [0], "params": ["XX"]}]]), "does not fit its qubits"),
        (_qerror(instructions=[[{"name": "unitary", "qubits": [0], "params": [_TWICE]}]]), "preserve the trace"),
        (_qerror(probabilities=[0.5]), "do not sum to 1"),
        (_qerror(probabilities=[0.5, 0.5]), "one number for each of its 1 circuits"),
        (_qerror(gate_qubits=[["a"]]), "'a' is no qubit"),
        ({"errors": [{"type": "roerror", "probabilities": [[1, 0]]}]}, "several qubits together"),
        ({"errors": [{"type": "roerror", "probabilities": [[1, 1], [0, 1]]}]}, "do not sum to 1"),
        ({"errors": [{"type": "roerror", "probabilities": np.eye(4).tolist()}]}, "several qubits together"),
        (
            {"errors": [{"type": "plerror", "operations": ["x"], "instructions": [], "rates": [1]}]},
            "one number for each of its 0 circuits",
        ),
    ],
)
def test_what_cannot_be_read_is_named(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NoiseModel.parse(json.dumps(data))


def test_a_noise_pass_of_one_s_own_is_named() -> None:
    model = aer.NoiseModel()
    model._custom_noise_passes.append(aer.RelaxationNoisePass([1e-4], [1e-4], dt=1e-9))
    with pytest.raises(UsageError, match="RelaxationNoisePass"):
        NoiseModel.of(model)
