"""Cancelling and fusing leave a circuit equal to what it was up to a global phase, and stop where they must."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima_execution.optimization import cancel, fuse
from proxima_sdk import reference

NAMED = sorted(GATES - {Op.UNITARY})
TOLERANCE = 1e-11  # rounding over some tens of products of matrices of order one


def names(circuit):
    return [OPERATIONS[i.op].name for i in circuit]


def random_circuit(seed, n=4, rows=60, *, dynamic=False):
    """Gates of every kind, few distinct angles so that many cancel, and here and there what must not be crossed."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(n, n)
    for _ in range(rows):
        op = NAMED[rng.integers(len(NAMED))]
        spec = OPERATIONS[op]
        qubits = rng.permutation(n)[: spec.num_qubits].tolist()
        params = rng.choice([0.0, math.pi / 2, -math.pi / 2, 2 * math.pi, 0.3, -0.3], len(spec.params)).tolist()
        condition = None
        if dynamic and rng.random() < 0.3:
            match rng.integers(4):
                case 0:
                    builder.measure(qubits[0], int(rng.integers(2)))
                case 1:
                    builder.barrier(*qubits)
                case 2:
                    builder.reset(qubits[0])
                case _:
                    condition = Condition((int(rng.integers(2)),), 1)
        for _ in range(int(rng.integers(1, 3))):
            builder.append(op, qubits, params, condition=condition)
    return builder


def distance(a, b):
    """Between two states up to a global phase."""
    overlap = np.vdot(a, b)
    return float(np.abs(a * (overlap / abs(overlap)) - b).max())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_random_circuits_keep_their_state(seed):
    circuit = random_circuit(seed).build()
    cancelled = cancel(circuit)
    fused = fuse(cancelled)
    expected = reference.statevector(circuit)
    assert distance(reference.statevector(cancelled), expected) < TOLERANCE
    assert distance(reference.statevector(fused), expected) < TOLERANCE
    assert len(fused) <= len(cancelled) <= len(circuit)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_random_dynamic_circuits_keep_their_distribution(seed):
    circuit = random_circuit(seed, n=3, rows=15, dynamic=True).measure_all().build()
    after = fuse(cancel(circuit))
    expected = reference.distribution(circuit)
    got = reference.distribution(after)
    for bits in expected.keys() | got.keys():
        assert got.get(bits, 0.0) == pytest.approx(expected.get(bits, 0.0), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_random_noisy_circuits_keep_their_density_matrix(seed):
    circuit = NoiseModel.parse("depolarizing:0.05").apply(random_circuit(seed, n=3, rows=12).build())
    after = fuse(cancel(circuit))
    np.testing.assert_allclose(reference.density_matrix(after), reference.density_matrix(circuit), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("builder", "left"),
    [
        (Circuit.builder(1).h(0).h(0), []),
        (Circuit.builder(1).s(0).sdg(0).tdg(0).t(0).sx(0).sxdg(0), []),
        (Circuit.builder(1).h(0).x(0).x(0).h(0), []),
        (Circuit.builder(2).cx(0, 1).cx(0, 1), []),
        (Circuit.builder(2).cx(0, 1).cx(1, 0), ["cx", "cx"]),
        (Circuit.builder(2).cz(0, 1).cz(1, 0), []),
        (Circuit.builder(2).cx(0, 1).h(1).cx(0, 1), ["cx", "h", "cx"]),
        (Circuit.builder(3).cx(0, 1).h(2).cx(0, 1), ["h"]),
        (Circuit.builder(3).ccx(0, 1, 2).ccx(1, 0, 2), []),
        (Circuit.builder(3).ccx(0, 1, 2).ccx(0, 2, 1), ["ccx", "ccx"]),
        (Circuit.builder(3).cswap(0, 1, 2).cswap(0, 2, 1), []),
        (Circuit.builder(1).id(0).rx(0.0, 0).rz(2 * math.pi, 0), []),
        (Circuit.builder(2).crx(2 * math.pi, 0, 1), ["crx"]),
        (Circuit.builder(2).crx(2 * math.pi, 0, 1).crx(2 * math.pi, 0, 1), []),
        (Circuit.builder(1).rx(0.4, 0).rx(-0.4, 0), []),
        (Circuit.builder(1).rx(0.4, 0).rz(-0.4, 0), ["rx", "rz"]),
        (Circuit.builder(1).x(0).barrier().x(0), ["x", "barrier", "x"]),
        (Circuit.builder(1, 1).x(0).measure(0, 0).x(0), ["x", "measure", "x"]),
        (Circuit.builder(1).x(0).reset(0).x(0), ["x", "reset", "x"]),
        (Circuit.builder(1).x(0).bit_flip(0.1, 0).x(0), ["x", "bit_flip", "x"]),
        (Circuit.builder(1, 1).x(0).x(0, condition=Condition((0,), 1)), ["x", "x"]),
        (Circuit.builder(1, 1).x(0, condition=Condition((0,), 1)).x(0), ["x", "x"]),
    ],
)
def test_what_cancels_and_what_does_not(builder, left):
    assert names(cancel(builder.build())) == left


def test_rotations_are_merged():
    (merged,) = cancel(Circuit.builder(2).rzz(0.4, 0, 1).rzz(0.5, 1, 0).build())
    assert (merged.op, merged.params) == (Op.RZZ, (pytest.approx(0.9),))


def test_open_parameters_stay():
    circuit = (
        Circuit.builder(1).append(Op.RX, (0,), (Parameter("a"),)).append(Op.RX, (0,), (Parameter("a", -1),)).build()
    )
    assert cancel(circuit) is circuit
    assert fuse(circuit) is circuit


def test_neighbours_become_one_matrix():
    circuit = Circuit.builder(3, name="kept").t(0).t(1).cx(0, 1).rz(0.3, 1).cx(1, 0).h(2).build()
    fused = fuse(circuit)
    assert names(fused) == ["unitary", "h"]
    assert next(iter(fused)).qubits == (0, 1)
    assert (fused.name, fused.qregs) == ("kept", circuit.qregs)


def test_a_single_two_qubit_gate_stays_named():
    circuit = Circuit.builder(2).t(0).h(0).cx(0, 1).rz(0.3, 1).h(1).t(0).build()
    fused = fuse(circuit)
    assert names(fused) == ["unitary", "cx", "t", "unitary"]
    assert distance(reference.statevector(fused), reference.statevector(circuit)) < TOLERANCE


@pytest.mark.parametrize(
    "builder",
    [
        Circuit.builder(1).t(0).barrier().h(0),
        Circuit.builder(1, 1).t(0).measure(0, 0).h(0),
        Circuit.builder(1).t(0).depolarizing(0.1, 0).h(0),
        Circuit.builder(1, 1).t(0).h(0, condition=Condition((0,), 0)).t(0),
        Circuit.builder(3).t(0).ccx(0, 1, 2).t(0),
    ],
)
def test_fusion_stops_at_what_it_must_not_cross(builder):
    circuit = builder.build()
    assert fuse(circuit) is circuit


def test_a_clifford_circuit_is_not_fused():
    circuit = Circuit.builder(2).h(0).s(0).cx(0, 1).cx(1, 0).build()
    assert fuse(circuit) is circuit
