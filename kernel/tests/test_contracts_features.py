import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts import features as counting
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import GATES, OPERATIONS, Op


def test_counts_a_circuit():
    builder = Circuit.builder(3, 3).h(0).rz(0.1, 1).cx(0, 1).ccx(0, 1, 2).depolarizing(0.25, 0).phase_damping(0.5, 1)
    features = features_of(builder.barrier().kraus([np.eye(2)], 2).measure_all().build())
    assert (features.num_qubits, features.num_clbits, features.num_operations, features.depth) == (3, 3, 11, 6)
    assert (features.num_gates, features.gates_1q, features.gates_2q, features.gates_many) == (4, 2, 1, 1)
    assert (features.diagonal_gates, features.num_measurements) == (1, 3)
    assert (features.noise_sites, features.noise_weight) == (3, 0.75)
    assert not features.is_dynamic
    assert features.ops[Op.MEASURE] == 3
    assert sum(features.ops.values()) == 11


def test_an_empty_circuit_has_nothing():
    features = features_of(Circuit.builder().build())
    assert (features.num_operations, features.depth, features.bond_bits, features.ops) == (0, 0, 0.0, {})
    assert features.is_clifford


@pytest.mark.parametrize(
    ("builder", "clifford"),
    [
        (Circuit.builder(2, 2).h(0).cx(0, 1).s(1).reset(0).measure_all(), True),
        (Circuit.builder(2).h(0).bit_flip(0.1, 0), True),
        (Circuit.builder(2).t(0), False),
        (Circuit.builder(2).rz(0.0, 0), False),
        (Circuit.builder(2).amplitude_damping(0.1, 0), False),
    ],
)
def test_clifford_circuits_are_known(builder, clifford):
    assert features_of(builder.build()).is_clifford is clifford


def test_a_condition_makes_a_circuit_dynamic():
    assert features_of(Circuit.builder(1, 1).x(0, condition=Condition((0,), 1)).build()).is_dynamic


def statevector(circuit):
    """By tensor contraction; index bit q is qubit q."""
    n = circuit.num_qubits
    state = np.zeros([2] * n, dtype=complex)
    state[(0,) * n] = 1
    for op, qubits, params in circuit.rows():
        k = len(qubits)
        axes = [n - 1 - q for q in reversed(qubits)]
        gate = unitary(Op(op), params).reshape([2] * 2 * k)
        state = np.moveaxis(np.tensordot(gate, state, (range(k, 2 * k), axes)), range(k), axes)
    return state.ravel()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_bond_bits_bound_the_entanglement_across_every_cut(data):
    n = data.draw(st.integers(2, 5))
    builder = Circuit.builder(n)
    for op in data.draw(st.lists(st.sampled_from(sorted(GATES - {Op.UNITARY})), max_size=12)):
        spec = OPERATIONS[op]
        if spec.num_qubits <= n:
            qubits = data.draw(st.permutations(range(n)))[: spec.num_qubits]
            builder.append(op, qubits, data.draw(st.tuples(*[st.floats(-3, 3)] * len(spec.params))))
    circuit = builder.build()
    state, features = statevector(circuit), features_of(circuit)
    ranks = [np.linalg.matrix_rank(state.reshape(2 ** (n - cut), 2**cut), tol=1e-9) for cut in range(1, n)]
    assert max(ranks) <= 2**features.bond_bits * (1 + 1e-9)
    assert features.bond_bits <= n // 2


def test_bond_bits_grow_with_what_crosses_a_cut():
    assert features_of(Circuit.builder(4).cx(0, 1).cx(2, 3).build()).bond_bits == 1
    assert features_of(Circuit.builder(4).cx(1, 2).swap(1, 2).build()).bond_bits == 2
    assert features_of(Circuit.builder(40).cx(0, 39).build()).bond_bits == 1
    assert features_of(Circuit.builder(4).h(0).h(3).build()).bond_bits == 0


def test_many_qubits_are_counted_as_few_are(monkeypatch):
    pairs = np.random.default_rng(5).integers(30, size=(200, 2)).tolist()
    made = []
    for limit in (48, 2):
        monkeypatch.setattr(counting, "_WIDE", limit)
        builder = Circuit.builder(30)
        for a, b in pairs:
            _ = builder.cx(a, b).swap(a, b).h(a) if a != b else builder
        found = features_of(builder.build())
        made.append((found.bond_bits, found.bond_work))
    assert made[0] == pytest.approx(made[1], rel=1e-12)
