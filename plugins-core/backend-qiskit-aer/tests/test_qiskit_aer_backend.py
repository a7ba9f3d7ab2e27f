"""The backend's own paths: methods, long runs in pieces, feedback, drawn noise, loading beside Qiskit."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from proxima.contracts.backend import CancelToken, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.matrices import PAULIS, kraus, unitary
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, Op
from proxima.contracts.result import RunResult
from proxima.errors import CancelledError, DeadlineExceededError, UnsupportedError, UsageError
from proxima_backend_qiskit_aer import cost, engine, jobs, pieces
from proxima_backend_qiskit_aer.backend import QiskitAerBackend
from proxima_backend_qiskit_aer.observables import expectation
from proxima_backend_qiskit_aer.outcome import samples_of_hex

BACKEND = QiskitAerBackend()
DENSE = ("statevector", "density_matrix", "matrix_product_state")


def run(
    circuit: Circuit, *wants: str, method: str = "automatic", context: RunContext | None = None, **more
) -> RunResult:
    request = RunRequest(circuit=circuit, wants=wants, options={"method": method}, **more)
    return BACKEND.run(BACKEND.plan(request), context or RunContext())


def embed(matrix: npt.NDArray, qubits: tuple[int, ...], num_qubits: int) -> npt.NDArray:
    """The matrix on all qubits, element by element."""
    size = 1 << num_qubits
    out = np.zeros((size, size), complex)
    mask = sum(1 << q for q in qubits)
    for column in range(size):
        small = sum((column >> q & 1) << i for i, q in enumerate(qubits))
        for row in range(len(matrix)):
            full = column & ~mask | sum((row >> i & 1) << q for i, q in enumerate(qubits))
            out[full, column] += matrix[row, small]
    return out


def branches(circuit: Circuit) -> dict[tuple[int, ...], npt.NDArray]:
    """Every value of the classical bits with its unnormalised density matrix."""
    n = circuit.num_qubits
    start = np.zeros((1 << n, 1 << n), complex)
    start[0, 0] = 1
    out = {(0,) * circuit.num_clbits: start}
    for ins in circuit:
        after: dict[tuple[int, ...], npt.NDArray] = {}
        for bits, rho in out.items():
            parts: list[tuple[tuple[int, ...], list[npt.NDArray]]]
            if ins.condition is not None and not ins.condition.holds(bits):
                parts = [(bits, [np.eye(1 << n)])]
            elif ins.op == Op.MEASURE:
                parts = []
                for outcome in (0, 1):
                    written = (*bits[: ins.clbit], outcome, *bits[ins.clbit + 1 :])
                    parts.append((written, [embed(np.diag([1 - outcome, outcome]), ins.qubits, n)]))
            elif ins.op == Op.RESET:
                lower = (np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]]))
                parts = [(bits, [embed(k, ins.qubits, n) for k in lower])]
            else:
                matrices = ins.matrices or (kraus if ins.op in CHANNELS else unitary)(ins.op, ins.params)
                parts = [
                    (
                        bits,
                        [
                            embed(k, ins.qubits, n)
                            for k in np.atleast_3d(matrices).reshape(-1, *np.shape(matrices)[-2:])
                        ],
                    )
                ]
            for written, operators in parts:
                after[written] = after.get(written, 0) + sum(k @ rho @ k.conj().T for k in operators)
        out = after
    return out


def assert_counts_fit(counts, exact: dict[tuple[int, ...], npt.NDArray], shots: int) -> None:
    weights = {"".join(map(str, bits[::-1])): float(np.trace(rho).real) for bits, rho in exact.items()}
    for key in set(counts) | set(weights):
        p, seen = weights.get(key, 0.0), counts.get(key, 0)
        assert abs(seen - shots * p) <= 5.5 * np.sqrt(shots * max(p * (1 - p), 0.0)) + 1e-6, (key, seen, shots * p)


def entangled(n: int, depth: int, seed: int = 0) -> Circuit:
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(n, n)
    for layer in range(depth):
        for qubit in range(n):
            builder.u(*rng.uniform(0, 3, 3), qubit)
        for qubit in range(layer % 2, n - 1, 2):
            builder.cp(rng.uniform(0, 3), qubit, qubit + 1) if layer % 3 else builder.cx(qubit, qubit + 1)
    return builder.measure_all().build()


def feedback() -> Circuit:
    """Conditions on one and several bits, negated, on gates, resets, measurements and channels."""
    b = Circuit.builder(3, 4).h(0).measure(0, 0).ry(1.1, 1).measure(1, 2)
    b.x(2, condition=Condition((0,), 1))
    b.append(Op.CX, (2, 1), condition=Condition((2, 0), 2))
    b.append(Op.U, (0,), (0.3, 0.4, 0.5), condition=Condition((0, 2, 3), 1, negated=True))
    b.append(Op.RESET, (1,), condition=Condition((2,), 1))
    b.append(Op.MEASURE, (2,), clbit=0, condition=Condition((0, 2), 3, negated=True))
    b.append(Op.DEPOLARIZING, (0,), (0.3,), condition=Condition((0,), 0))
    b.append(Op.AMPLITUDE_DAMPING, (1,), (0.4,), condition=Condition((2,), 0))
    b.reset(2).h(2)
    b.append(Op.H, (1,), condition=Condition((0,), 5, negated=True))
    return b.measure(0, 1).measure(1, 3).measure(2, 2).build()


def pauli_noise() -> Circuit:
    b = Circuit.builder(3, 4).h(0).cx(0, 1).iswap(1, 2).s(2).ecr(2, 0).sx(1)
    for op, qubit in ((Op.DEPOLARIZING, 0), (Op.BIT_FLIP, 1), (Op.PHASE_FLIP, 2), (Op.BIT_PHASE_FLIP, 1)):
        b.append(op, (qubit,), (0.2,))
    b.append(Op.PAULI_CHANNEL, (2,), (0.1, 0.2, 0.05)).append(Op.DEPOLARIZING2, (2, 1), (0.3,))
    return b.h(1).measure(0, 3).measure(1, 0).measure(2, 1).build()


@pytest.mark.parametrize("method", [*DENSE, "stabilizer"])
def test_pauli_noise_is_drawn_with_the_right_weights(method: str) -> None:
    circuit = pauli_noise()
    result = run(circuit, "counts", method=method, shots=8000, seed=3)
    assert_counts_fit(result.counts, branches(circuit), 8000)


@pytest.mark.parametrize("method", DENSE)
def test_feedback_gives_the_counts_of_its_branches(method: str) -> None:
    circuit = feedback()
    result = run(circuit, "counts", method=method, shots=8000, seed=4)
    assert_counts_fit(result.counts, branches(circuit), 8000)


@pytest.mark.parametrize("make", [feedback, pauli_noise])
def test_states_of_mixed_circuits_are_exact(make) -> None:
    circuit = make()
    rho = sum(branches(circuit.without_final_measurements()).values())
    observable = PauliSum.parse("0.7*ZXI - YYY + 0.2*IIZ")
    result = run(
        circuit,
        "density_matrix",
        "probabilities",
        "expectation",
        shots=None,
        precision="double",
        observables=(observable,),
    )
    np.testing.assert_allclose(result.density_matrix, rho, atol=1e-12)
    np.testing.assert_allclose(result.probabilities, np.diag(rho).real, atol=1e-12)
    mean = expectation(rho, observable)
    assert result.expectations[0].value == pytest.approx(mean, abs=1e-12)
    assert result.expectations[0].variance == pytest.approx(expectation(rho, observable.squared()) - mean**2, abs=1e-12)


def test_expectation_over_trajectories_comes_with_its_standard_error() -> None:
    circuit = feedback()
    rho = sum(branches(circuit.without_final_measurements()).values())
    observable = PauliSum.parse("IIZ + 0.5*ZII")
    got = run(circuit, "expectation", method="statevector", shots=4000, observables=(observable,)).expectations[0]
    assert 0 < got.standard_error < 0.05
    assert abs(got.value - expectation(rho, observable)) < 5 * got.standard_error


@pytest.mark.parametrize("method", DENSE)
def test_a_run_in_pieces_gives_what_one_call_gives(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = entangled(6, 5)
    state = "density_matrix" if method == "density_matrix" else "statevector"
    observable = PauliSum.parse("ZXIIYI + 0.3*IIIZII")
    results, counts = [], []
    for limit in (1e9, 0.0):
        monkeypatch.setattr(jobs, "LONG_SECONDS", limit)
        wants = (state, "probabilities", "expectation")
        results.append(run(circuit, *wants, method=method, shots=None, precision="double", observables=(observable,)))
        counts.append(run(circuit, "counts", method=method, shots=4000, precision="double").counts)
    short, long = results
    np.testing.assert_allclose(long.probabilities, short.probabilities, atol=1e-12)
    assert long.expectations[0].value == pytest.approx(short.expectations[0].value, abs=1e-9)
    for each in counts:
        for index, p in enumerate(short.probabilities):
            seen = each.get(format(index, "06b"), 0)
            assert abs(seen - 4000 * p) <= 5.5 * np.sqrt(4000 * p) + 1


@pytest.mark.parametrize("method", [*DENSE, "stabilizer"])
@pytest.mark.parametrize("limit", [1e9, 0.0])
def test_measured_subset_goes_to_its_bits(method: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LONG_SECONDS", limit)
    circuit = Circuit.builder(5, 7).x(1).x(4).measure(1, 6).measure(0, 2).measure(4, 3).build()
    assert run(circuit, "counts", method=method, shots=10).counts == {"1001000": 10}


def test_chunks_of_shots_do_not_change_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = feedback()
    whole = run(circuit, "samples", method="statevector", shots=300, seed=9).samples
    monkeypatch.setattr(jobs, "LONG_SECONDS", 0.0)
    np.testing.assert_array_equal(run(circuit, "samples", method="statevector", shots=300, seed=9).samples, whole)


@pytest.mark.parametrize("n", [100, 400])
def test_stabilizer_takes_more_qubits_than_a_machine_word_has_bits(n: int) -> None:
    builder = Circuit.builder(n, n).h(0)
    for qubit in range(n - 1):
        builder.cx(qubit, qubit + 1)
    builder.x(n - 1)
    result = run(builder.measure_all().build(), "counts", "samples", method="stabilizer", shots=20, seed=1)
    assert set(result.counts) == {"1" + "0" * (n - 1), "0" + "1" * (n - 1)}
    assert result.samples.shape == (20, n)
    assert (result.samples[:, 0] != result.samples[:, n - 1]).all()


@pytest.mark.parametrize("seed", range(4))
def test_samples_of_a_stabilizer_state_are_uniform_over_its_support(seed: int) -> None:
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(5, 5)
    for _ in range(30):
        builder.append(Op(int(rng.choice([Op.H, Op.S, Op.X, Op.SXDG, Op.Y]))), (int(rng.integers(5)),))
        builder.append(Op(int(rng.choice([Op.CX, Op.CY, Op.ISWAP, Op.ECR]))), tuple(map(int, rng.permutation(5)[:2])))
    circuit = builder.measure_all().build()
    counts = run(circuit, "counts", method="stabilizer", shots=4000, seed=seed).counts
    assert_counts_fit(counts, branches(circuit), 4000)


def test_automatic_takes_the_stabilizer_method_for_a_wide_clifford_circuit() -> None:
    rng = np.random.default_rng(0)
    builder = Circuit.builder(120, 120)
    for _ in range(10):
        for qubit in range(120):
            builder.append(Op(int(rng.choice([Op.H, Op.S]))), (qubit,))
        order = list(map(int, rng.permutation(120)))
        for control, target in zip(order[::2], order[1::2], strict=True):
            builder.cx(control, target)
    result = run(builder.measure_all().build(), "counts", shots=500)
    assert result.method == "stabilizer"
    assert sum(result.counts.values()) == 500
    assert {len(key) for key in result.counts} == {120}


def test_automatic_takes_a_matrix_product_state_for_wide_shallow_circuits() -> None:
    circuit = entangled(40, 4)
    result = run(circuit, "counts", "expectation", shots=20, observables=(PauliSum.parse("I" * 39 + "Z"),))
    assert result.method == "matrix_product_state"
    # The last qubit's light cone holds at most eight others.
    small = run(
        entangled(40, 4).without_final_measurements(),
        "expectation",
        shots=None,
        observables=(PauliSum.parse("I" * 39 + "Z"),),
    )
    assert small.error_bound.kind == "truncated_weight"
    assert result.expectations[0].value == pytest.approx(small.expectations[0].value, abs=1e-9)


@pytest.mark.parametrize("name", ["statevector", "probabilities"])
def test_refuses_states_too_large(name: str) -> None:
    circuit = entangled(40, 40)
    with pytest.raises(UnsupportedError, match="40 qubits"):
        run(circuit, name, shots=None)
    assert not BACKEND.estimate(RunRequest(circuit=circuit, wants=(name,)), features_of(circuit)).feasible


def test_refuses_the_statevector_of_a_noisy_circuit_and_names_the_density_matrix() -> None:
    with pytest.raises(UnsupportedError) as caught:
        run(pauli_noise(), "statevector", shots=None)
    assert "density_matrix" in (caught.value.hint or "")


def test_refuses_an_unknown_method() -> None:
    with pytest.raises(UsageError, match="no method 'magic'"):
        run(entangled(2, 1), "counts", method="magic")


def test_refuses_the_stabilizer_method_for_a_t_gate() -> None:
    with pytest.raises(UnsupportedError, match="not Clifford"):
        run(Circuit.builder(1, 1).t(0).measure(0, 0).build(), "counts", method="stabilizer")


def test_stops_within_a_second_of_cancellation_and_deadline() -> None:
    plan = BACKEND.plan(RunRequest(circuit=entangled(20, 80), options={"method": "statevector"}, shots=10))
    token = CancelToken()
    timer = threading.Timer(0.6, token.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        BACKEND.run(plan, RunContext(cancel=token))
    assert time.monotonic() - began < 1.6
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        BACKEND.run(plan, RunContext(deadline=began + 0.6))
    assert time.monotonic() - began < 1.6


def test_one_plan_runs_in_two_threads_with_its_own_answers() -> None:
    plan = BACKEND.plan(RunRequest(circuit=feedback(), wants=("samples",), shots=500, seed=2))
    expected = BACKEND.run(plan, RunContext()).samples
    got: list[npt.NDArray] = []
    threads = [threading.Thread(target=lambda: got.append(BACKEND.run(plan, RunContext()).samples)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    for samples in got:
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("first", ["proxima", "qiskit"])
def test_shares_the_extension_with_qiskit_in_either_order(first: str) -> None:
    ours = (
        "from proxima_backend_qiskit_aer import engine; aer = engine.load()",
        "import sys; print(any(m == 'qiskit' for m in sys.modules))",
    )
    theirs = (
        "from qiskit_aer import AerSimulator; from qiskit import QuantumCircuit",
        "q = QuantumCircuit(1); q.x(0); q.measure_all()",
        "print(AerSimulator().run(q, shots=5).result().get_counts())",
    )
    check = "from qiskit_aer.backends import controller_wrappers as w; print(w is engine.load())"
    lines = (*ours, *theirs, check) if first == "proxima" else (*theirs, *ours, check)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split("\n")[:3]
    assert printed == (["False", "{'1': 5}", "True"] if first == "proxima" else ["{'1': 5}", "True", "True"])


def test_a_long_matrix_product_state_run_does_not_depend_on_the_clock(monkeypatch) -> None:
    rng = np.random.default_rng(3)
    builder = Circuit.builder(14)
    for layer in range(4):
        for qubit in range(14):
            builder.ry(float(rng.uniform(0, 3)), qubit)
        for qubit in range(layer % 2, 13, 2):
            builder.cz(qubit, qubit + 1)
    circuit = builder.measure_all().build()
    monkeypatch.setattr(jobs, "LONG_SECONDS", 0.0)
    found = []
    for slowness in (1, 50):
        clock = SimpleNamespace(perf_counter=lambda slowness=slowness: slowness * time.perf_counter())
        monkeypatch.setattr(pieces, "time", clock)
        found.append(run(circuit, "counts", method="matrix_product_state", shots=20_000, seed=5).counts)
    assert found[0] == found[1]


def test_refuses_options_it_does_not_have() -> None:
    circuit = Circuit.builder(1, 1).h(0).measure(0, 0).build()
    request = RunRequest(circuit=circuit, shots=1, options={"max_bond": 8})
    with pytest.raises(UsageError, match="no option max_bond"):
        BACKEND.plan(request)
    with pytest.raises(UsageError, match="no option max_bond"):
        BACKEND.estimate(request, features_of(circuit))


def test_default_rates_are_those_of_the_manifest() -> None:
    manifest = yaml.safe_load((Path(__file__).parent.parent / "plugin.yaml").read_text(encoding="utf-8"))
    assert manifest["entry_points"]["backends"][0]["capabilities"]["rates"] == cost.RATES


@pytest.mark.parametrize(
    ("version", "tested"), [("0.17.2", False), ("0.18.2", True), ("0.16.4", False), ("0.19.0", False), ("dev", False)]
)
def test_tested_versions(version: str, tested: bool) -> None:
    assert engine.is_tested(version) is tested


def test_hexadecimal_samples_lose_scratch_bits_and_keep_leading_zeros() -> None:
    np.testing.assert_array_equal(samples_of_hex(["0x0", "0x105", "0x2"], 3), [[0, 0, 0], [1, 0, 1], [0, 1, 0]])


def test_square_of_a_pauli_sum_is_its_matrix_square() -> None:
    def matrix(terms) -> npt.NDArray:
        total = np.zeros((8, 8), complex)
        for coefficient, letters in terms:
            product = np.eye(1)
            for letter in letters:
                product = np.kron(product, PAULIS[letter])
            total += coefficient * product
        return total

    observable = PauliSum.parse("0.5*ZZI - XIX + 2*YZX - 0.25*III")
    whole = matrix(observable.terms)
    np.testing.assert_allclose(matrix(observable.squared().terms), whole @ whole, atol=1e-14)


def test_a_matrix_that_cannot_be_written_to_is_not_transposed() -> None:
    """A circuit read from bytes has such matrices."""
    matrix = np.array([[0.6, 0.8j], [0.8, -0.6j]])
    circuit = Circuit.builder(2).unitary(matrix, 0).build()
    again = Circuit.from_bytes(circuit.to_bytes())
    assert not again.payloads[0][0].flags.writeable
    for method in DENSE:
        for each in (circuit, again):
            probabilities = run(each, "probabilities", method=method, shots=None).probabilities
            np.testing.assert_allclose(probabilities, [0.36, 0.64, 0, 0], atol=1e-6)
    damping = (np.diag([1, 0.6]), np.array([[0, 0.8], [0, 0]]))
    decay = Circuit.builder(1, 1).x(0).append(Op.KRAUS, (0,), matrices=damping).measure(0, 0).build()
    assert run(Circuit.from_bytes(decay.to_bytes()), "counts", method="statevector", shots=1000).counts["0"] > 500
