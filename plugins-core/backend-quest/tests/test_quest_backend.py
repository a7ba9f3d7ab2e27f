"""QuEST against the SDK's reference, against Aer, and against closed forms."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

import proxima
from proxima.contracts.backend import CancelToken, RunContext, RunRequest, Want
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.matrices import kraus, unitary
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.contracts.result import RunResult, counts_from_samples
from proxima.errors import CancelledError, DeadlineExceededError, UnsupportedError, UsageError
from proxima_backend_quest import gates
from proxima_backend_quest.backend import QuestBackend
from proxima_backend_quest.engine import Register, load
from proxima_sdk import circuits, reference
from proxima_sdk.conformance.statistics import fit

pytest.importorskip("qoqo_quest", reason="qoqo-quest has no wheel for this platform and Python")

BACKEND = QuestBackend()
# Double precision; errors grow with the square root of some hundred operations.
EXACT = 1e-12


def run(circuit: Circuit, *wants: Want, shots: int | None = None, **more: object) -> RunResult:
    request = RunRequest(circuit=circuit, shots=shots, wants=wants, **more)  # type: ignore[arg-type]
    return BACKEND.run(BACKEND.plan(request), RunContext())


def dynamic(seed: int) -> Circuit:
    """Random gates and channels with measurements, resets and conditions on one or two bits between them."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(3, 3)
    for op, qubits, params, _, _, matrices in circuits.random(3, 7, seed=seed, measure=False):
        builder.append(op, qubits, params, matrices=matrices)
        kind, qubit = int(rng.integers(6)), int(rng.integers(3))
        if kind == 0:
            builder.measure(qubit, int(rng.integers(3)))
        elif kind == 1:
            builder.reset(qubit)
        elif kind == 2:
            bits = tuple(rng.permutation(3)[: int(rng.integers(1, 3))].tolist())
            condition = Condition(bits, int(rng.integers(2 ** len(bits))), bool(rng.integers(2)))
            gate = (Op.X, Op.H, Op.RESET, Op.RX)[int(rng.integers(4))]
            builder.append(gate, (qubit,), [0.7] * len(OPERATIONS[gate].params), condition=condition)
    for qubit in range(3):
        builder.measure(qubit, qubit)
    return builder.build()


@pytest.mark.parametrize("op", sorted(GATES - {Op.UNITARY}), ids=lambda op: op.name.lower())
def test_each_gate_alone_on_the_engine(op: Op) -> None:
    spec, rng = OPERATIONS[op], np.random.default_rng(op)
    register = Register(spec.num_qubits, mixed=False)
    for _ in range(5):
        params = rng.uniform(-7, 7, len(spec.params)).tolist()
        made = gates.gate(load()[2], op, range(spec.num_qubits), params)
        columns = [register.evolve(e, made, RunContext()) for e in np.eye(2**spec.num_qubits, dtype=np.complex128)]
        found, exact = np.array(columns).T, unitary(op, params)
        phase = np.vdot(exact, found) / len(exact)
        assert abs(phase) == pytest.approx(1, abs=EXACT)
        assert np.abs(found - phase * exact).max() < EXACT


@pytest.mark.parametrize("op", sorted(CHANNELS - {Op.KRAUS}), ids=lambda op: op.name.lower())
@pytest.mark.parametrize("strength", [0.0, 1e-9, 0.1, 0.5, 0.75, 0.9, 1.0])
def test_each_channel_at_every_strength(op: Op, strength: float) -> None:
    params = [strength] * len(OPERATIONS[op].params)
    if op is Op.PAULI_CHANNEL:
        params = [strength / 2, strength / 4, strength / 4]
    circuit = circuits.random(3, 3, seed=2, measure=False)
    builder = Circuit.builder(3)
    for step, qubits, angles, _, _, matrices in circuit:
        builder.append(step, qubits, angles, matrices=matrices)
    made = builder.append(op, (2, 0)[: OPERATIONS[op].num_qubits], params).build()
    assert np.abs(run(made, "density_matrix").density_matrix - reference.density_matrix(made)).max() < EXACT


def test_native_channels_are_the_engines_own() -> None:
    o = load()[2]
    native = [op for op in sorted(CHANNELS) if gates.channel(o, op, 0, [0.1] * len(OPERATIONS[op].params))]
    assert [op.name.lower() for op in native] == [
        "depolarizing",
        "bit_flip",
        "phase_flip",
        "bit_phase_flip",
        "amplitude_damping",
        "phase_damping",
    ]
    # The engine has no such thing as a probability: these take a time and a rate.
    (damping,) = gates.damping(o, 0, 0.25)
    assert float(damping.rate()) == pytest.approx(-math.log(0.75))


@pytest.mark.parametrize("seed", range(20))
def test_states_and_counts_of_dynamic_circuits(seed: int) -> None:
    circuit = dynamic(seed)
    if seed % 2:
        circuit = NoiseModel.parse("amplitude_damping:0.1,depolarizing:0.05").apply(circuit)
    observable = PauliSum.parse("0.5*ZZI - XIX + 0.25*IYY + III")
    result = run(circuit, "density_matrix", "probabilities", "expectation", observables=(observable,))
    exact = reference.density_matrix(circuit)
    assert np.abs(result.density_matrix - exact).max() < EXACT
    assert np.abs(result.probabilities - exact.diagonal().real).max() < EXACT
    mean, variance = reference.expectation(circuit, observable)
    assert result.expectations[0].value == pytest.approx(mean, abs=EXACT)
    assert result.expectations[0].variance == pytest.approx(variance, abs=EXACT)
    both = run(circuit, "counts", "samples", shots=4000, seed=seed)
    assert both.method == ("density_matrix" if seed % 2 else "statevector")
    assert both.counts == counts_from_samples(both.samples)
    assert fit(both.counts, reference.distribution(circuit)).p_value > 1e-6  # false alarms: 2e-5 over all cases


def test_state_and_counts_in_one_run_of_a_dynamic_circuit() -> None:
    circuit = dynamic(3)
    result = run(circuit, "counts", "density_matrix", shots=4000)
    assert fit(result.counts, reference.distribution(circuit)).accepted
    assert np.abs(result.density_matrix - reference.density_matrix(circuit)).max() < EXACT


def test_samples_of_many_branches_are_in_no_order() -> None:
    circuit = Circuit.builder(1, 2).h(0).measure(0, 0).h(0).measure(0, 1).build()
    bits = run(circuit, "samples", shots=4000).samples[:, 0].astype(int)
    # Of independent bits half differ from their neighbour, with a standard deviation of 32.
    assert abs(int(np.abs(np.diff(bits)).sum()) - 2000) < 200


def test_wide_states_agree_with_aer() -> None:
    circuit = circuits.random(14, 6, seed=8, operations=sorted(GATES - {Op.UNITARY}), measure=False)
    request = RunRequest(circuit=circuit, shots=None, precision="double", wants=("statevector",))
    with proxima.open() as px:
        aer = px.get("backends", "qiskit-aer")
        theirs = aer.run(aer.plan(request), RunContext()).statevector
    assert abs(abs(np.vdot(theirs, run(circuit, "statevector").statevector)) - 1) < EXACT


def test_in_pieces_as_in_one() -> None:
    circuit = circuits.random(18, 40, seed=1, operations=[Op.RX, Op.CX, Op.RZ], measure=False)
    result = run(circuit, "statevector")
    told: list[float | None] = []
    plan = BACKEND.plan(RunRequest(circuit=circuit, shots=None, wants=("statevector",)))
    BACKEND.run(plan, RunContext(progress=lambda fraction, message: told.append(fraction)))
    assert len(told) > 1
    assert told[-1] == 1.0
    register = Register(18, mixed=False)
    assert np.array_equal(register._piece(None, plan.native.exact[0].operations), result.statevector)


@pytest.mark.parametrize(
    ("circuit", "request_", "error", "said"),
    [
        (circuits.ghz(22), {}, UnsupportedError, "at most 21 qubits"),
        (NoiseModel.parse("bit_flip:0.1").apply(circuits.ghz(11)), {}, UnsupportedError, "at most 10 qubits"),
        (circuits.ghz(11), {"wants": ("density_matrix",)}, UnsupportedError, "at most 10 qubits"),
        (Circuit.builder(1).bit_flip(0.1, 0).build(), {"wants": ("statevector",)}, UnsupportedError, "no statevector"),
        (
            dynamic(1),
            {"wants": ("probabilities",), "options": {"method": "statevector"}},
            UnsupportedError,
            "not simul",
        ),
        (circuits.ghz(2), {"options": {"method": "mps"}}, UsageError, "no method 'mps'"),
        (circuits.ghz(2), {"options": {"speed": 1}}, UsageError, "no option speed"),
        (circuits.ghz(2, measure=False), {}, UsageError, "measures nothing"),
        (circuits.ghz(2), {"shots": 0}, UsageError, "at least one shot"),
        (circuits.ghz(2), {"wants": ("expectation",), "observables": (PauliSum.parse("Z"),)}, UsageError, "1 qubits"),
    ],
)
def test_bad_requests(circuit: Circuit, request_: dict, error: type[Exception], said: str) -> None:
    request = RunRequest(circuit=circuit, **request_)
    with pytest.raises(error, match=said):
        BACKEND.plan(request)
    estimate = BACKEND.estimate(request, features_of(circuit))
    assert not estimate.feasible
    assert estimate.reason


@pytest.mark.parametrize(("op", "size", "said"), [(Op.KRAUS, 5, "more than 4"), (Op.UNITARY, 8, "more than 7")])
def test_matrices_on_too_many_qubits_are_refused(op: Op, size: int, said: str) -> None:
    circuit = Circuit.builder(size).append(op, range(size), matrices=(np.eye(2**size),)).build()
    with pytest.raises(UnsupportedError, match=f"{op.name.lower()} acts on {said} qubits"):
        BACKEND.plan(RunRequest(circuit=circuit, shots=None, wants=("probabilities",)))


def test_progress_rises_through_what_the_engine_cannot_do() -> None:
    builder = Circuit.builder(4)
    for _ in range(3):
        builder.h(0).cx(0, 1).depolarizing2(0.1, 0, 1).rx(0.3, 2).pauli_channel(0.1, 0.2, 0.1, 3)
    told: list[float | None] = []
    plan = BACKEND.plan(RunRequest(circuit=builder.build(), shots=None, wants=("density_matrix",)))
    BACKEND.run(plan, RunContext(progress=lambda fraction, message: told.append(fraction)))
    assert len(told) > 3
    assert told == sorted(told)


def test_kraus_operators_of_a_channel_on_the_second_of_two_qubits() -> None:
    circuit = Circuit.builder(4).h(0).cx(0, 1).append(Op.KRAUS, (1, 3), matrices=tuple(
        np.kron(np.eye(2), k) for k in kraus(Op.GENERALIZED_AMPLITUDE_DAMPING, (0.3, 0.6))
    )).build()  # fmt: skip
    assert np.abs(run(circuit, "density_matrix").density_matrix - reference.density_matrix(circuit)).max() < EXACT


def test_seeds() -> None:
    circuit = circuits.ghz(6)
    drawn = {s: run(circuit, "samples", shots=100, seed=s).samples.tobytes() for s in (0, 1, 2**32, 2**63 - 1)}
    assert len(set(drawn.values())) == 4
    assert run(circuit, "samples", shots=100, seed=2**32).samples.tobytes() == drawn[2**32]


@pytest.mark.parametrize("kind", ["wide", "mixed", "branches"])
def test_long_runs_stop(kind: str) -> None:
    circuit = circuits.random(21, 20, operations=[Op.RX, Op.CX], seed=1)
    if kind == "mixed":
        circuit = NoiseModel.parse("depolarizing:0.01").apply(circuits.random(10, 20, operations=[Op.RX, Op.CX]))
    if kind == "branches":
        builder = Circuit.builder(4, 4)
        for _ in range(20):
            for qubit in range(4):
                builder.h(qubit).measure(qubit, qubit)
        circuit = builder.build()
    plan = BACKEND.plan(RunRequest(circuit=circuit, shots=1_000_000))
    begin = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        BACKEND.run(plan, RunContext(deadline=time.monotonic() + 0.2))
    assert time.monotonic() - begin < 10  # 0.2 s and one piece, on a machine that does much else
    token = CancelToken()
    timer = threading.Timer(0.2, token.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        BACKEND.run(plan, RunContext(cancel=token))
    timer.join()
