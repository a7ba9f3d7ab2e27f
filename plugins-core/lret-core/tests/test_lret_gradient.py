"""Gradients against differences of exact density matrices."""

from __future__ import annotations

import time

import numpy as np
import pytest
from lret_circuits import CHANNEL_OPS, GATE_OPS, exact, random_instruction

import proxima_lret_core as lret
from proxima.contracts.backend import CancelToken, RunContext
from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.matrices import PAULIS
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import (
    CancelledError,
    DeadlineExceededError,
    ResourceError,
    UnsupportedError,
    UsageError,
)

NAMES = ("a", "b", "c")
VARYING = [op for op in GATE_OPS if OPERATIONS[op].params]


def random_open_circuit(n: int, rng: np.random.Generator, *, length: int, strength: float) -> Circuit:
    """Gates and channels in equal parts, half of the angles open; each parameter occurs often, times any factor."""
    builder = Circuit.builder(n)
    gates = [op for op in (*GATE_OPS, *VARYING, Op.UNITARY) if OPERATIONS[op].num_qubits <= n]
    channels = [op for op in (*CHANNEL_OPS, Op.KRAUS, Op.RESET) if OPERATIONS[op].num_qubits <= n]
    for _ in range(length):
        op = Op(rng.choice(gates if rng.random() < 0.6 else channels))
        made = random_instruction(op, n, rng, strength)
        angles = [
            Parameter(str(rng.choice(NAMES)), float(rng.normal())) if op in VARYING and rng.random() < 0.5 else angle
            for angle in made.params
        ]
        builder.append(op, made.qubits, angles, matrices=made.matrices)
    for name in NAMES:
        builder.rx(Parameter(name), int(rng.integers(n)))
    return builder.build()


def random_observable(n: int, rng: np.random.Generator) -> PauliSum:
    return PauliSum(tuple((float(rng.normal()), "".join(rng.choice(list("IXYZ"), n))) for _ in range(4)))


def matrix_of(observable: PauliSum) -> np.ndarray:
    total = np.zeros((2**observable.num_qubits,) * 2, dtype=complex)
    for factor, letters in observable.terms:
        product = np.eye(1)
        for letter in letters:
            product = np.kron(product, PAULIS[letter])
        total += factor * product
    return total


def differences(circuit: Circuit, values: dict[str, float], observable: np.ndarray) -> list[float]:
    """Central differences of fourth order: off by about 1e-4^4, and by rounding of 1e-16 / 1e-4."""
    step = 1e-3

    def value(name: str, shift: float) -> float:
        moved = circuit.bind({**values, name: values[name] + shift})
        return float(np.trace(observable @ exact(moved)).real)

    return [
        (8 * (value(p, step) - value(p, -step)) - (value(p, 2 * step) - value(p, -2 * step))) / (12 * step)
        for p in circuit.parameters
    ]


@pytest.mark.parametrize("seed", range(30))
def test_gradients_of_random_circuits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    circuit = random_open_circuit(n, rng, length=int(rng.integers(4, 20)), strength=float(10 ** rng.uniform(-3, -0.1)))
    values = {name: float(rng.uniform(-3, 3)) for name in circuit.parameters}
    observables = [random_observable(n, rng) for _ in range(2)]
    result = lret.gradient(circuit, values, observables, tolerance=1e-10)
    assert result.parameters == circuit.parameters
    assert result.slopes.shape == (2, len(circuit.parameters))
    rho = exact(circuit.bind(values))
    for row, observable in enumerate(observables):
        matrix = matrix_of(observable)
        assert result.values[row] == pytest.approx(np.trace(matrix @ rho).real, abs=1e-8)
        # the root of the tolerance, times a norm of some units, at the worst
        assert result.slopes[row] == pytest.approx(differences(circuit, values, matrix), abs=2e-5)


@pytest.mark.parametrize("op", VARYING, ids=lambda op: op.name.lower())
def test_every_angle_of_every_gate_has_its_derivative(op: Op) -> None:
    rng = np.random.default_rng(int(op))
    width, count = OPERATIONS[op].num_qubits, len(OPERATIONS[op].params)
    builder = Circuit.builder(3)
    for q in range(3):
        builder.u(*rng.uniform(0, 6, 3).tolist(), q)
    builder.append(
        op, tuple(rng.permutation(3)[:width].tolist()), [Parameter(f"p{k}", 1 - 3 * k) for k in range(count)]
    )
    for q in range(3):
        builder.u(*rng.uniform(0, 6, 3).tolist(), q).cx(q, (q + 1) % 3)
    circuit, observable = builder.build(), random_observable(3, rng)
    values = {f"p{k}": float(rng.uniform(-3, 3)) for k in range(count)}
    result = lret.gradient(circuit, values, [observable])
    assert result.slopes[0] == pytest.approx(differences(circuit, values, matrix_of(observable)), abs=1e-9)
    assert result.bound < 1e-12


def ansatz(n: int, layers: int) -> Circuit:
    builder, count = Circuit.builder(n), 0
    for layer in range(layers):
        for q in range(n):
            for turn in (builder.rx, builder.ry, builder.rz):
                turn(Parameter(f"t{count}"), q)
                count += 1
        for q in range(layer % 2, n - 1, 2):
            builder.cx(q, q + 1)
    return builder.build()


@pytest.mark.parametrize("tolerance", [0.1, 1e-2, 1e-3])
@pytest.mark.parametrize("noise", ["depolarizing:0.01", "phase_flip:0.02", "amplitude_damping:0.01"])
def test_what_is_left_out_costs_the_gradient_no_more_than_is_said(noise: str, tolerance: float) -> None:
    circuit, rng, model = ansatz(4, 3), np.random.default_rng(1), NoiseModel.parse(noise)
    values = {name: float(rng.uniform(-3, 3)) for name in circuit.parameters}
    observable = PauliSum.parse("ZZII + 0.5*IXXI - IIYY")
    result = lret.gradient(circuit, values, [observable], noise=model, tolerance=tolerance)
    matrix = matrix_of(observable)
    eigenvalues = np.linalg.eigvalsh(matrix)
    spread = eigenvalues[-1] - eigenvalues[0]
    errors = np.abs(result.slopes[0] - differences(model.apply(circuit), values, matrix))
    assert errors.max() > 1e-9, "nothing was left out, so nothing was tested"
    if noise == "amplitude_damping:0.01":
        assert errors.max() < spread * np.sqrt(result.spent)
        assert errors.max() < 3 * spread * result.spent  # measured; the root is the worst case
    else:
        assert errors.max() < spread * result.spent


def test_through_truncations() -> None:
    """On two qubits forty channels would make 4^40 columns: truncations keep them few."""
    builder = Circuit.builder(2)
    for k in range(20):
        builder.ry(Parameter(f"t{k}"), 0).rx(0.3 * k, 1).cx(0, 1)
        builder.amplitude_damping(0.02, 0).depolarizing(0.01, 1)
    circuit, observable = builder.build(), PauliSum.parse("ZX + XI")
    values = {f"t{k}": 0.1 * k for k in range(20)}
    exact_slopes = differences(circuit, values, matrix_of(observable))
    fine = lret.gradient(circuit, values, [observable], tolerance=1e-9)
    assert fine.most_columns < 300
    assert fine.slopes[0] == pytest.approx(exact_slopes, abs=1e-6)
    coarse = lret.gradient(circuit, values, [observable], tolerance=1e-2)
    assert np.abs(coarse.slopes[0] - exact_slopes).max() < 4 * np.sqrt(coarse.spent)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_through_channels_that_cannot_be_undone(strength: float) -> None:
    circuit = (
        Circuit.builder(2).rx(Parameter("a"), 0).cx(0, 1).amplitude_damping(strength, 0).phase_damping(strength, 1)
        .ry(Parameter("b"), 0).reset(1).ry(Parameter("a"), 1).cx(1, 0).build()
    )  # fmt: skip
    values, observable = {"a": 0.7, "b": -0.4}, PauliSum.parse("ZZ + XI")
    result = lret.gradient(circuit, values, [observable], tolerance=1e-9)
    assert result.slopes[0] == pytest.approx(differences(circuit, values, matrix_of(observable)), abs=1e-8)


def test_single_precision_and_threads() -> None:
    circuit, rng, model = ansatz(6, 3), np.random.default_rng(5), NoiseModel.parse("depolarizing:0.003")
    values = {name: float(rng.uniform(-3, 3)) for name in circuit.parameters}
    observables = [PauliSum.parse("ZZZZZZ"), PauliSum.parse("XIIIII - IIYZII")]
    double = lret.gradient(circuit, values, observables, noise=model, tolerance=1e-2)
    single = lret.gradient(
        circuit, values, observables, noise=model, tolerance=1e-2, precision="single", context=RunContext(threads=2)
    )
    assert single.slopes == pytest.approx(double.slopes, abs=2e-3)  # the columns chosen differ by what rounding takes
    assert single.bound <= 1e-2
    again = lret.gradient(circuit, values, observables, noise=model, tolerance=1e-2, context=RunContext(threads=2))
    assert again.slopes == pytest.approx(double.slopes, abs=1e-12)


def test_final_measurements_are_left_out_and_an_unused_parameter_changes_nothing() -> None:
    circuit = Circuit.builder(1, 1).rx(Parameter("a"), 0).rz(Parameter("b", 0.0), 0).measure(0, 0).build()
    result = lret.gradient(circuit, {"a": 0.3, "b": 1.0}, [PauliSum.parse("Z")])
    assert result.values == pytest.approx([np.cos(0.3)])
    assert result.slopes[0] == pytest.approx([-np.sin(0.3), 0.0])


Z = [PauliSum.parse("Z")]


def opened(**channel: float) -> Circuit:
    return Circuit.builder(1).rx(Parameter("a"), 0).build()


@pytest.mark.parametrize(
    ("circuit", "values", "observables", "options", "error", "says"),
    [
        (opened(), {}, Z, {}, UsageError, "no value for a"),
        (opened(), {"a": 1.0, "z": 2.0}, Z, {}, UsageError, "no parameter is called z"),
        (opened(), {"a": float("nan")}, Z, {}, UsageError, "not a finite number"),
        (opened(), {"a": 1.0}, [], {}, UsageError, "needs an observable"),
        (opened(), {"a": 1.0}, [PauliSum.parse("ZZ")], {}, UsageError, "spans 2 qubits, the circuit 1"),
        (opened(), {"a": 1.0}, Z, {"tolerance": 0.0}, UsageError, "tolerance of 0.0 makes no sense"),
        (opened(), {"a": 1.0}, Z, {"precision": "half"}, UsageError, "no precision 'half'"),
        (opened(), {"a": 1.0}, Z, {"tolerance": 1e-7, "precision": "single"}, UnsupportedError, "rounding in single"),
        (opened(), {"a": 1.0}, Z, {"memory": 100}, ResourceError, "more than it was given"),
        (
            Circuit.builder(1).depolarizing(Parameter("a"), 0).build(),
            {"a": 0.1},
            Z,
            {},
            UnsupportedError,
            "no derivative by the parameter of depolarizing",
        ),
        (
            Circuit.builder(1, 1).rx(Parameter("a"), 0).measure(0, 0).x(0).build(),
            {"a": 0.1},
            Z,
            {},
            UnsupportedError,
            "measurement in the middle",
        ),
        (
            Circuit.builder(1, 1).append(Op.RX, (0,), [Parameter("a")], condition=Condition((0,), 0)).build(),
            {"a": 0.1},
            Z,
            {},
            UnsupportedError,
            "condition",
        ),
    ],
)
def test_refuses(circuit, values, observables, options, error, says) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=says):
        lret.gradient(circuit, values, observables, **options)


def test_stops_when_told() -> None:
    circuit, model = ansatz(12, 4), NoiseModel.parse("depolarizing:0.01")
    values = dict.fromkeys(circuit.parameters, 0.3)
    observable = PauliSum.parse("Z" * 12)
    begin = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        lret.gradient(
            circuit, values, [observable], noise=model, tolerance=1e-6, context=RunContext(deadline=begin + 0.2)
        )
    assert time.monotonic() - begin < 5  # a second on a machine that does nothing else
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        lret.gradient(circuit, values, [observable], noise=model, tolerance=1e-6, context=RunContext(cancel=token))
