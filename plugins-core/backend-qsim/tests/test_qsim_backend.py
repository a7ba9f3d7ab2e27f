"""The backend against an independent simulation with the reference matrices."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit, CircuitBuilder, Condition
from proxima.contracts.features import features_of
from proxima.contracts.matrices import PAULIS, kraus, unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.contracts.result import RunResult
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima_backend_qsim.backend import QsimBackend

Array = npt.NDArray[np.complex128]
GATE_OPS = sorted(GATES - {Op.UNITARY})
CHANNEL_OPS = sorted(CHANNELS - {Op.KRAUS})


def embed(matrix: Array, qubits: tuple[int, ...], n: int) -> Array:
    """A matrix on some qubits as a matrix on all, entry by entry from the definition."""
    out = np.zeros((2**n, 2**n), dtype=np.complex128)
    for column in range(2**n):
        small = sum(((column >> q) & 1) << i for i, q in enumerate(qubits))
        rest = column & ~sum(1 << q for q in qubits)
        for row in range(len(matrix)):
            out[rest | sum(((row >> i) & 1) << q for i, q in enumerate(qubits)), column] += matrix[row, small]
    return out


def reference(circuit: Circuit) -> Array:
    """The density matrix before the final measurements, by the definitions; measurements in the middle dephase."""
    n = circuit.num_qubits
    rho = np.zeros((2**n, 2**n), dtype=np.complex128)
    rho[0, 0] = 1
    for step in circuit.without_final_measurements():
        if step.op in (Op.BARRIER, Op.ID):
            continue
        if step.op == Op.RESET:
            ks: tuple[Array, ...] = (np.array([[1, 0], [0, 0]], complex), np.array([[0, 1], [0, 0]], complex))
        elif step.op == Op.MEASURE:
            ks = (np.diag([1, 0]).astype(complex), np.diag([0, 1]).astype(complex))
        elif step.matrices:
            ks = step.matrices
        elif step.op in CHANNELS:
            ks = kraus(step.op, step.params)
        else:
            ks = (unitary(step.op, step.params),)
        full = [embed(k, step.qubits, n) for k in ks]
        rho = sum(k @ rho @ k.conj().T for k in full)
    return rho


def run(circuit: Circuit, **request: object) -> RunResult:
    backend = QsimBackend()
    return backend.run(backend.plan(RunRequest(circuit=circuit, **request)), RunContext())  # type: ignore[arg-type]


def statevector(circuit: Circuit) -> npt.NDArray[np.complex64]:
    state = run(circuit, wants=("statevector",), shots=None).statevector
    assert state is not None
    return state


def counts(circuit: Circuit, **request: object) -> dict[str, int]:
    result = run(circuit, **request).counts
    assert result is not None
    return dict(result)


def assert_sampled(found: dict[str, int], expected: dict[str, float]) -> None:
    """Within five standard deviations of the expected frequencies, outcome by outcome."""
    shots = sum(found.values())
    for outcome in set(found) | set(expected):
        p = expected.get(outcome, 0.0)
        assert abs(found.get(outcome, 0) - shots * p) <= 5 * math.sqrt(shots * p * (1 - p)) + 1e-3 * (p > 0), outcome


def random_circuit(seed: int, n: int, rows: int, *, channels: bool = False) -> Circuit:
    rng = np.random.default_rng(seed)
    b = Circuit.builder(n, n)
    for q in range(n):
        b.u(*rng.uniform(-3, 3, 3), q)
    for _ in range(rows):
        op = Op(int(rng.choice(GATE_OPS)))
        spec = OPERATIONS[op]
        if spec.num_qubits <= n:
            qubits = rng.permutation(n)[: spec.num_qubits].tolist()
            b.append(op, qubits, rng.uniform(-7, 7, len(spec.params)).tolist())
        if channels and rng.random() < 0.4:
            noise = OPERATIONS[Op(int(rng.choice(CHANNEL_OPS)))]
            if noise.num_qubits <= n:
                b.append(
                    noise.op,
                    rng.permutation(n)[: noise.num_qubits].tolist(),
                    rng.uniform(0, 0.3, len(noise.params)).tolist(),
                )
    return b.build()


def random_unitary(size: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return q.astype(np.complex128)


def prepared(n: int) -> CircuitBuilder:
    """A state without symmetry, so that a wrong sign or order shows."""
    b = Circuit.builder(n, n)
    for q in range(n):
        b.u(0.7 + 0.3 * q, 0.4 - 0.2 * q, 1.1 * q, q)
    for q in range(n - 1):
        b.cx(q, q + 1)
    return b


@pytest.mark.parametrize("op", GATE_OPS, ids=lambda op: op.name.lower())
@pytest.mark.parametrize("reverse", [False, True])
def test_gate_matches_its_reference_matrix(op: Op, reverse: bool) -> None:
    spec = OPERATIONS[op]
    qubits = [3, 1, 2][: spec.num_qubits]
    b = prepared(4).append(op, qubits[::-1] if reverse else qubits, [0.6, -1.3, 2.2, 0.9][: len(spec.params)])
    state = statevector(b.build())
    np.testing.assert_allclose(np.outer(state, state.conj()), reference(b.build()), atol=2e-6)


@pytest.mark.parametrize("angle", [1e4 + 0.3, -1e4, 4 * math.pi + 0.1])
@pytest.mark.parametrize("op", [Op.RX, Op.CP, Op.RZZ, Op.CRZ, Op.P])
def test_large_angles_keep_their_precision(op: Op, angle: float) -> None:
    spec = OPERATIONS[op]
    circuit = prepared(3).append(op, [0, 2][: spec.num_qubits], [angle]).build()
    state = statevector(circuit)
    np.testing.assert_allclose(np.outer(state, state.conj()), reference(circuit), atol=2e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_unitary_on_up_to_six_qubits(size: int) -> None:
    qubits = [5, 0, 3, 1, 4, 2][:size]
    circuit = prepared(6).unitary(random_unitary(2**size), *qubits).build()
    state = statevector(circuit)
    np.testing.assert_allclose(np.outer(state, state.conj()), reference(circuit), atol=2e-6)


def test_unitary_on_seven_qubits_is_refused_by_name() -> None:
    circuit = Circuit.builder(7).unitary(np.eye(128), *range(7)).build()
    with pytest.raises(UnsupportedError, match="unitary has 7") as caught:
        QsimBackend().plan(RunRequest(circuit=circuit, wants=("statevector",)))
    assert caught.value.hint is not None
    assert "qiskit-aer" in caught.value.hint


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 5))
def test_random_circuits_match_the_reference(seed: int, n: int) -> None:
    circuit = random_circuit(seed, n, 20)
    state = statevector(circuit)
    np.testing.assert_allclose(np.outer(state, state.conj()), reference(circuit), atol=5e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 4))
def test_random_noisy_circuits_have_the_exact_density_matrix(seed: int, n: int) -> None:
    circuit = random_circuit(seed, n, 12, channels=True)
    result = run(circuit, wants=("density_matrix", "probabilities"), shots=None)
    expected = reference(circuit)
    assert result.density_matrix is not None
    assert result.probabilities is not None
    np.testing.assert_allclose(result.density_matrix, expected, atol=5e-6)
    np.testing.assert_allclose(result.probabilities, expected.diagonal().real, atol=5e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_qubits_and_no_operations(n: int) -> None:
    np.testing.assert_array_equal(statevector(Circuit.builder(n).build()), np.eye(1, 2**n, dtype=np.complex64)[0])


def test_qubit_0_is_the_least_significant_bit_and_idle_qubits_stay() -> None:
    state = statevector(Circuit.builder(5).x(0).x(3).build())
    assert np.flatnonzero(abs(state) > 0.5).tolist() == [0b01001]


def test_measured_subset_goes_to_its_classical_bits() -> None:
    circuit = Circuit.builder(4, 5).x(1).x(2).measure(2, 4).measure(0, 3).measure(1, 0).build()
    assert counts(circuit, shots=10) == {"10001": 10}


def test_a_bit_written_twice_keeps_the_last_value() -> None:
    circuit = Circuit.builder(2, 1).x(0).measure(0, 0).measure(1, 0).build()
    assert counts(circuit, shots=10) == {"0": 10}


def test_samples_agree_with_counts_and_are_in_random_order() -> None:
    circuit = Circuit.builder(2, 2).h(0).measure(0, 0).measure(1, 1).build()
    result = run(circuit, wants=("samples", "counts"), shots=1000)
    assert result.samples is not None
    assert result.counts is not None
    assert result.samples.shape == (1000, 2)
    assert result.samples.dtype == np.uint8
    assert result.counts["01"] == result.samples[:, 0].sum()
    assert 400 < np.abs(np.diff(result.samples[:, 0].astype(int))).sum() < 600


@pytest.mark.parametrize("n", [3, 11, 13])
def test_counts_follow_the_probabilities(n: int) -> None:
    b = Circuit.builder(n, n)
    for q in range(n):
        b.ry(0.15 * q + 0.2, q)
    b.cx(0, n - 1).measure(0, 0).measure(n - 1, 1).measure(n - 2, 2)
    p = np.abs(statevector(b.build()).astype(np.complex128)) ** 2
    expected: dict[str, float] = {}
    for index, weight in enumerate(p.tolist()):
        bits = (index & 1) | ((index >> (n - 1)) & 1) << 1 | ((index >> (n - 2)) & 1) << 2
        key = format(bits, f"0{n}b")
        expected[key] = expected.get(key, 0.0) + weight
    assert_sampled(counts(b.build(), shots=20_000, seed=7), expected)


def test_seed_decides_the_samples() -> None:
    circuit = prepared(4).measure_all().build()
    first = counts(circuit, seed=2**62 + 1)
    assert first == counts(circuit, seed=2**62 + 1)
    assert first != counts(circuit, seed=2**62 + 2)


def test_expectation_variance_and_probabilities_of_a_pure_state() -> None:
    circuit = prepared(3).build()
    rho = reference(circuit)
    observable = PauliSum.parse("0.5*ZZI - XIX + 2*IYZ + 0.25*III")
    h = sum(c * np.kron(np.kron(PAULIS[a], PAULIS[b]), PAULIS[d]) for c, (a, b, d) in observable.terms)
    result = run(circuit, wants=("expectation",), observables=(observable,), shots=None)
    value = np.trace(h @ rho).real
    assert result.expectations[0].value == pytest.approx(value, abs=1e-5)
    assert result.expectations[0].variance == pytest.approx(np.trace(h @ h @ rho).real - value**2, abs=1e-5)
    assert result.expectations[0].standard_error == 0.0
    assert result.error_bound.kind == "exact"


def test_expectation_of_a_noisy_circuit_exactly_and_by_trajectories() -> None:
    circuit = random_circuit(5, 3, 10, channels=True)
    rho = reference(circuit)
    observable = PauliSum.parse("ZIZ + 0.5*XXI")
    h = sum(c * np.kron(np.kron(PAULIS[a], PAULIS[b]), PAULIS[d]) for c, (a, b, d) in observable.terms)
    value, square = np.trace(h @ rho).real, np.trace(h @ h @ rho).real
    exact = run(
        circuit, wants=("expectation",), observables=(observable,), options={"method": "density_matrix"}
    ).expectations[0]
    assert exact.value == pytest.approx(value, abs=1e-5)
    assert exact.variance == pytest.approx(square - value**2, abs=1e-5)
    drawn = run(
        circuit, wants=("expectation",), observables=(observable,), shots=4000, options={"method": "trajectories"}
    ).expectations[0]
    assert 0 < drawn.standard_error < 0.05
    assert drawn.value == pytest.approx(value, abs=5 * drawn.standard_error)


def measured(circuit: Circuit) -> tuple[Circuit, dict[str, float]]:
    """The circuit with everything measured, and the probabilities of its outcomes."""
    n = circuit.num_qubits
    p = reference(circuit).diagonal().real
    b = Circuit.builder(n, n)
    for step in circuit:
        b.append(step.op, step.qubits, step.params, matrices=step.matrices)
    return b.measure_all().build(), {format(i, f"0{n}b"): float(w) for i, w in enumerate(p)}


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
@pytest.mark.parametrize("op", CHANNEL_OPS, ids=lambda op: op.name.lower())
def test_channel_is_sampled_as_defined(op: Op, method: str) -> None:
    spec = OPERATIONS[op]
    b = prepared(2)
    for _ in range(2):
        b.append(op, [1, 0][: spec.num_qubits], [0.3, 0.2, 0.1][: len(spec.params)])
        b.ry(0.4, 1).h(0).cx(0, 1)
    circuit, expected = measured(b.build())
    assert_sampled(counts(circuit, shots=4000, seed=3, options={"method": method}), expected)


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
def test_kraus_on_two_qubits(method: str) -> None:
    v = random_unitary(12, seed=4)[:, :4]
    circuit, expected = measured(prepared(3).kraus([v[4 * i : 4 * i + 4] for i in range(3)], 2, 0).h(1).build())
    assert_sampled(counts(circuit, shots=4000, options={"method": method}), expected)


def test_kraus_on_four_qubits_runs_by_trajectories() -> None:
    v = random_unitary(32, seed=5)[:, :16]
    circuit, expected = measured(prepared(4).kraus([v[:16], v[16:]], 2, 0, 3, 1).build())
    result = run(circuit, shots=4000)
    assert result.method == "trajectories"
    assert result.counts is not None
    assert_sampled(dict(result.counts), expected)
    with pytest.raises(UnsupportedError, match="more than 3 qubits"):
        run(circuit, wants=("density_matrix",))


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
def test_reset_forgets_the_qubit_alone(method: str) -> None:
    circuit, expected = measured(prepared(3).reset(1).ry(0.5, 1).reset(0).build())
    assert_sampled(counts(circuit, shots=4000, options={"method": method}), expected)


def test_measurement_in_the_middle_collapses() -> None:
    circuit = Circuit.builder(2, 3).h(0).measure(0, 0).cx(0, 1).measure(0, 1).measure(1, 2).build()
    found = counts(circuit, shots=2000)
    assert_sampled(found, {"000": 0.5, "111": 0.5})


def test_measurement_in_the_middle_dephases_the_density_matrix() -> None:
    circuit = prepared(2).measure(0, 0).h(0).build()
    result = run(circuit, wants=("density_matrix",), shots=None)
    assert result.density_matrix is not None
    np.testing.assert_allclose(result.density_matrix, reference(circuit), atol=2e-6)


def test_teleportation_by_classical_conditions() -> None:
    b = Circuit.builder(3, 3).ry(1.0, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure(0, 0).measure(1, 1)
    b.x(2, condition=Condition((1,), 1)).z(2, condition=Condition((0,), 1)).ry(-1.0, 2).measure(2, 2)
    found = counts(b.build(), shots=4000)
    assert_sampled(found, {f"0{k:02b}": 0.25 for k in range(4)})


@pytest.mark.parametrize(("value", "negated", "expected"), [(2, False, 1), (1, False, 0), (1, True, 1), (2, True, 0)])
def test_condition_over_several_bits(value: int, negated: bool, expected: int) -> None:
    b = Circuit.builder(3, 3).x(1).measure(0, 0).measure(1, 1)
    b.x(2, condition=Condition((0, 1), value, negated)).measure(2, 2)
    assert counts(b.build(), shots=5) == {f"{expected}10": 5}


def test_conditional_measurement_reset_and_channel() -> None:
    b = Circuit.builder(2, 3).h(0).measure(0, 0)
    b.append(Op.MEASURE, (0,), clbit=1, condition=Condition((0,), 1))
    b.append(Op.BIT_FLIP, (1,), (1.0,), condition=Condition((0,), 1))
    b.append(Op.RESET, (0,), condition=Condition((0,), 1))
    b.cx(0, 1).measure(1, 2)
    assert_sampled(counts(b.build(), shots=1000), {"000": 0.5, "111": 0.5})


def test_noisy_dynamic_circuit_keeps_density_matrix_and_counts_together() -> None:
    circuit = Circuit.builder(2, 2).h(0).measure(0, 0).cx(0, 1).bit_flip(0.25, 1).measure(1, 1).build()
    result = run(
        circuit, wants=("counts", "density_matrix", "expectation"), observables=(PauliSum.parse("ZI"),), shots=4000
    )
    assert result.method == "density_matrix+trajectories"
    assert result.counts is not None
    assert result.density_matrix is not None
    assert_sampled(dict(result.counts), {"00": 0.375, "11": 0.375, "10": 0.125, "01": 0.125})
    np.testing.assert_allclose(result.density_matrix, reference(circuit), atol=2e-6)
    assert result.expectations[0].standard_error == 0.0


def test_statevector_of_a_noisy_circuit_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="no statevector") as caught:
        run(Circuit.builder(1).bit_flip(0.1, 0).build(), wants=("statevector",))
    assert caught.value.hint is not None
    assert "density_matrix" in caught.value.hint


@pytest.mark.parametrize(("value", "negated"), [(0, False), (1, False), (3, True), (2, True)])
def test_density_matrix_under_conditions(value: int, negated: bool) -> None:
    """Held against the sum over the outcomes, each by projectors."""
    n = 3
    before = prepared(n).build()
    theta, condition = 0.8, Condition((0, 1), value, negated)
    b = prepared(n).measure(0, 0).ry(0.3, 0).measure(2, 1).rx(theta, 1, condition=condition)
    b.append(Op.AMPLITUDE_DAMPING, (2,), (0.4,), condition=condition).h(2)
    expected = np.zeros((2**n, 2**n), dtype=np.complex128)
    for outcome in range(4):
        first = embed(np.diag([1 - (outcome & 1), outcome & 1]).astype(complex), (0,), n)
        second = embed(np.diag([1 - (outcome >> 1), outcome >> 1]).astype(complex), (2,), n)
        middle = second @ embed(unitary(Op.RY, (0.3,)), (0,), n) @ first
        rho = middle @ reference(before) @ middle.conj().T
        if condition.holds([outcome & 1, outcome >> 1, 0]):
            turn = embed(unitary(Op.RX, (theta,)), (1,), n)
            rho = turn @ rho @ turn.conj().T
            rho = sum(k @ rho @ k.conj().T for k in (embed(m, (2,), n) for m in kraus(Op.AMPLITUDE_DAMPING, (0.4,))))
        last = embed(unitary(Op.H), (2,), n)
        expected += last @ rho @ last.conj().T
    found = run(b.build(), wants=("density_matrix",), shots=None).density_matrix
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_density_matrix_of_too_many_qubits_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="density matrix of 15 qubits is too large"):
        run(Circuit.builder(15).bit_flip(0.1, 0).build(), wants=("density_matrix",))


@pytest.mark.parametrize("method", ["density_matrix", "trajectories"])
def test_a_pure_circuit_by_the_methods_for_mixed_ones(method: str) -> None:
    circuit, expected = measured(prepared(3).build())
    result = run(circuit, shots=4000, options={"method": method})
    assert result.method == method
    assert_sampled(dict(result.counts or {}), expected)
    with pytest.raises(UnsupportedError, match=f"method {method} does not give a statevector"):
        run(circuit, wants=("statevector",), options={"method": method})


def test_double_precision_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="single precision only"):
        run(Circuit.builder(1).h(0).build(), wants=("statevector",), precision="double")


def test_forty_qubits_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(ResourceError, match="40 qubits need 17,"):
        run(Circuit.builder(40).h(0).build(), wants=("statevector",))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"wants": ("counts",)}, "measures nothing"),
        ({"wants": ("statevector",), "options": {"method": "mps"}}, "no method 'mps'"),
        ({"wants": ("statevector",), "options": {"blocks": 3}}, "no option blocks"),
        ({"wants": ("expectation",), "observables": (PauliSum.parse("Z"),)}, "acts on 1 qubits, the circuit has 2"),
    ],
)
def test_senseless_requests_are_refused(request_: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(Circuit.builder(2, 2).h(0).build(), **request_)


def test_counts_without_shots_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one shot"):
        run(Circuit.builder(1, 1).measure(0, 0).build(), shots=None)


def test_estimate_grows_with_the_shots() -> None:
    circuit = Circuit.builder(2).h(0).cx(0, 1).measure_all().build()
    few, many = (
        QsimBackend().estimate(RunRequest(circuit=circuit, shots=shots), features_of(circuit)).work
        for shots in (10, 10_000_000)
    )
    assert (few["draw"], many["draw"]) == (20, 20_000_000)
