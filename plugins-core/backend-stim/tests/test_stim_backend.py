"""stim against the density matrices of the SDK's reference, against Aer, and against stim's own other simulators."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import CancelToken, RunContext, RunRequest, Want
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.contracts.result import RunResult, counts_from_samples
from proxima.errors import CancelledError, DeadlineExceededError, ResourceError, UnsupportedError, UsageError
from proxima_backend_stim.backend import StimBackend
from proxima_backend_stim.recognise import kind_of
from proxima_sdk import circuits, reference
from proxima_sdk.conformance.statistics import fit

stim = pytest.importorskip("stim", reason="stim has no wheel for this platform")

BACKEND = StimBackend()
CLIFFORDS = sorted(op for op in GATES if OPERATIONS[op].clifford)
ANGLED = [op for op in sorted(GATES) if OPERATIONS[op].params]
NOISE = [Op.DEPOLARIZING, Op.DEPOLARIZING2, Op.BIT_FLIP, Op.PHASE_FLIP, Op.BIT_PHASE_FLIP, Op.PAULI_CHANNEL]
# States are exact but for rounding, which grows with the square root of some tens of operations.
EXACT = 1e-12


def run(circuit: Circuit, *wants: Want, shots: int | None = None, **more: object) -> RunResult:
    request = RunRequest(circuit=circuit, shots=shots, wants=wants, precision="double", **more)  # type: ignore[arg-type]
    return BACKEND.run(BACKEND.plan(request), RunContext())


def chance(circuit: Circuit, seed: int, operations: Sequence[Op], conditioned: Sequence[Op]) -> Circuit:
    """A random circuit with noise, measurements, resets, and operations under conditions on up to two bits."""
    rng = np.random.default_rng(seed)
    n, m = circuit.num_qubits, circuit.num_clbits
    builder = Circuit.builder(n, m)
    for op, qubits, params, _, _, matrices in circuit:
        builder.append(op, qubits, params, matrices=matrices)
        kind, qubit = int(rng.integers(8)), int(rng.integers(n))
        if kind == 0:
            builder.measure(qubit, int(rng.integers(m)))
        elif kind == 1:
            builder.reset(qubit)
        elif kind == 2:
            bits = rng.permutation(m)[: int(rng.integers(1, 3))].tolist()
            condition = Condition(tuple(bits), int(rng.integers(2 ** len(bits))), bool(rng.integers(2)))
            op = conditioned[int(rng.integers(len(conditioned)))]
            count = OPERATIONS[op].num_qubits
            numbers = [0.1] * len(OPERATIONS[op].params)
            builder.append(op, rng.permutation(n)[:count].tolist(), numbers, condition=condition)
    for qubit in range(n):
        builder.measure(qubit, qubit)
    return builder.build()


def dynamic(seed: int, *, pauli: bool) -> Circuit:
    base = circuits.random(3, 8, seed=seed, operations=[*CLIFFORDS, *NOISE], measure=False)
    widened = Circuit.builder(3, 3)
    for op, qubits, params, _, _, matrices in base:
        widened.append(op, qubits, params, matrices=matrices)
    conditioned = [Op.X, Op.Y, Op.Z] if pauli else [Op.X, Op.H, Op.CX, Op.RESET, Op.DEPOLARIZING, Op.S]
    return chance(widened.build(), seed, CLIFFORDS, conditioned)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return abs(float(abs(np.vdot(a, b)) - 1))


@pytest.mark.parametrize("op", ANGLED, ids=lambda op: op.name.lower())
def test_gates_at_clifford_angles(op: Op) -> None:
    spec, found = OPERATIONS[op], 0
    # A controlled rotation is a Clifford gate at multiples of pi, the others at multiples of pi/2.
    for steps in itertools.product(range(-2, 5), repeat=min(len(spec.params), 2)):
        params = [s * math.pi / 2 for s in steps] + [math.pi / 2, -math.pi][: len(spec.params) - len(steps)]
        if kind_of(op, params, ()) is None:
            continue
        found += 1
        builder = Circuit.builder(3).h(0).s(0).cx(0, 1).h(1).cz(1, 2).h(2)
        circuit = builder.append(op, (2, 0)[: spec.num_qubits], params).build()
        state = run(circuit, "statevector").statevector
        assert overlap(reference.statevector(circuit), state) < EXACT, params
    assert found >= 3


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_random_clifford_matrices(size: int) -> None:
    for seed in range(12):
        matrix = stim.Tableau.random(size).to_unitary_matrix(endian="little").astype(np.complex128)
        # Stim gives single precision: its entries are powers of i over a power of sqrt(2).
        scale = abs(matrix).max()
        matrix = np.round(matrix / scale * 2) / 2 * 2 ** (round(2 * math.log2(scale)) / 2)
        builder = Circuit.builder(5)
        for op, qubits, params, *_ in circuits.clifford(5, 3, seed=seed, measure=False):
            builder.append(op, qubits, params)
        circuit = builder.append(Op.UNITARY, (3, 0, 4, 1)[:size], matrices=(matrix,)).build()
        assert overlap(reference.statevector(circuit), run(circuit, "statevector").statevector) < EXACT


@pytest.mark.parametrize("seed", range(20))
def test_mixed_states_are_exact(seed: int) -> None:
    circuit = dynamic(seed, pauli=seed % 2 == 0)
    observable = PauliSum.parse("0.5*ZZI - XIX + 0.25*IYY + III")
    result = run(circuit, "density_matrix", "probabilities", "expectation", observables=(observable,))
    exact = reference.density_matrix(circuit)
    assert np.abs(result.density_matrix - exact).max() < EXACT
    assert np.abs(result.probabilities - exact.diagonal().real).max() < EXACT
    mean, variance = reference.expectation(circuit, observable)
    (found,) = result.expectations
    assert found.value == pytest.approx(mean, abs=EXACT)
    assert found.variance == pytest.approx(variance, abs=EXACT)
    assert found.standard_error == 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("method", ["frames", "tableau"])
def test_counts_of_noisy_dynamic_circuits(seed: int, method: str) -> None:
    circuit = dynamic(100 + seed, pauli=method == "frames")
    counts = run(circuit, "counts", shots=20_000 if method == "frames" else 3000, options={"method": method}).counts
    assert fit(counts, reference.distribution(circuit)).p_value > 1e-6  # false alarms: 2e-5 over all cases


def test_conditional_measurement_counts() -> None:
    circuit = Circuit.builder(2, 2).h(0).measure(0, 0).x(1)
    circuit.append(Op.MEASURE, (1,), clbit=1, condition=Condition((0,), 1))
    made = circuit.append(Op.X, (0,), condition=Condition((1,), 1)).measure(0, 0).build()
    result = run(made, "counts", shots=4000)
    assert result.method == "tableau"
    assert fit(result.counts, reference.distribution(made)).accepted
    with pytest.raises(UnsupportedError, match="measure under a condition"):
        run(made, "probabilities")


def test_condition_on_bits_that_nothing_has_written() -> None:
    circuit = Circuit.builder(2, 3).append(Op.X, (0,), condition=Condition((1, 2), 0)).measure(0, 0)
    circuit.append(Op.X, (1,), condition=Condition((0, 2), 1)).append(Op.X, (1,), condition=Condition((0, 0), 3))
    made = circuit.measure(1, 1).build()
    assert run(made, "counts", shots=50).counts == {"001": 50}
    assert run(made, "probabilities").probabilities == pytest.approx([0, 1, 0, 0])


@pytest.mark.parametrize("value", [0b101, 2**80 + 1])
def test_condition_on_a_wide_register(value: int) -> None:
    register = tuple(range(100))
    builder = Circuit.builder(4, 101).h(0).measure(0, 0).h(1).measure(1, 2)
    builder.append(Op.X, (2,), condition=Condition(register, value)).append(
        Op.Y, (3,), condition=Condition(register, 1)
    )
    made = builder.measure(2, 100).measure(3, 99).build()
    assert fit(run(made, "counts", shots=4000).counts, reference.distribution(made)).accepted
    assert np.abs(run(made, "density_matrix").density_matrix - reference.density_matrix(made)).max() < EXACT


def test_expectations_under_a_condition_on_too_many_bits_are_refused() -> None:
    builder = Circuit.builder(12, 11)
    for qubit in range(11):
        builder.h(qubit).measure(qubit, qubit)
    made = builder.append(Op.X, (11,), condition=Condition(tuple(range(11)), 3)).build()
    with pytest.raises(ResourceError, match="reads 11 measured bits"):
        run(made, "expectation", observables=(PauliSum.parse("Z" + "I" * 11),))


def test_phase_damping_and_kraus_that_are_pauli_channels() -> None:
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(4))
    paulis = [reference.unitary(op) for op in (Op.ID, Op.X, Op.Y, Op.Z)]
    operators = tuple(math.sqrt(w) * p for w, p in zip(weights, paulis, strict=True))
    pairs = tuple(np.kron(b, a) for a in operators for b in operators)
    circuit = (
        Circuit.builder(3).h(0).cx(0, 1).s(1).h(2).phase_damping(0.4, 1).append(Op.KRAUS, (2,), matrices=operators)
    )
    made = circuit.append(Op.KRAUS, (2, 0), matrices=pairs).h(1).build()
    assert np.abs(run(made, "density_matrix").density_matrix - reference.density_matrix(made)).max() < EXACT


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((Op.RZ, (1,), (0.3,)), r"operation 1, rz\(0.3\) on qubit 1, is not a Clifford gate"),
        ((Op.T, (0,), ()), "operation 1, t on qubit 0, is not a Clifford gate"),
        ((Op.CP, (1, 0), (math.pi / 2,)), "operation 1, cp.* on qubits 1, 0, is not"),
        ((Op.AMPLITUDE_DAMPING, (1,), (0.1,)), "amplitude_damping.*no mixture of Pauli operators, as the decay of T1"),
        ((Op.RX, (0,), (math.pi / 2 + 1e-6,)), "rx.*is not a Clifford gate"),
    ],
)
def test_other_operations_are_refused_by_row(row: tuple, said: str) -> None:
    op, qubits, params = row
    circuit = Circuit.builder(2).h(0).append(op, qubits, params).measure_all().build()
    with pytest.raises(UnsupportedError, match=said):
        BACKEND.plan(RunRequest(circuit=circuit))
    estimate = BACKEND.estimate(RunRequest(circuit=circuit), features_of(circuit))
    assert not estimate.feasible
    assert "operation 1" in estimate.reason


@pytest.mark.parametrize(
    ("circuit", "request_", "error", "said"),
    [
        (circuits.ghz(30), {"wants": ("statevector",)}, UnsupportedError, "up to 24 qubits"),
        (Circuit.builder(1).bit_flip(0.1, 0).build(), {"wants": ("statevector",)}, UnsupportedError, "no statevector"),
        (circuits.ghz(2), {"options": {"method": "mps"}}, UsageError, "no method 'mps'"),
        (circuits.ghz(2), {"options": {"speed": 1}}, UsageError, "no option speed"),
        (circuits.ghz(2, measure=False), {}, UsageError, "measures nothing"),
        (circuits.ghz(2), {"shots": 0}, UsageError, "at least one shot"),
        (circuits.ghz(2), {"wants": ("expectation",), "observables": (PauliSum.parse("Z"),)}, UsageError, "1 qubits"),
        (dynamic(5, pauli=False), {"options": {"method": "frames"}}, UnsupportedError, "takes Pauli gates"),
    ],
)
def test_bad_requests(circuit: Circuit, request_: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        BACKEND.plan(RunRequest(circuit=circuit, **request_))


def test_expectations_of_many_qubits_agree_with_stim_and_with_sampling() -> None:
    n = 60
    circuit = circuits.clifford(n, 12, seed=4, measure=False)
    simulator = stim.TableauSimulator()
    simulator.do(
        BACKEND.plan(RunRequest(circuit=circuit, shots=None, wants=("expectation",))).native.body.pieces[0].circuit
    )
    stabilizers = [str(p).replace("_", "I") for p in simulator.canonical_stabilizers()[:20]]
    # As letters from the highest qubit; the sign is the expectation value.
    observables = tuple(PauliSum.parse(text[:0:-1]) for text in stabilizers)
    signs = [1.0 if text[0] == "+" else -1.0 for text in stabilizers]
    assert [e.value for e in run(circuit, "expectation", observables=observables).expectations] == signs
    noisy = NoiseModel.parse("depolarizing:0.001").apply(circuit)
    found = run(noisy, "expectation", observables=observables).expectations
    assert all(0.1 < e.value * sign < 1 for e, sign in zip(found, signs, strict=True))
    # Sampled after a change of basis that makes Z of each letter of the first string.
    builder = Circuit.builder(n, n)
    for op, qubits, params, _, _, matrices in noisy:
        builder.append(op, qubits, params, matrices=matrices)
    support = [q for q, letter in enumerate(stabilizers[0][1:]) if letter != "I"]
    for q in support:
        letter = stabilizers[0][1 + q]
        _ = builder.h(q) if letter == "X" else builder.sdg(q).h(q) if letter == "Y" else builder
        builder.measure(q, q)
    samples = run(builder.build(), "samples", shots=40_000).samples
    mean = float((1 - 2.0 * (samples.sum(axis=1) % 2)).mean())
    assert mean == pytest.approx(found[0].value, abs=6 / 200)  # six standard errors of 40,000 shots


def test_hundred_thousand_gates_on_a_thousand_qubits() -> None:
    rng = np.random.default_rng(2)
    n, builder = 1000, Circuit.builder(1000)
    for op, a, b in rng.integers((4, n, n - 1), size=(100_000, 3)).tolist():
        builder.append((Op.H, Op.S, Op.CX, Op.CZ)[op], (a,) if op < 2 else (a, (a + b + 1) % n))
    circuit = builder.measure_all().build()
    request = RunRequest(circuit=circuit, shots=1000)
    BACKEND.estimate(request, features_of(circuit))
    begin = time.process_time()
    plan = BACKEND.plan(request)
    translated = time.process_time() - begin
    result = BACKEND.run(plan, RunContext())
    assert sum(result.counts.values()) == 1000
    assert len(result.counts) == 1000  # 1000 random bits
    assert translated < 2.0  # some 0.15 s on an idle core


def test_a_million_shots_with_more_than_64_bits() -> None:
    circuit = NoiseModel.parse("bit_flip:0.0001").apply(circuits.ghz(70))
    begin = time.process_time()
    counts = run(circuit, "counts", shots=1_000_000).counts
    assert time.process_time() - begin < 20  # some 1.5 s on an idle core
    assert sum(counts.values()) == 1_000_000
    assert {len(key) for key in counts} == {70}
    assert list(counts) == sorted(counts)
    ends = counts["0" * 70] + counts["1" * 70]
    # One flip on the first qubit, two on each of 68, one on the last: all of the ends' weight but for double faults.
    assert ends / 1e6 == pytest.approx((1 - 1e-4) ** 139, abs=0.002)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 63, 64, 65, 130])
def test_counts_are_those_of_the_samples(width: int) -> None:
    builder = Circuit.builder(3, width).h(0).h(1).cx(1, 2)
    for qubit, bit in ((0, 0), (1, width - 1), (2, width // 2)):
        builder.measure(qubit, bit)
    result = run(builder.build(), "counts", "samples", shots=2000)
    assert result.counts == counts_from_samples(result.samples)


def test_large_and_neighbouring_seeds_differ() -> None:
    circuit = Circuit.builder(70)
    for qubit in range(70):
        circuit.h(qubit)
    made = circuit.measure_all().build()
    seeds = [0, 1, 2, 2**31, 2**32, 2**62, 2**63 - 1]
    drawn = {seed: run(made, "samples", shots=10, seed=seed).samples.tobytes() for seed in seeds}
    assert len(set(drawn.values())) == len(seeds)
    assert all(run(made, "samples", shots=10, seed=seed).samples.tobytes() == data for seed, data in drawn.items())


@pytest.mark.parametrize("kind", ["frames", "tableau", "strings", "reference"])
def test_long_runs_stop(kind: str) -> None:
    wants, shots, n = ("counts",), 50_000_000, 40
    options = {"method": "tableau"} if kind == "tableau" else {}
    circuit = NoiseModel.parse("depolarizing:0.01").apply(circuits.clifford(n, 20))
    if kind == "strings":
        wants, shots = ("density_matrix",), None
        circuit = NoiseModel.parse("depolarizing:0.01").apply(circuits.clifford(9, 400))
    if kind == "reference":
        builder, rng = Circuit.builder(5000), np.random.default_rng(1)
        for a, b in rng.integers(5000, size=(30_000, 2)).tolist():
            _ = builder.h(a).cx(a, b) if a != b else builder
        circuit, shots = builder.measure_all().build(), 1
    plan = BACKEND.plan(RunRequest(circuit=circuit, shots=shots, wants=wants, options=options))
    begin = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        BACKEND.run(plan, RunContext(deadline=time.monotonic() + 0.2))
    assert time.monotonic() - begin < 10  # 0.2 s and one piece, on a machine that does much else
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        BACKEND.run(plan, RunContext(cancel=token))


def test_selection_takes_it_for_clifford_circuits_with_angles(tmp_path: object) -> None:
    builder = Circuit.builder(300)
    for qubit in range(299):
        builder.rz(math.pi / 2, qubit).h(qubit).cx(qubit, qubit + 1)
    with proxima.open() as px:
        result = px.run(builder.measure_all().build(), backend="auto", shots=100, store=False)
        assert result.backend == "stim"
        with pytest.raises(UnsupportedError, match=r"stim cannot run this: operation 0, rz\(0.1\)"):
            px.run(Circuit.builder(1).rz(0.1, 0).measure_all().build(), backend="stim", store=False)
