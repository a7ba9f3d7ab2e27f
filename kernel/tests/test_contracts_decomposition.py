"""Every operation, written in each of several sets of known ones, means what its reference matrices say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.decomposition import angles_of, decompose, undecomposable
from proxima.contracts.gate_rules import RULES
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.contracts.two_qubit import interaction_of
from proxima.errors import UnsupportedError
from proxima_sdk import reference

FIXED_GATES = sorted(GATES - {Op.UNITARY})
SETS = {
    "u, cx": {Op.U, Op.CX},
    "rz, sx, x, cx": {Op.RZ, Op.SX, Op.X, Op.CX},
    "rx, rz, cz": {Op.RX, Op.RZ, Op.CZ},
    "rx, ry, cz": {Op.RX, Op.RY, Op.CZ},
    "ry, rz, ecr": {Op.RY, Op.RZ, Op.ECR},
    "r, rz, rxx": {Op.R, Op.RZ, Op.RXX},
    "h, p, rzz": {Op.H, Op.P, Op.RZZ},
    "h, rx, cp": {Op.H, Op.RX, Op.CP},
    "h, rz, crz": {Op.H, Op.RZ, Op.CRZ},
    "u, rzx": {Op.U, Op.RZX},
    "unitary": {Op.UNITARY},
}
PARAMS = (0.7, -1.9, 2.6, 0.4)
TOLERANCE = 1e-12  # rounding over some tens of products of matrices of order one


def lone(op, params, *, condition=None):
    n = OPERATIONS[op].num_qubits
    order = (2, 0, 1)[:n] if n == 3 else (1, 0)[:n] if n == 2 else (0,)
    builder = Circuit.builder(max(n, 1), 1).append(op, order, params, condition=condition)
    return builder.build()


def matrix_of(circuit):
    """The circuit's unitary, column by column."""
    size = 2**circuit.num_qubits
    columns = []
    for start in range(size):
        state = np.zeros(size, dtype=complex)
        state[start] = 1.0
        for instruction in circuit:
            state = reference.apply(reference.gate_matrix(instruction), instruction.qubits, state)
        columns.append(state)
    return np.array(columns).T


def distance_up_to_phase(a, b):
    overlap = np.vdot(a, b)
    return float(np.abs(a * (overlap / abs(overlap)) - b).max())


def ops_of(circuit):
    return {Op(code) for code in circuit.columns.ops.tolist()}


@pytest.mark.parametrize("known", SETS.values(), ids=SETS.keys())
@pytest.mark.parametrize("op", FIXED_GATES, ids=lambda op: op.name.lower())
def test_each_gate_is_equal_up_to_a_global_phase(op, known):
    before = lone(op, PARAMS[: len(OPERATIONS[op].params)])
    after = decompose(before, known)
    assert ops_of(after) <= known
    assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < TOLERANCE


@pytest.mark.parametrize("op", [op for op in sorted(RULES) if op in GATES], ids=lambda op: op.name.lower())
def test_each_rule_is_true_of_the_reference_matrices(op):
    params = PARAMS[: len(OPERATIONS[op].params)]
    n = OPERATIONS[op].num_qubits
    for rule in RULES[op]:
        builder = Circuit.builder(n)
        for inner, *rest in rule(*params):
            split = len(OPERATIONS[inner].params)
            builder.append(inner, rest[split:], rest[:split])
        expected = matrix_of(Circuit.builder(n).append(op, range(n), params).build())
        assert distance_up_to_phase(matrix_of(builder.build()), expected) < TOLERANCE


@pytest.mark.parametrize("op", [op for op in FIXED_GATES if OPERATIONS[op].clifford], ids=lambda op: op.name.lower())
def test_a_clifford_gate_stays_clifford_where_it_can(op):
    before = lone(op, ())
    after = decompose(before, {Op.H, Op.S, Op.CX, Op.UNITARY})
    assert ops_of(after) <= {Op.H, Op.S, Op.CX}
    assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < TOLERANCE


@pytest.mark.parametrize(
    ("known", "ops"),
    [
        ({Op.KRAUS}, sorted(CHANNELS - {Op.KRAUS})),
        ({Op.PAULI_CHANNEL}, [Op.BIT_FLIP, Op.DEPOLARIZING, Op.PHASE_DAMPING]),
    ],
    ids=["kraus", "pauli_channel"],
)
def test_channels_are_equal(known, ops):
    for op in ops:
        n = OPERATIONS[op].num_qubits
        builder = Circuit.builder(n).ry(0.9, 0)
        if n == 2:
            builder.cx(0, 1).ry(0.3, 1)
        before = builder.append(op, range(n), (0.2, 0.1, 0.3)[: len(OPERATIONS[op].params)]).build()
        after = decompose(before, known | {Op.RY, Op.CX})
        assert ops_of(after) <= known | {Op.RY, Op.CX}
        np.testing.assert_allclose(reference.density_matrix(after), reference.density_matrix(before), atol=TOLERANCE)


def test_conditions_stay_with_every_step():
    condition = Condition((0,), 1)
    builder = Circuit.builder(3, 2).h(0).h(1).measure(0, 0)
    before = builder.append(Op.CCX, (0, 1, 2), condition=condition).swap(1, 2).measure(2, 1).build()
    after = decompose(before, {Op.U, Op.CX, Op.MEASURE})
    conditions = [i.condition for i in after if i.op is not Op.MEASURE]
    assert conditions.count(condition) == 15
    assert reference.distribution(after) == pytest.approx(reference.distribution(before), abs=TOLERANCE)


def test_what_is_known_already_is_the_same_object():
    circuit = Circuit.builder(2).h(0).cx(0, 1).build()
    assert decompose(circuit, {Op.H, Op.CX, Op.T}) is circuit


def test_identity_and_barrier_are_left_out_and_names_and_registers_stay():
    before = Circuit.builder(2, 1, name="kept").h(0).id(1).barrier().cx(0, 1).measure(1, 0).build()
    after = decompose(before, {Op.U, Op.CX, Op.MEASURE})
    assert [i.op for i in after] == [Op.U, Op.CX, Op.MEASURE]
    assert (after.name, after.qregs, after.cregs, after.metadata) == (
        "kept",
        before.qregs,
        before.cregs,
        before.metadata,
    )


@pytest.mark.parametrize(
    ("builder", "known", "named"),
    [
        (Circuit.builder(1).t(0), {Op.H, Op.S, Op.CX}, "t cannot be written"),
        (Circuit.builder(3).ccx(0, 1, 2).rx(0.1, 0), {Op.H, Op.S, Op.CX}, "ccx, rx cannot be written"),
        (Circuit.builder(2).cx(0, 1), {Op.U}, "cx cannot be written"),
        (Circuit.builder(1).reset(0), {Op.U, Op.CX}, "reset cannot be written"),
        (Circuit.builder(1).bit_flip(0.1, 0), {Op.U, Op.CX}, "bit_flip cannot be written"),
        (Circuit.builder(2).unitary(unitary(Op.ISWAP), 0, 1), {Op.U}, "unitary on 2 qubits cannot be written"),
        (Circuit.builder(3).unitary(unitary(Op.CCX), 0, 1, 2), {Op.U, Op.CX}, "unitary on 3 qubits cannot be written"),
        (Circuit.builder(1).append(Op.RX, (0,), (Parameter("a"),)), {Op.U, Op.CX}, "rx has an open parameter"),
        (Circuit.builder(1).x(0), set(), "x cannot be written"),
    ],
)
def test_what_cannot_be_written_is_named(builder, known, named):
    with pytest.raises(UnsupportedError, match=named):
        decompose(builder.build(), known)


def test_undecomposable_names_what_no_known_operation_reaches():
    assert undecomposable([Op.T, Op.CCX, Op.H, Op.UNITARY], {Op.H, Op.S, Op.CX}) == ["ccx", "t"]
    assert undecomposable(list(GATES), {Op.U, Op.CX}) == []


def test_an_open_parameter_of_a_known_gate_stays_open():
    circuit = Circuit.builder(1).append(Op.RX, (0,), (Parameter("a", 2.0),)).h(0).build()
    after = decompose(circuit, {Op.RX, Op.U})
    assert next(i.params for i in after) == (Parameter("a", 2.0),)
    assert after.parameters == ("a",)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3), st.floats(-4, 4))
def test_the_angles_of_a_unitary_give_it_back(angles, phase):
    given_ = np.exp(1j * phase) * unitary(Op.U, angles)
    assert distance_up_to_phase(unitary(Op.U, angles_of(given_)), given_) < 1e-11


TWO = [op for op in FIXED_GATES if OPERATIONS[op].num_qubits == 2]


@pytest.mark.parametrize("known", [{Op.U, Op.CX}, {Op.RX, Op.RZ, Op.CZ}], ids=["u, cx", "rx, rz, cz"])
@pytest.mark.parametrize("op", TWO, ids=lambda op: op.name.lower())
def test_a_matrix_on_two_qubits_becomes_named_gates(op, known):
    matrix = unitary(op, PARAMS[: len(OPERATIONS[op].params)])
    before = Circuit.builder(3).unitary(matrix, 2, 0).build()
    after = decompose(before, known)
    assert ops_of(after) <= known
    assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < TOLERANCE


def random_unitary(seed, size=4):
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return q * (np.diag(r) / abs(np.diag(r)))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_random_matrices_on_two_qubits(seed):
    before = Circuit.builder(2).unitary(random_unitary(seed), 0, 1).build()
    after = decompose(before, {Op.U, Op.CX})
    assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < TOLERANCE


@pytest.mark.parametrize("distance", [0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3])
def test_matrices_near_to_degenerate_ones_on_two_qubits(distance):
    rng = np.random.default_rng(3)
    for matrix in (
        np.eye(4),
        unitary(Op.SWAP),
        unitary(Op.CX),
        unitary(Op.ISWAP),
        np.kron(unitary(Op.H), unitary(Op.T)),
    ):
        noise = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
        values, vectors = np.linalg.eigh(noise + noise.conj().T)
        near = (vectors * np.exp(1j * distance * values)) @ vectors.conj().T @ matrix
        before = Circuit.builder(2).unitary(near, 1, 0).build()
        after = decompose(before, {Op.U, Op.CX})
        # Nearly equal eigenvalues leave their eigenvectors open, and what that costs is as small as their difference.
        assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < 1e-10


def test_the_parts_around_the_interaction_are_unitary():
    before, angles, after = interaction_of(random_unitary(5))
    for part in (*before, *after):
        np.testing.assert_allclose(part @ part.conj().T, np.eye(2), atol=1e-12)
    assert len(angles) == 3


@pytest.mark.parametrize("op", [Op.ID, Op.X, Op.Y, Op.Z, Op.H, Op.S, Op.SX], ids=lambda op: op.name.lower())
def test_a_matrix_on_one_qubit_becomes_u(op):
    before = Circuit.builder(1).unitary(unitary(op), 0).build()
    for known in ({Op.U}, {Op.RX, Op.RZ}):
        after = decompose(before, known)
        assert ops_of(after) <= known
        assert distance_up_to_phase(matrix_of(after), matrix_of(before)) < TOLERANCE
