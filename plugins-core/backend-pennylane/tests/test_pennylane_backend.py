"""PennyLane's simulators through the backend, held against PennyLane's own devices and the reference simulator."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from proxima.contracts.backend import CancelToken, RunContext, RunRequest, RunResult
from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.features import features_of
from proxima.contracts.observable import PauliSum
from proxima.errors import CancelledError, UnsupportedError, UsageError
from proxima_backend_pennylane import costs, gradient
from proxima_backend_pennylane.backend import PennyLaneBackend
from proxima_sdk import reference
from proxima_sdk.circuits import ghz

HAMILTONIAN = PauliSum.parse("0.5 * ZZII - 0.7 * IXXI + 0.3 * IIYZ + 0.2 * XIIY")


def run(circuit: Circuit, *wants: str, shots: int | None = None, **more: Any) -> RunResult:
    backend = PennyLaneBackend()
    fields = {"precision": "double", "seed": 5, **more}
    return backend.run(backend.plan(RunRequest(circuit=circuit, wants=wants, shots=shots, **fields)), RunContext())


def ansatz(layers: int = 3) -> tuple[Circuit, dict[str, float]]:
    """Four qubits, a dozen parameters, each of them in two gates, and gates that Lightning does not have."""
    b = Circuit.builder(4)
    for layer in range(layers):
        for qubit in range(4):
            b.ry(Parameter(f"y{qubit}", 1.0 + layer), qubit)
            b.u(0.3, Parameter(f"z{qubit}"), 0.1, qubit)
        b.rzx(Parameter("t"), 0, 2).cx(3, 1).iswap(1, 2).ecr(0, 3).crx(Parameter("c", -0.5), 3, 0)
    circuit = b.build()
    return circuit, {name: 0.2 + 0.13 * i for i, name in enumerate(circuit.parameters)}


def test_the_gradient_is_that_of_pennylanes_own_differentiation() -> None:
    import pennylane as qml
    from pennylane import numpy as pnp

    layers = 2
    b = Circuit.builder(3)
    for layer in range(layers):
        for qubit in range(3):
            b.u(Parameter(f"a{layer}{qubit}"), Parameter(f"b{layer}{qubit}"), Parameter(f"c{layer}{qubit}"), qubit)
        b.rzz(Parameter(f"d{layer}"), 0, 2).crz(Parameter(f"e{layer}"), 1, 2).cx(0, 1)
    circuit = b.build()
    rng = np.random.default_rng(4)
    values = {name: float(rng.uniform(-2, 2)) for name in circuit.parameters}

    @qml.qnode(qml.device("default.qubit", wires=3), diff_method="adjoint")
    def energy(angles):
        # qubit q of n is wire n-1-q; U3 is u, and takes its angles in the same order.
        for layer in range(layers):
            for qubit in range(3):
                qml.U3(*angles[11 * layer + 3 * qubit : 11 * layer + 3 * qubit + 3], wires=2 - qubit)
            qml.IsingZZ(angles[11 * layer + 9], wires=[2, 0])
            qml.CRZ(angles[11 * layer + 10], wires=[1, 0])
            qml.CNOT(wires=[2, 1])
        return qml.expval(0.5 * qml.Z(0) @ qml.X(2) - qml.Y(1))

    expected = qml.grad(energy)(pnp.array(list(values.values()), requires_grad=True))
    found = run(circuit, "gradient", observables=(PauliSum.parse("0.5 * ZIX - IYI"),), parameters=values).gradients[0]
    assert found.method == "adjoint"
    assert found.values == pytest.approx(np.asarray(expected), abs=1e-12)  # both exact to rounding


@pytest.mark.parametrize("piece", [gradient.PIECE, 100.0, 1.0], ids=["whole", "pieces", "single steps"])
def test_a_gradient_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch, piece: float) -> None:
    monkeypatch.setattr(gradient, "PIECE", piece)
    circuit, values = ansatz()
    observables = (HAMILTONIAN, PauliSum.parse("ZZZZ"))
    found = run(circuit, "gradient", observables=observables, parameters=values).gradients
    for observable, got in zip(observables, found, strict=True):
        # The reference's differences err by the fifth power of the largest coefficient, 3, times 1e-12 / 30.
        assert got.values == pytest.approx(reference.gradient(circuit, values, observable), abs=1e-10)


def test_a_gradient_in_single_precision() -> None:
    circuit, values = ansatz()
    wanted = {"observables": (HAMILTONIAN,), "parameters": values}
    single = run(circuit, "gradient", precision="single", **wanted)
    double = run(circuit, "gradient", **wanted)
    assert single.precision == "single"
    assert single.gradients[0].values == pytest.approx(double.gradients[0].values, abs=1e-5)
    assert single.gradients[0].values.tolist() != double.gradients[0].values.tolist()


def test_a_gradient_is_cancelled_between_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient, "PIECE", 1.0)
    circuit, values = ansatz()
    token, told = CancelToken(), []

    def progress(fraction: float | None, message: str) -> None:
        if message == "differentiating":
            told.append(fraction)
            if len(told) == 3:
                token.cancel()

    backend = PennyLaneBackend()
    request = RunRequest(circuit=circuit, wants=("gradient",), observables=(HAMILTONIAN,), parameters=values)
    with pytest.raises(CancelledError):
        backend.run(backend.plan(request), RunContext(cancel=token, progress=progress))
    assert len(told) == 3


def test_noise_follows_default_mixed_with_pennylanes_own_channels() -> None:
    import pennylane as qml

    circuit = (
        Circuit.builder(3)
        .h(0)
        .amplitude_damping(0.3, 0)
        .cx(0, 2)
        .depolarizing(0.12, 2)
        .ry(0.4, 1)
        .phase_damping(0.2, 1)
        .generalized_amplitude_damping(0.7, 0.25, 0)
        .build()
    )

    @qml.qnode(qml.device("default.mixed", wires=3))
    def state():
        qml.Hadamard(2)
        qml.AmplitudeDamping(0.3, 2)
        qml.CNOT([2, 0])
        qml.DepolarizingChannel(0.12, 0)
        qml.RY(0.4, 1)
        qml.PhaseDamping(0.2, 1)
        qml.GeneralizedAmplitudeDamping(0.25, 1 - 0.7, 2)  # its second number is the weight of the way to |1>
        return qml.state()

    found = run(circuit, "density_matrix", "expectation", observables=(PauliSum.parse("ZXZ"),))
    assert found.method == "density_matrix"
    assert found.density_matrix == pytest.approx(np.asarray(state()), abs=1e-12)
    value, variance = reference.expectation(circuit, PauliSum.parse("ZXZ"))
    assert found.expectations[0].value == pytest.approx(value, abs=1e-12)
    assert found.expectations[0].variance == pytest.approx(variance, abs=1e-12)


def test_a_channel_of_many_operators_is_applied_one_by_one() -> None:
    circuit = Circuit.builder(3).h(0).cx(0, 1).depolarizing2(0.2, 2, 0).ry(0.3, 2).build()
    found = run(circuit, "density_matrix").density_matrix
    assert found == pytest.approx(reference.density_matrix(circuit), abs=1e-12)


def test_exact_answers_sum_over_the_ways_of_a_dynamic_circuit() -> None:
    b = Circuit.builder(2, 3).ry(0.8, 0).measure(0, 0).x(1, condition=Condition((0,), 1)).ry(0.5, 0).reset(0).h(0)
    circuit = b.measure(1, 1).ry(0.3, 1).measure(0, 2).build()
    observable = PauliSum.parse("ZX")
    found = run(
        circuit, "density_matrix", "probabilities", "expectation", "counts", shots=4000, observables=(observable,)
    )
    assert found.density_matrix == pytest.approx(reference.density_matrix(circuit), abs=1e-12)
    assert found.probabilities == pytest.approx(reference.probabilities(circuit), abs=1e-12)
    assert found.expectations[0].value == pytest.approx(reference.expectation(circuit, observable)[0], abs=1e-12)
    assert sum(found.counts.values()) == 4000
    exact = reference.distribution(circuit)
    for bits, share in exact.items():  # six standard deviations
        assert found.counts.get(bits, 0) == pytest.approx(4000 * share, abs=6 * math.sqrt(4000 * share) + 1)


def test_samples_of_a_dynamic_circuit_are_not_sorted_by_the_way_they_went() -> None:
    circuit = Circuit.builder(1, 2).h(0).measure(0, 0).h(0).measure(0, 1).build()
    bits = run(circuit, "samples", shots=2000).samples[:, 0].astype(int)
    # Of 1,999 neighbours about half differ; sorted ones would differ once.
    assert 800 < int(np.abs(np.diff(bits)).sum()) < 1200


def test_shots_share_the_ways_of_many_measurements() -> None:
    b = Circuit.builder(2, 1)
    for _ in range(60):
        b.h(0).reset(0)
    circuit = b.h(1).measure(1, 0).build()
    counts = run(circuit, "counts", shots=50).counts
    assert sum(counts.values()) == 50
    with pytest.raises(UnsupportedError, match="60 measurements or resets on the way"):
        run(circuit, "probabilities")


def test_pennylane_itself_is_imported_for_noise_alone() -> None:
    code = """
import sys
from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima_backend_pennylane.backend import PennyLaneBackend
backend = PennyLaneBackend()
def run(circuit, want="counts"):
    backend.run(backend.plan(RunRequest(circuit=circuit, shots=10, wants=(want,))), RunContext())
run(Circuit.builder(2).h(0).cx(0, 1).reset(0).measure_all().build())
assert "pennylane" not in sys.modules and "scipy" not in sys.modules
noisy = Circuit.builder(2).h(0).bit_flip(0.1, 0).measure_all().build()
run(noisy)
assert "pennylane" not in sys.modules
run(noisy, "density_matrix")
assert "pennylane" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_says_what_it_does_not_do() -> None:
    theta = Circuit.builder(1).ry(Parameter("t"), 0).build()
    noisy = Circuit.builder(1).ry(Parameter("t"), 0).bit_flip(0.1, 0).build()
    z = (PauliSum.parse("Z"),)
    with pytest.raises(UnsupportedError, match="gradient: not by the method density_matrix"):
        run(noisy, "gradient", observables=z, parameters={"t": 0.1})
    with pytest.raises(UnsupportedError, match="takes no resets"):
        run(Circuit.builder(1).ry(Parameter("t"), 0).reset(0).build(), "gradient", observables=z, parameters={"t": 0.1})
    with pytest.raises(UsageError, match="open parameters: t"):
        run(theta, "expectation", observables=z)
    with pytest.raises(UsageError, match="acts on 1 qubits, the circuit has 2"):
        run(ghz(2), "expectation", observables=z)
    with pytest.raises(UsageError, match="no option fast"):
        run(ghz(2), "counts", shots=1, options={"fast": True})
    with pytest.raises(UnsupportedError, match="12 qubits are too many for a density matrix"):
        run(Circuit.builder(12).bit_flip(0.1, 0).build(), "probabilities")
    with pytest.raises(UnsupportedError, match="does not simulate noise"):
        run(Circuit.builder(1).bit_flip(0.1, 0).build(), "probabilities", options={"method": "statevector"})
    request = RunRequest(circuit=ghz(34), shots=1)
    assert "34 qubits are too many" in PennyLaneBackend().estimate(request, features_of(request.circuit)).reason


def test_the_estimate_tells_slow_gates_and_both_precisions_apart() -> None:
    def work(circuit: Circuit, precision: Any = "single", **more: Any) -> dict[str, float]:
        request = RunRequest(circuit=circuit, precision=precision, **more)
        return costs.work(request, features_of(circuit), costs.choose(request))

    light = Circuit.builder(10).h(0).measure_all().build()
    slow = Circuit.builder(10).cp(0.3, 0, 1).measure_all().build()
    assert (work(light)["amplitude"], work(light).get("slow_amplitude")) == (2**10, None)
    assert (work(slow).get("amplitude"), work(slow)["slow_amplitude"]) == (None, 3 * 2**10)
    assert work(light, "double")["wide_amplitude"] == 2**10
    assert work(Circuit.builder(22).h(0).measure_all().build())["far_byte"] == 8 * 2**22
    circuit, values = ansatz()
    wanted = {"wants": ("gradient",), "observables": (HAMILTONIAN,), "parameters": values, "shots": None}
    one = work(circuit.bind(values), "double", wants=("expectation",), observables=(HAMILTONIAN,), shots=None)
    assert 2 < work(circuit, "double", **wanted)["wide_amplitude"] / one["wide_amplitude"] < 10
