import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.contracts.matrices import PAULIS, kraus, pauli_weights, reverse_qubits, unitary
from proxima.contracts.operations import BY_NAME, CHANNELS, GATES, OPERATIONS, Op, OpKind
from proxima.errors import CircuitError

FIXED_GATES = sorted(GATES - {Op.UNITARY})
FIXED_CHANNELS = sorted(CHANNELS - {Op.KRAUS})
ANGLES = st.lists(st.floats(-10, 10), min_size=4, max_size=4)


def exponential(hermitian):
    """exp(-i H), by eigenvectors: independent of how `unitary` makes its rotations."""
    values, vectors = np.linalg.eigh(hermitian)
    return vectors @ np.diag(np.exp(-1j * values)) @ vectors.conj().T


def params_of(op, numbers):
    return numbers[: len(OPERATIONS[op].params)]


def probabilities(op, numbers):
    chosen = np.array(params_of(op, numbers))
    return chosen / max(1.0, chosen.sum()) if op is Op.PAULI_CHANNEL else chosen


def test_every_operation_is_described_once():
    assert set(OPERATIONS) == set(Op)
    assert {spec.name: spec for spec in OPERATIONS.values()} == BY_NAME
    assert all(spec.name == spec.name.lower() and spec.definition for spec in OPERATIONS.values())
    assert {op for op, spec in OPERATIONS.items() if spec.kind is OpKind.GATE} == GATES
    assert not GATES & CHANNELS


@given(ANGLES)
def test_every_gate_is_unitary_of_the_size_and_kind_it_says(angles):
    for op in FIXED_GATES:
        spec, matrix = OPERATIONS[op], unitary(op, params_of(op, angles))
        assert matrix.shape == (2**spec.num_qubits,) * 2
        assert matrix.dtype == np.complex128
        assert np.allclose(matrix.conj().T @ matrix, np.eye(len(matrix)), atol=1e-12)
        if spec.diagonal:
            assert np.array_equal(matrix, np.diag(np.diagonal(matrix)))


@given(ANGLES)
def test_rotations_are_exponentials(angles):
    theta, phi = angles[:2]
    x, y, z = PAULIS["X"], PAULIS["Y"], PAULIS["Z"]
    generators = {
        Op.RX: x,
        Op.RY: y,
        Op.RZ: z,
        Op.RXX: np.kron(x, x),
        Op.RYY: np.kron(y, y),
        Op.RZZ: np.kron(z, z),
        Op.RZX: np.kron(x, z),  # Z on the first qubit, which is the least significant
    }
    for op, generator in generators.items():
        assert np.allclose(unitary(op, (theta,)), exponential(theta / 2 * generator), atol=1e-10)
    tilted = math.cos(phi) * x + math.sin(phi) * y
    assert np.allclose(unitary(Op.R, (theta, phi)), exponential(theta / 2 * tilted), atol=1e-10)


@pytest.mark.parametrize(
    ("controlled", "target"),
    [
        (Op.CX, Op.X),
        (Op.CY, Op.Y),
        (Op.CZ, Op.Z),
        (Op.CH, Op.H),
        (Op.CSX, Op.SX),
        (Op.CRX, Op.RX),
        (Op.CRY, Op.RY),
        (Op.CRZ, Op.RZ),
        (Op.CP, Op.P),
        (Op.CCX, Op.CX),
        (Op.CCZ, Op.CZ),
        (Op.CSWAP, Op.SWAP),
    ],
)
def test_a_controlled_gate_acts_where_its_first_qubit_is_one(controlled, target):
    params = params_of(target, [0.7, 0.2])
    matrix = unitary(controlled, params)
    assert np.allclose(matrix[1::2, 1::2], unitary(target, params), atol=1e-15)
    assert np.array_equal(matrix[::2, ::2], np.eye(len(matrix) // 2))
    assert not matrix[::2, 1::2].any()


def test_gates_obey_their_relations():
    for op, power, result in ((Op.S, 2, Op.Z), (Op.T, 2, Op.S), (Op.SX, 2, Op.X), (Op.H, 2, Op.ID)):
        assert np.allclose(np.linalg.matrix_power(unitary(op), power), unitary(result), atol=1e-15)
    for op, inverse in ((Op.S, Op.SDG), (Op.T, Op.TDG), (Op.SX, Op.SXDG)):
        assert np.allclose(unitary(op) @ unitary(inverse), np.eye(2), atol=1e-15)
    theta, phi, lam, gamma = 0.3, 0.5, 0.7, 0.9
    zyz = unitary(Op.RZ, (phi,)) @ unitary(Op.RY, (theta,)) @ unitary(Op.RZ, (lam,))
    assert np.allclose(unitary(Op.U, (theta, phi, lam)), cmath.exp(0.5j * (phi + lam)) * zyz, atol=1e-15)
    controlled = unitary(Op.CU, (theta, phi, lam, gamma))[1::2, 1::2]
    assert np.allclose(controlled, cmath.exp(1j * gamma) * unitary(Op.U, (theta, phi, lam)), atol=1e-15)
    assert np.allclose(unitary(Op.ISWAP) @ unitary(Op.ISWAP), np.kron(PAULIS["Z"], PAULIS["Z"]), atol=1e-15)
    assert np.allclose(unitary(Op.ECR) @ unitary(Op.ECR), np.eye(4), atol=1e-15)


def paulis(num_qubits):
    strings = {"": np.eye(1)}
    for _ in range(num_qubits):
        strings = {a + b: np.kron(strings[a], PAULIS[b]) for a in strings for b in PAULIS}
    return strings


@pytest.mark.parametrize("op", [op for op in FIXED_GATES if not OPERATIONS[op].params])
def test_a_gate_is_marked_clifford_where_it_takes_paulis_to_paulis(op):
    matrix, strings = unitary(op), paulis(OPERATIONS[op].num_qubits)
    weights = [
        [abs(np.trace(other @ matrix @ each @ matrix.conj().T)) / len(matrix) for other in strings.values()]
        for each in strings.values()
    ]
    assert OPERATIONS[op].clifford == bool(np.allclose(np.max(weights, axis=1), 1, atol=1e-12))


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_every_channel_preserves_the_trace(numbers):
    for op in FIXED_CHANNELS:
        operators = kraus(op, probabilities(op, numbers))
        size = 2 ** OPERATIONS[op].num_qubits
        assert np.allclose(sum(k.conj().T @ k for k in operators), np.eye(size), atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_pauli_weights_are_the_mixture_that_the_kraus_operators_are(numbers):
    for op in FIXED_CHANNELS:
        params = probabilities(op, numbers)
        weights, strings = pauli_weights(op, params), paulis(OPERATIONS[op].num_qubits)
        assert (weights is not None) == OPERATIONS[op].clifford
        for (letters, weight), operator in zip((weights or {}).items(), kraus(op, params), strict=False):
            assert np.allclose(operator, math.sqrt(max(weight, 0)) * strings[letters], atol=1e-12)


def test_damping_and_dephasing_act_as_their_definitions_say():
    def applied(op, params, rho):
        return sum(k @ rho @ k.conj().T for k in kraus(op, params))

    one, plus = np.diag([0, 1]), np.full((2, 2), 0.5)
    assert np.allclose(applied(Op.AMPLITUDE_DAMPING, (0.3,), one), np.diag([0.3, 0.7]))
    assert np.allclose(applied(Op.GENERALIZED_AMPLITUDE_DAMPING, (0.25, 0.4), one), np.diag([0.1, 0.9]))
    assert np.allclose(applied(Op.PHASE_DAMPING, (0.36,), plus), [[0.5, 0.4], [0.4, 0.5]])
    assert np.allclose(applied(Op.DEPOLARIZING, (0.75,), one), np.eye(2) / 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: unitary(Op.MEASURE), "measure has no unitary of its own"),
        (lambda: kraus(Op.KRAUS), "kraus is not a channel with a fixed definition"),
        (lambda: kraus(Op.X), "x is not a channel"),
        (lambda: kraus(Op.BIT_FLIP, (1.1,)), r"bit_flip: p = 1.1 lies outside \[0, 1\]"),
        (lambda: kraus(Op.BIT_FLIP, (math.nan,)), "p = nan lies outside"),
        (lambda: kraus(Op.PAULI_CHANNEL, (0.5, 0.5, 0.5)), "px [+] py [+] pz = 1.5 exceeds 1"),
    ],
)
def test_what_has_no_matrix_is_an_error(make, message):
    with pytest.raises(CircuitError, match=message):
        make()


def test_reversing_the_qubits_of_a_product_reverses_its_factors():
    a, b, c = unitary(Op.T), unitary(Op.CX), unitary(Op.H)
    swapped = unitary(Op.SWAP) @ b @ unitary(Op.SWAP)
    assert np.allclose(reverse_qubits(np.kron(a, np.kron(b, c))), np.kron(c, np.kron(swapped, a)), atol=1e-15)
