"""Cirq's simulator interfaces, held against Cirq's own density matrix simulator."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from itertools import pairwise

import cirq
import numpy as np
import pytest
import sympy

from proxima.contracts.backend import CancelToken, RunContext
from proxima.errors import CancelledError, ResourceError, UnsupportedError, UsageError
from proxima_lret_core import run, simulate
from proxima_lret_core.cirq import LowRankSimulator, LowRankTrialResult
from proxima_sdk.conformance.statistics import fit

Q = cirq.LineQubit.range(4)
T = sympy.Symbol("t")
EXACT = cirq.DensityMatrixSimulator(dtype=np.complex128, seed=1)


def noisy(seed: int, n: int = 4) -> cirq.Circuit:
    """Random gates, with the common channels between them."""
    circuit = cirq.testing.random_circuit(Q[:n], 6, 0.8, random_state=seed)
    channels = [cirq.depolarize(0.01), cirq.amplitude_damp(0.02), cirq.phase_damp(0.02), cirq.bit_flip(0.01)]
    moments = [[m, [channels[(i + j) % 4](q) for j, q in enumerate(Q[:n])]] for i, m in enumerate(circuit)]
    return cirq.Circuit(moments, cirq.CX(Q[0], Q[1]))


def trace_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(0.5 * np.abs(np.linalg.eigvalsh(a.astype(complex) - b)).sum())


def counts(result: cirq.Result) -> dict[str, int]:
    """Of all bits told, key by key."""
    rows = zip(
        *(result.records[key].reshape(result.repetitions, -1).tolist() for key in sorted(result.records)), strict=True
    )
    return dict(Counter("".join(str(int(bit)) for part in row for bit in part) for row in rows))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("tolerance", [1e-3, 2e-2])
@pytest.mark.parametrize("seed", range(4))
def test_the_exact_state_lies_within_the_bound(seed: int, tolerance: float, dtype: type) -> None:
    order = [Q[2], Q[0], Q[3], Q[1]]
    result = LowRankSimulator(dtype=dtype, tolerance=tolerance).simulate(noisy(seed), qubit_order=order)
    exact = EXACT.simulate(noisy(seed), qubit_order=order).final_density_matrix
    assert result.final_density_matrix.dtype == dtype
    # Casting the answer to single precision rounds each of 256 elements by at most 2^-24.
    assert trace_distance(result.final_density_matrix, exact) <= result.error_bound + 2e-6 * (dtype is np.complex64)
    assert result.error_bound <= tolerance
    assert result.qubit_map == {qubit: i for i, qubit in enumerate(order)}


def test_it_has_cirqs_interfaces() -> None:
    simulator = LowRankSimulator()
    for interface in (cirq.Sampler, cirq.SimulatesSamples, cirq.SimulatesFinalState, cirq.SimulatesExpectationValues):
        assert isinstance(simulator, interface)
    assert isinstance(simulator.simulate(cirq.Circuit(cirq.H(Q[0]))), cirq.SimulationTrialResult)
    assert simulator.noise == cirq.NO_NOISE


@pytest.mark.parametrize(
    "noise", [cirq.depolarize(0.02), cirq.ConstantQubitNoiseModel(cirq.amplitude_damp(0.05))], ids=str
)
def test_noise_models(noise: cirq.NOISE_MODEL_LIKE) -> None:
    circuit = cirq.testing.random_circuit(Q, 5, 0.9, random_state=5)
    result = LowRankSimulator(noise=noise, dtype=np.complex128).simulate(circuit, qubit_order=Q)
    exact = EXACT.simulate(circuit.with_noise(noise), qubit_order=Q).final_density_matrix
    assert trace_distance(result.final_density_matrix, exact) <= result.error_bound


def test_expectation_values_and_sweeps() -> None:
    circuit = cirq.Circuit(cirq.rx(T)(Q[0]), cirq.CX(Q[0], Q[1]), cirq.depolarize(0.02)(Q[0]), cirq.Y(Q[1]) ** (T / 3))
    observables = [cirq.X(Q[0]) * cirq.Z(Q[1]), 2.5 * cirq.Z(Q[0]) - 0.5 * cirq.Y(Q[1]) + 3.0]
    points = cirq.Linspace("t", 0.1, 2.0, 3)
    simulator = LowRankSimulator(dtype=np.complex128, tolerance=1e-9)
    found = simulator.simulate_expectation_values_sweep(circuit, observables, points)
    exact = EXACT.simulate_expectation_values_sweep(circuit, observables, points)
    assert np.allclose(found, exact, atol=1e-8)  # twice the bound times the coefficients' sum
    assert isinstance(found[0][0], float)
    states = simulator.simulate_sweep(circuit, points)
    assert [result.params for result in states] == list(cirq.to_resolvers(points))


def test_an_expectation_value_averages_over_the_outcomes() -> None:
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.measure(Q[0], key="m"), cirq.X(Q[1]).with_classical_controls("m"))
    wanted = [cirq.X(Q[0]), cirq.Z(Q[1]), cirq.Z(Q[0]) * cirq.Z(Q[1])]
    values = LowRankSimulator(noise=cirq.bit_flip(0.0)).simulate_expectation_values(
        circuit, wanted, permit_terminal_measurements=True
    )
    assert np.allclose(values, [0.0, 0.0, 1.0], atol=1e-5)
    ended = cirq.Circuit(cirq.H(Q[0]), cirq.measure(Q[0]))
    with pytest.raises(ValueError, match="ends with measurements"):
        LowRankSimulator().simulate_expectation_values(ended, cirq.X(Q[0]))
    permitted = LowRankSimulator().simulate_expectation_values(ended, cirq.X(Q[0]), permit_terminal_measurements=True)
    assert permitted == pytest.approx([0.0], abs=1e-5)


MEASURED = {
    "terminal, inverted": cirq.Circuit(
        cirq.ry(0.7)(Q[0]), cirq.CX(*Q[:2]), cirq.depolarize(0.05)(Q[1]),
        cirq.measure(Q[1], Q[0], key="m", invert_mask=(False, True)),
    ),
    "middle, read": cirq.Circuit(
        cirq.ry(0.7)(Q[0]), cirq.measure(Q[0], key="a", invert_mask=(True,)), cirq.ry(1.1)(Q[0]),
        cirq.X(Q[1]).with_classical_controls("a"), cirq.measure(Q[0], Q[1], key="b"),
    ),
    "repeated key, reset": cirq.Circuit(
        cirq.ry(0.7)(Q[0]), cirq.measure(Q[0], key="a"), cirq.reset(Q[0]),
        cirq.ry(1.9)(Q[0]), cirq.measure(Q[0], key="a"),
    ),
    "confused": cirq.Circuit(
        cirq.ry(0.7)(Q[0]), cirq.CX(*Q[:2]),
        cirq.measure(*Q[:3], key="m", confusion_map={
            (0,): np.array([[0.9, 0.1], [0.2, 0.8]]),
            (1, 2): np.array([[0.7, 0.1, 0.2, 0], [0, 1, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]),
        }),
    ),
    "subcircuits": cirq.Circuit(
        cirq.CircuitOperation(cirq.FrozenCircuit(cirq.ry(0.7)(Q[0]), cirq.measure(Q[0], key="m")), repetitions=2),
    ),
    "in another basis": cirq.Circuit(cirq.ry(0.7)(Q[0]), cirq.measure_single_paulistring(cirq.X(Q[0]), key="p")),
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("noise", [None, cirq.depolarize(0.03)], ids=["", "noise"])
def test_samples_follow_cirqs_distribution(name: str, noise: cirq.Gate | None) -> None:
    circuit = MEASURED[name].with_noise(noise) if noise else MEASURED[name]
    shots = 4000
    found = LowRankSimulator(seed=7).run(circuit, repetitions=shots)
    reference = EXACT.run(circuit, repetitions=800)
    assert {key: value.shape[1:] for key, value in found.records.items()} == {
        key: value.shape[1:] for key, value in reference.records.items()
    }
    ours, theirs = counts(found), counts(reference)
    for outcome in ours | theirs:
        p, q = ours.get(outcome, 0) / shots, theirs.get(outcome, 0) / 800
        spread = np.sqrt(max(p * (1 - p), 1e-3) / shots + max(q * (1 - q), 1e-3) / 800)
        assert abs(p - q) < 5 * spread, (outcome, p, q)


def test_outcomes_of_a_bell_state_have_the_closed_forms_chances() -> None:
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.CX(*Q[:2]), cirq.bit_flip(0.1)(Q[1]), cirq.measure(*Q[:2], key="m"))
    found = fit(
        counts(LowRankSimulator(seed=3).run(circuit, repetitions=5000)),
        {"00": 0.45, "01": 0.05, "10": 0.05, "11": 0.45},
    )
    assert found.accepted


def test_the_state_after_an_outcome_is_the_one_given_it() -> None:
    circuit = cirq.Circuit(
        cirq.ry(0.7)(Q[0]), cirq.CX(*Q[:2]), cirq.measure(Q[0], key="a"), cirq.depolarize(0.05)(Q[1]),
        cirq.ry(0.4)(Q[0]), cirq.CX(*Q[:2]), cirq.measure(Q[1], key="b"),
    )  # fmt: skip
    seen = set()
    for seed in range(12):
        result = LowRankSimulator(dtype=np.complex128, tolerance=1e-6, seed=seed).simulate(circuit)
        a, b = (int(result.measurements[key][0]) for key in "ab")
        seen.add((a, b))
        rho = _projected(circuit, {"a": a, "b": b})
        assert trace_distance(result.final_density_matrix, rho) <= result.error_bound
        assert result.error_bound < 1e-2
    assert len(seen) > 2


def _projected(circuit: cirq.Circuit, outcomes: dict[str, int]) -> np.ndarray:
    """By Cirq's matrices, each measurement replaced by the projector on its outcome."""
    state = np.zeros((4, 4), dtype=complex)
    state[0, 0] = 1
    for op in circuit.all_operations():
        wide = cirq.Circuit(cirq.I.on_each(Q[:2]), op)
        if cirq.is_measurement(op):
            bit = outcomes[cirq.measurement_key_name(op)]
            place = np.kron(*[np.diag([1 - bit, bit]) if q == op.qubits[0] else np.eye(2) for q in Q[:2]])
            state = place @ state @ place
        else:
            state = (
                cirq.DensityMatrixSimulator(dtype=np.complex128)
                .simulate(wide, qubit_order=Q[:2], initial_state=state / np.trace(state))
                .final_density_matrix
            )
    return state / np.trace(state)


def test_the_state_of_some_qubits() -> None:
    circuit = noisy(2)
    result = LowRankSimulator(dtype=np.complex128, tolerance=1e-9).simulate(circuit, qubit_order=Q)
    exact = EXACT.simulate(circuit, qubit_order=Q).final_density_matrix.reshape((2,) * 8)
    for chosen in ([Q[1]], [Q[3], Q[0]]):
        wanted = cirq.partial_trace(exact, [Q.index(q) for q in chosen]).reshape(2 ** len(chosen), -1)
        assert np.allclose(result.density_matrix_of(chosen), wanted, atol=1e-8)
    measured = LowRankSimulator(seed=1).simulate(circuit + cirq.measure(Q[0], key="m"), qubit_order=Q)
    bit = int(measured.measurements["m"][0])
    assert measured.density_matrix_of([Q[0]])[bit, bit] == pytest.approx(1)
    for bad in ([Q[0], Q[0]], [cirq.NamedQubit("x")]):
        for each in (result, measured):
            with pytest.raises(UsageError):
                each.density_matrix_of(bad)


STATE = np.array([0.1, 0.2j, -0.3, 0.4, 0.5, 0.6, -0.2j, 0.1]) / np.linalg.norm(
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.2, 0.1]
)


@pytest.mark.parametrize(
    "initial",
    [0, 5, STATE, -STATE, np.eye(8)[1], cirq.KET_PLUS(Q[0]) * cirq.KET_ONE(Q[1]) * cirq.KET_IMAG(Q[2])],
    ids=str,
)
def test_initial_states(initial: object) -> None:
    circuit = noisy(1, 3)
    result = LowRankSimulator(dtype=np.complex128, tolerance=1e-9).simulate(
        circuit, qubit_order=Q[:3], initial_state=initial
    )
    exact = EXACT.simulate(circuit, qubit_order=Q[:3], initial_state=initial).final_density_matrix
    assert np.allclose(result.final_density_matrix, exact, atol=1e-8)


@pytest.mark.parametrize(
    ("initial", "error"),
    [
        (8, UsageError),
        (-1, UsageError),
        (np.ones(8), UsageError),
        (np.ones(3), UsageError),
        (np.eye(8) / 8, UnsupportedError),
    ],
    ids=str,
)
def test_initial_states_that_are_none(initial: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        LowRankSimulator().simulate(noisy(1, 3), qubit_order=Q[:3], initial_state=initial)


def test_seeds_decide_the_samples() -> None:
    circuit = cirq.Circuit(cirq.H.on_each(Q), cirq.measure(*Q, key="m"))
    first, again, other = (LowRankSimulator(seed=s).run(circuit, repetitions=50) for s in (1, 1, 2))
    assert first == again
    assert first != other
    simulator = LowRankSimulator(seed=1)
    assert simulator.run(circuit, repetitions=50) != simulator.run(circuit, repetitions=50)
    assert simulator.sample(circuit, repetitions=3).shape == (3, 1)
    assert simulator.run(circuit, repetitions=0).repetitions == 0


def test_many_qubits_need_no_density_matrix() -> None:
    qubits = cirq.LineQubit.range(18)
    circuit = cirq.Circuit(cirq.H(qubits[0]), [cirq.CX(a, b) for a, b in pairwise(qubits)])
    simulator = LowRankSimulator(noise=cirq.depolarize(1e-5), seed=1)
    result = simulator.simulate(circuit)
    assert np.allclose(result.density_matrix_of(qubits[:1]), np.eye(2) / 2, atol=0.01)
    with pytest.raises(ResourceError, match="18 qubits"):
        _ = result.final_density_matrix
    (parity,) = simulator.simulate_expectation_values(circuit, cirq.Z(qubits[0]) * cirq.Z(qubits[-1]))
    assert 0.98 < parity <= 1


@pytest.mark.parametrize("method", ["automatic", "density_matrix"])
def test_the_switching_engine_gives_the_same(method: str) -> None:
    simulator = LowRankSimulator(
        engine=partial(simulate, method=method), sampling=simulate, dtype=np.complex128, tolerance=1e-6, seed=5
    )
    result = simulator.simulate(noisy(3), qubit_order=Q)
    exact = EXACT.simulate(noisy(3), qubit_order=Q).final_density_matrix
    assert trace_distance(result.final_density_matrix, exact) <= result.error_bound
    circuit = noisy(3) + cirq.measure(Q[1], key="a") + cirq.X(Q[1]) + cirq.measure(Q[0], key="b")
    after = simulator.simulate(circuit, qubit_order=Q)
    (a,), (b,) = (after.measurements[key].tolist() for key in "ab")
    assert after.density_matrix_of([Q[1]])[1 - a, 1 - a] == pytest.approx(1)
    assert after.density_matrix_of([Q[0]])[b, b] == pytest.approx(1)
    assert sum(counts(simulator.run(circuit, repetitions=50)).values()) == 50


def test_another_engine_runs_the_circuits() -> None:
    asked = []

    def engine(circuit: object, **options: object) -> object:
        asked.append(options)
        return run(circuit, **options)  # type: ignore[arg-type]

    simulator = LowRankSimulator(engine=engine, tolerance=0.01, memory=10**9)  # type: ignore[arg-type]
    simulator.simulate(noisy(1))
    assert asked[0]["tolerance"] == 0.01
    assert asked[0]["memory"] == 10**9
    assert asked[0]["precision"] == "single"


def test_another_engine_draws_the_samples() -> None:
    asked = []

    def sampling(circuit: object, *, shots: int, **options: object) -> object:
        asked.append(shots)
        return run(circuit, **options)  # type: ignore[arg-type]

    measured = cirq.Circuit(cirq.H(Q[0]), cirq.measure(Q[0], key="m"))
    simulator = LowRankSimulator(sampling=sampling, seed=3)  # type: ignore[arg-type]
    assert simulator.run(measured, repetitions=7) == LowRankSimulator(seed=3).run(measured, repetitions=7)
    simulator.simulate(measured)
    assert asked == [7]


def test_results_say_what_they_are() -> None:
    result = LowRankSimulator(seed=1).simulate(cirq.Circuit(cirq.X(Q[0]), cirq.measure(Q[0], key="m")))
    assert "m=1" in str(result)
    assert "trace distance" in str(result)
    assert repr(result).startswith("<LowRankTrialResult: 1 qubits")
    again = LowRankSimulator(seed=2).simulate(cirq.Circuit(cirq.X(Q[0]), cirq.measure(Q[0], key="m")))
    assert result == again
    assert isinstance(result, LowRankTrialResult)
    assert result.final_state.outcomes == {0: 1}


def test_bad_input_is_named() -> None:
    circuit = cirq.Circuit(cirq.rx(T)(Q[0]), cirq.measure(Q[0], key="m"))
    for call in (LowRankSimulator().simulate, LowRankSimulator().run):
        with pytest.raises(UsageError, match="symbols without a value: t"):
            call(circuit)
    with pytest.raises(ValueError, match="no measurements"):
        LowRankSimulator().run(cirq.Circuit(cirq.H(Q[0])))
    with pytest.raises(UsageError, match="dtype"):
        LowRankSimulator(dtype=np.float64)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        LowRankSimulator(noise=0.01)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tolerance"):
        LowRankSimulator(tolerance=0).simulate(cirq.Circuit(cirq.H(Q[0])))
    with pytest.raises(UsageError, match="which the circuit has not"):
        LowRankSimulator().simulate_expectation_values(cirq.Circuit(cirq.H(Q[0])), cirq.X(Q[1]))
    with pytest.raises(UnsupportedError, match="rounding"):
        LowRankSimulator(tolerance=1e-9).simulate(noisy(1))


def test_a_run_can_be_cancelled() -> None:
    token = CancelToken()
    qubits = cirq.LineQubit.range(14)
    circuit = cirq.testing.random_circuit(qubits, 60, 1.0, random_state=1)
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        LowRankSimulator(noise=cirq.depolarize(0.01), tolerance=0.5, context=RunContext(cancel=token)).simulate(circuit)
    timer.join()
