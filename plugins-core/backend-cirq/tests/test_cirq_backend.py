"""The backend against a small numpy simulation of its own."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.backend import CancelToken, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.matrices import PAULIS, kraus, unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.errors import CancelledError, DeadlineExceededError, UnsupportedError, UsageError
from proxima_backend_cirq.backend import CirqBackend

METHODS = ("statevector", "density_matrix", "clifford")


def run(circuit: Circuit, *wants: str, **options: Any):
    context = options.pop("context", RunContext())
    method = options.pop("method", "automatic")
    request = RunRequest(circuit=circuit, wants=wants or ("counts",), options={"method": method}, **options)
    backend = CirqBackend()
    return backend.run(backend.plan(request), context)


def embed(matrix: np.ndarray, qubits: tuple[int, ...], n: int) -> np.ndarray:
    """The matrix on n qubits, element by element."""
    out = np.zeros((2**n, 2**n), dtype=complex)
    rest = ~sum(1 << q for q in qubits)
    for column in range(2**n):
        j = sum(((column >> q) & 1) << k for k, q in enumerate(qubits))
        for i in range(len(matrix)):
            row = (column & rest) | sum(((i >> k) & 1) << q for k, q in enumerate(qubits))
            out[row, column] += matrix[i, j]
    return out


def reference(circuit: Circuit) -> dict[tuple[int, ...], np.ndarray]:
    """The unnormalised density matrix for each value of the classical bits, the final measurements included."""
    n = circuit.num_qubits
    rho = np.zeros((2**n, 2**n), dtype=complex)
    rho[0, 0] = 1
    branches = {(0,) * circuit.num_clbits: rho}
    zero, one = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    for op, qubits, params, clbit, condition, matrices in circuit:
        after: dict[tuple[int, ...], np.ndarray] = {}
        for bits, rho in branches.items():
            outcomes: list[tuple[tuple[int, ...], list[np.ndarray]]]
            if op == Op.BARRIER or (condition is not None and not condition.holds(bits)):
                outcomes = [(bits, [np.eye(2**n)])]
            elif op == Op.MEASURE:
                outcomes = [
                    ((*bits[:clbit], b, *bits[clbit + 1 :]), [embed(p, qubits, n)]) for b, p in enumerate((zero, one))
                ]
            elif op == Op.RESET:
                outcomes = [(bits, [embed(k, qubits, n) for k in (zero, np.array([[0, 1], [0, 0]]))])]
            elif op in CHANNELS:
                outcomes = [(bits, [embed(k, qubits, n) for k in matrices or kraus(op, params)])]
            else:
                outcomes = [(bits, [embed(matrices[0] if matrices else unitary(op, params), qubits, n)])]
            for key, operators in outcomes:
                part = sum(k @ rho @ k.conj().T for k in operators)
                after[key] = after.get(key, 0) + part
        branches = after
    return branches


def exact_counts(circuit: Circuit) -> dict[str, float]:
    weights = {"".join(map(str, reversed(b))): float(np.trace(r).real) for b, r in reference(circuit).items()}
    return {key: w for key, w in weights.items() if w > 1e-12}


def assert_counts(counts: dict[str, int], expected: dict[str, float]) -> None:
    shots = sum(counts.values())
    assert set(counts) <= set(expected), "an impossible outcome"
    for key, p in expected.items():
        assert abs(counts.get(key, 0) - shots * p) <= 5 * np.sqrt(shots * p * (1 - p)) + 1e-6, (key, p, counts)


def scrambled(n: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(n, n)
    for q in range(n):
        builder.u(*rng.uniform(0, 6, 3), q)
    for q in range(n - 1):
        builder.cx(q, q + 1)
    return builder, rng


def append_random(builder: Any, op: Op, rng: np.random.Generator) -> None:
    n, spec = builder.num_qubits, OPERATIONS[op]
    if op in (Op.UNITARY, Op.KRAUS):
        k = 2
        q, _ = np.linalg.qr(rng.normal(size=(2 * 2**k, 2**k)) + 1j * rng.normal(size=(2 * 2**k, 2**k)))
        if op == Op.KRAUS:
            builder.kraus((q[: 2**k], q[2**k :]), *rng.permutation(n)[:k].tolist())
        else:
            u, _ = np.linalg.qr(q[: 2**k])
            builder.unitary(u, *rng.permutation(n)[:k].tolist())
        return
    high = 0.3 if op in CHANNELS else 6.0
    params = rng.uniform(0, high, len(spec.params)).tolist()
    builder.append(op, rng.permutation(n)[: spec.num_qubits].tolist(), params)


@pytest.mark.parametrize("op", sorted(GATES), ids=lambda op: op.name.lower())
def test_gate_matches_its_reference_matrix(op: Op) -> None:
    builder, rng = scrambled(4, op)
    append_random(builder, op, rng)
    circuit = builder.build()
    rho = next(iter(reference(circuit).values()))
    psi = run(circuit, "statevector", precision="double").statevector
    assert np.allclose(np.outer(psi, psi.conj()), rho, atol=1e-12)
    mixed = run(circuit, "density_matrix", precision="double", method="density_matrix").density_matrix
    assert np.allclose(mixed, rho, atol=1e-12)
    single = run(circuit, "statevector").statevector
    assert single.dtype == np.complex64
    assert np.allclose(single, psi, atol=1e-5)


@pytest.mark.parametrize("op", sorted(GATES - {Op.UNITARY}), ids=lambda op: op.name.lower())
def test_gate_keeps_its_global_phase(op: Op) -> None:
    builder, rng = scrambled(4, op)
    append_random(builder, op, rng)
    circuit = builder.build()
    expected = embed_all(circuit)
    psi = run(circuit, "statevector", precision="double").statevector
    phase = np.vdot(expected, psi)
    assert abs(phase - 1) < 1e-12


def embed_all(circuit: Circuit) -> np.ndarray:
    psi = np.zeros(2**circuit.num_qubits, dtype=complex)
    psi[0] = 1
    for op, qubits, params, *_ in circuit:
        psi = embed(unitary(op, params), qubits, circuit.num_qubits) @ psi
    return psi


@pytest.mark.parametrize("op", sorted(CHANNELS), ids=lambda op: op.name.lower())
def test_channel_matches_its_reference(op: Op) -> None:
    builder, rng = scrambled(3, op)
    append_random(builder, op, rng)
    append_random(builder, op, rng)
    builder.ry(0.4, 0).measure_all()
    circuit = builder.build()
    exact = run(circuit, "density_matrix", "probabilities", precision="double")
    assert exact.method == "density_matrix"
    rho = sum(reference(builder.build().without_final_measurements()).values())
    assert np.allclose(exact.density_matrix, rho, atol=1e-12)
    assert np.allclose(exact.probabilities, np.diag(rho).real, atol=1e-12)
    expected = exact_counts(circuit)
    for method in ("statevector", "density_matrix"):
        assert_counts(run(circuit, shots=4000, seed=3, method=method).counts, expected)


@pytest.mark.parametrize("op", sorted(op for op in GATES | CHANNELS if OPERATIONS[op].clifford), ids=lambda o: o.name)
def test_clifford_method_matches(op: Op) -> None:
    rng = np.random.default_rng(op)
    builder = Circuit.builder(4, 4)
    for q in range(4):
        builder.h(q).append([Op.S, Op.SX, Op.ID, Op.SDG][q], (q,))
    builder.cx(0, 1).cz(1, 2).cx(2, 3)
    for _ in range(2):
        append_random(builder, op, rng)
    builder.h(1).sx(2)
    state = builder.build()
    rho = sum(reference(state).values())
    circuit = builder.measure_all().build()
    observables = [PauliSum.parse(t) for t in ("XYZI - 2*ZZIX + 0.5*IYYX", "IIIZ", "YYYY + XXXX", "ZXZX - XZXZ")]
    result = run(
        circuit, "counts", "expectation", shots=4000, seed=5, method="clifford", observables=tuple(observables)
    )
    assert result.method == "clifford"
    assert_counts(result.counts, exact_counts(circuit))
    for found, observable in zip(result.expectations, observables, strict=True):
        value, variance = pauli_moments(observable, rho)
        slack = 5 * found.standard_error + 1e-12
        assert abs(found.value - value) <= slack
        if op in GATES:
            assert found.standard_error == 0
            assert found.variance == pytest.approx(variance, abs=1e-12)


def pauli_moments(observable: PauliSum, rho: np.ndarray) -> tuple[float, float]:
    total = np.zeros_like(rho)
    for coefficient, letters in observable.terms:
        matrix = np.ones((1, 1))
        for letter in letters:
            matrix = np.kron(matrix, PAULIS[letter])
        total += coefficient * matrix
    value = np.trace(total @ rho).real
    return value, np.trace(total @ total @ rho).real - value**2


@pytest.mark.parametrize("method", ["statevector", "density_matrix"])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_expectation_value_and_variance_are_exact(method: str, precision: str) -> None:
    builder, _ = scrambled(3, 8)
    circuit = builder.crx(0.3, 0, 2).build()
    observable = PauliSum.parse("0.5*ZZI - XIY + 2*YXZ + III")
    result = run(circuit, "expectation", observables=(observable,), method=method, precision=precision, shots=None)
    value, variance = pauli_moments(observable, sum(reference(circuit).values()))
    (found,) = result.expectations
    tolerance = 1e-12 if precision == "double" else 1e-5
    assert found.value == pytest.approx(value, abs=tolerance)
    assert found.variance == pytest.approx(variance, abs=10 * tolerance)
    assert found.standard_error == 0
    assert result.error_bound.kind == "exact"


def test_trajectories_estimate_an_expectation_with_its_error() -> None:
    builder, _ = scrambled(3, 2)
    circuit = builder.amplitude_damping(0.3, 0).depolarizing2(0.2, 1, 2).build()
    observable = PauliSum.parse("ZZI + XIX")
    arguments: dict[str, Any] = {"observables": (observable,), "shots": 3000}
    (sampled,) = run(circuit, "expectation", method="statevector", **arguments).expectations
    (exact,) = run(circuit, "expectation", method="density_matrix", precision="double", **arguments).expectations
    value, variance = pauli_moments(observable, sum(reference(circuit).values()))
    assert exact.value == pytest.approx(value, abs=1e-12)
    assert exact.variance == pytest.approx(variance, abs=1e-12)
    assert 0 < sampled.standard_error < 0.05
    assert abs(sampled.value - value) < 5 * sampled.standard_error


def dynamic_circuit(seed: int) -> Circuit:
    """Conditions over several bits and negated ones, resets, bits read before and after they are written."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(3, 3)
    clifford = [Op.H, Op.SX, Op.X, Op.CX, Op.CZ, Op.Y, Op.S]
    for _ in range(14):
        kind = rng.integers(8)
        q = rng.permutation(3).tolist()
        if kind == 0:
            builder.measure(q[0], int(rng.integers(3)))
        elif kind == 1:
            builder.reset(q[0])
        elif kind <= 3:
            bits = tuple(rng.permutation(3)[: rng.integers(1, 4)].tolist())
            condition = Condition(bits, int(rng.integers(2 ** len(bits))), bool(rng.integers(2)))
            op = [Op.X, Op.H, Op.MEASURE, Op.RESET][rng.integers(4)]
            builder.append(op, q[:1], clbit=int(rng.integers(3)) if op == Op.MEASURE else -1, condition=condition)
        else:
            op = clifford[rng.integers(len(clifford))]
            builder.append(op, q[: OPERATIONS[op].num_qubits])
    return builder.h(0).measure(1, 2).measure(0, 0).build()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(12))
def test_dynamic_circuit_has_the_right_counts(method: str, seed: int) -> None:
    circuit = dynamic_circuit(seed)
    assert_counts(run(circuit, shots=3000, seed=seed, method=method).counts, exact_counts(circuit))


@pytest.mark.parametrize("method", ["statevector", "density_matrix"])
@pytest.mark.parametrize("seed", range(12))
def test_dynamic_circuit_has_the_right_state(method: str, seed: int) -> None:
    circuit = dynamic_circuit(seed)
    rho = sum(reference(circuit.without_final_measurements()).values())
    result = run(circuit, "density_matrix", "probabilities", method=method, precision="double", shots=None)
    assert np.allclose(result.density_matrix, rho, atol=1e-12)
    assert np.allclose(result.probabilities, np.diag(rho).real, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_random_circuits_over_all_gates_match(seed: int) -> None:
    builder, rng = scrambled(4, seed)
    for op in rng.choice(sorted(GATES), 12).tolist():
        append_random(builder, Op(op), rng)
    circuit = builder.build()
    psi = run(circuit, "statevector", precision="double").statevector
    rho = sum(reference(circuit).values())
    assert np.allclose(np.outer(psi, psi.conj()), rho, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_idle_qubits_and_subsets_go_to_their_bits(method: str) -> None:
    circuit = Circuit.builder(5, 6).x(1).x(3).measure(3, 0).measure(4, 1).measure(1, 5).build()
    assert run(circuit, shots=10, method=method).counts == {"100001": 10}


@pytest.mark.parametrize("method", METHODS)
def test_a_bit_written_twice_keeps_the_last_value(method: str) -> None:
    circuit = Circuit.builder(2, 1).x(0).measure(0, 0).measure(1, 0).build()
    assert run(circuit, shots=10, method=method).counts == {"0": 10}


def test_idle_qubits_are_kept_in_the_statevector() -> None:
    psi = run(Circuit.builder(3).x(1).build(), "statevector").statevector
    assert psi.shape == (8,)
    assert abs(psi[2]) == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_seed_decides_the_samples_and_nothing_else_does(method: str) -> None:
    circuit = Circuit.builder(6, 6).h(0).h(3).cx(0, 1).cx(3, 4).measure_all().build()
    first = run(circuit, "samples", seed=7, method=method).samples
    np.random.seed(123)
    assert np.array_equal(first, run(circuit, "samples", seed=7, method=method).samples)
    assert not np.array_equal(first, run(circuit, "samples", seed=8, method=method).samples)
    assert first.dtype == np.uint8
    assert first.shape == (1024, 6)


def test_samples_of_branches_are_shuffled() -> None:
    circuit = Circuit.builder(1, 2).h(0).measure(0, 0).h(0).measure(0, 1).build()
    column = run(circuit, "samples", shots=400).samples[:, 0].astype(int)
    changes = np.count_nonzero(np.diff(column))
    assert 150 < changes < 250


def test_ghz_gives_no_impossible_outcome_in_many_shots() -> None:
    builder = Circuit.builder(14, 14).h(0)
    for q in range(13):
        builder.cx(q, q + 1)
    counts = run(builder.measure_all().build(), shots=2_000_000, method="statevector").counts
    assert set(counts) == {"0" * 14, "1" * 14}


def test_forty_qubits_without_entanglement_take_little_memory() -> None:
    builder = Circuit.builder(40, 40)
    for q in range(0, 40, 2):
        builder.rx(np.pi, q).t(q)
    circuit = builder.measure_all().build()
    request = RunRequest(circuit=circuit)
    estimate = CirqBackend().estimate(request, features_of(circuit))
    assert estimate.memory_bytes < 10**6
    assert run(circuit, shots=5).counts == {"01" * 20: 5}


def test_hundred_clifford_qubits_run_by_the_stabiliser() -> None:
    builder = Circuit.builder(100, 100).h(0)
    for q in range(99):
        builder.cx(q, q + 1)
    result = run(builder.measure_all().build(), seed=1)
    assert result.method == "clifford"
    assert set(result.counts) == {"0" * 100, "1" * 100}


def test_automatic_takes_trajectories_for_many_noisy_qubits_and_the_matrix_for_few() -> None:
    for n, method in ((4, "density_matrix"), (14, "statevector")):
        builder, _ = scrambled(n, 1)
        for q in range(n):
            builder.depolarizing(0.01, q)
        request = RunRequest(circuit=builder.measure_all().build())
        assert CirqBackend().plan(request).method == method


def test_large_operations_in_pieces_give_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    builder, rng = scrambled(6, 4)
    for op in (Op.UNITARY, Op.SWAP, Op.ISWAP, Op.CSWAP, Op.RXX, Op.CU, Op.H, Op.ECR):
        append_random(builder, op, rng)
    pure = builder.build()
    for op in (Op.KRAUS, Op.DEPOLARIZING2, Op.AMPLITUDE_DAMPING):
        append_random(builder, op, rng)
    mixed = builder.reset(2).build()
    whole = run(pure, "statevector", precision="double").statevector
    matrix = run(mixed, "density_matrix", precision="double").density_matrix
    monkeypatch.setattr("proxima_backend_cirq.states._PIECE", 4)
    monkeypatch.setattr("proxima_backend_cirq.states._CHANNEL_PIECE", 2)
    assert np.allclose(run(pure, "statevector", precision="double").statevector, whole, atol=1e-12)
    assert np.allclose(run(mixed, "density_matrix", precision="double").density_matrix, matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("wants", "method", "word"),
    [
        (("statevector",), "automatic", "density_matrix"),
        (("statevector",), "density_matrix", "density_matrix"),
        (("probabilities",), "statevector", "density_matrix"),
        (("counts",), "clifford", "not Clifford"),
    ],
)
def test_refuses_what_a_method_cannot_answer(wants: tuple[str, ...], method: str, word: str) -> None:
    circuit = Circuit.builder(2, 2).t(0).amplitude_damping(0.1, 0).measure_all().build()
    with pytest.raises(UnsupportedError, match=word):
        run(circuit, *wants, method=method)


def test_wrong_requests_are_usage_errors() -> None:
    bell = Circuit.builder(2, 2).h(0).cx(0, 1).build()
    with pytest.raises(UsageError, match="measures nothing"):
        run(bell)
    with pytest.raises(UsageError, match="no method 'mps'"):
        run(bell, "statevector", method="mps")
    with pytest.raises(UsageError, match="on 3 qubits"):
        run(bell, "expectation", observables=(PauliSum.parse("ZZZ"),))
    with pytest.raises(UsageError, match="no option"):
        CirqBackend().plan(RunRequest(circuit=bell, wants=("statevector",), options={"bond": 3}))


def heavy(kind: str) -> tuple[Circuit, str]:
    if kind == "statevector":
        builder, rng = scrambled(24, 1)
        for op in rng.choice([Op.H, Op.RXX, Op.UNITARY], 3000).tolist():
            append_random(builder, Op(op), rng)
    else:
        builder, rng = scrambled(12 if kind == "density_matrix" else 16, 1)
        for q in rng.integers(0, builder.num_qubits, 3000).tolist():
            builder.ry(0.3, q).amplitude_damping(0.1, q)
    return builder.measure_all().build(), "density_matrix" if kind == "density_matrix" else "statevector"


@pytest.mark.parametrize("kind", ["statevector", "density_matrix", "trajectories"])
def test_cancel_ends_a_long_run_within_a_second(kind: str) -> None:
    circuit, method = heavy(kind)
    token, set_at = CancelToken(), []

    def cancel() -> None:
        set_at.append(time.monotonic())
        token.cancel()

    timer = threading.Timer(1.0, cancel)
    timer.start()
    with pytest.raises(CancelledError):
        run(circuit, method=method, context=RunContext(cancel=token))
    assert time.monotonic() - set_at[0] < 1.0
    timer.join()


def test_deadline_ends_a_long_run() -> None:
    circuit, method = heavy("trajectories")
    deadline = time.monotonic() + 0.5
    with pytest.raises(DeadlineExceededError):
        run(circuit, method=method, context=RunContext(deadline=deadline))
    assert time.monotonic() - deadline < 1.0


def test_progress_rises_to_at_most_one() -> None:
    builder, rng = scrambled(21, 1)
    for op in rng.choice([Op.H, Op.RX, Op.CX], 250).tolist():
        append_random(builder, Op(op), rng)
    seen: list[float] = []
    run(builder.build(), "probabilities", context=RunContext(progress=lambda f, _: seen.append(f)))
    assert seen
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= 1


def test_runs_in_threads_do_not_disturb_each_other() -> None:
    circuits = [scrambled(8, seed)[0].build() for seed in range(4)]
    alone = [run(c, "statevector").statevector for c in circuits]
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        for _ in range(5):
            found[i] = run(circuits[i], "statevector").statevector

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, psi in enumerate(alone):
        assert np.array_equal(found[i], psi)
