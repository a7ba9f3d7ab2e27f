"""The circuit generators."""

from __future__ import annotations

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS
from proxima_sdk import circuits, reference


def test_qft_of_the_first_basis_state_is_a_plane_wave() -> None:
    n = 5
    expected = np.exp(2j * np.pi * np.arange(2**n) / 2**n) / np.sqrt(2**n)
    assert reference.statevector(circuits.qft(n)) == pytest.approx(expected)


@pytest.mark.parametrize("search_qubits", [2, 3, 4, 5, 6])
def test_grover_finds_the_marked_state_and_frees_its_work_qubits(search_qubits: int) -> None:
    marked = 2**search_qubits - 2
    probabilities = reference.probabilities(circuits.grover(search_qubits, marked))
    rounds = round(np.pi / 4 * np.sqrt(2**search_qubits) - 0.5)
    angle = np.arcsin(2 ** (-search_qubits / 2))
    assert probabilities[marked] == pytest.approx(np.sin((2 * rounds + 1) * angle) ** 2)
    assert probabilities[2**search_qubits :].sum() == pytest.approx(0.0)


def test_qaoa_without_angles_is_uniform_and_with_angles_is_not() -> None:
    probabilities = reference.probabilities(circuits.qaoa(6))
    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities.max() > 2 / 64


def test_clifford_holds_clifford_gates_alone() -> None:
    assert all(OPERATIONS[i.op].clifford for i in circuits.clifford(6, 30))


def test_random_draws_the_whole_vocabulary() -> None:
    circuit = circuits.random(6, 200, operations=sorted(GATES | CHANNELS), measure=False)
    assert {i.op for i in circuit} == GATES | CHANNELS


def test_random_ends_where_no_operation_fits() -> None:
    from proxima.contracts.operations import Op

    assert len(circuits.random(4, 3, operations=[Op.CCX], measure=False)) == 3


@pytest.mark.parametrize("make", [circuits.random, circuits.clifford, circuits.brickwork, circuits.qaoa])
def test_seed_decides_the_circuit(make) -> None:
    assert make(5, seed=3) == make(5, seed=3)
    assert make(5, seed=3) != make(5, seed=4)


@pytest.mark.parametrize("family", circuits.FAMILIES, ids=lambda family: family.name)
def test_families_measure_every_qubit(family: circuits.Family) -> None:
    circuit = family.make(6)
    assert circuit.num_qubits == 6
    assert sorted(circuit.final_measurements) == [(q, q) for q in range(6)]


def test_reversing_qubits_reverses_the_index_bits() -> None:
    circuit = circuits.random(4, 5, seed=1, measure=False)
    state = reference.statevector(circuit).reshape((2,) * 4).transpose().reshape(-1)
    assert reference.statevector(circuits.qubits_reversed(circuit)) == pytest.approx(state)


def test_reversing_classical_bits_reverses_the_bit_strings() -> None:
    circuit = Circuit.builder(3, 3).h(0).x(1).measure(0, 0).measure(1, 1).build()
    reverse = {key[::-1]: p for key, p in reference.distribution(circuit).items()}
    assert reference.distribution(circuits.clbits_reversed(circuit)) == pytest.approx(reverse)


def test_haar_unitary_is_unitary() -> None:
    u = circuits.haar_unitary(3, np.random.default_rng(0))
    assert u.conj().T @ u == pytest.approx(np.eye(8), abs=1e-12)
