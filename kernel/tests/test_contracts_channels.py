"""Channels in the plainest operations: their pieces, put together again, are the channel."""

from __future__ import annotations

import numpy as np
import pytest

from proxima.contracts.channels import Piece, kraus_operators, pieces, superoperator, widened
from proxima.contracts.matrices import Matrix, kraus, unitary
from proxima.contracts.operations import Op
from proxima_sdk.circuits import haar_unitary, random_kraus

PRODUCTS: dict[str, list[Piece]] = {
    "nothing": [],
    "depolarizing": [Piece(Op.DEPOLARIZING, (0,), (0.2,))],
    "flip": [Piece(Op.BIT_PHASE_FLIP, (1,), (0.3,))],
    "pauli": [Piece(Op.PAULI_CHANNEL, (0,), (0.1, 0.2, 0.3))],
    "damping": [Piece(Op.AMPLITUDE_DAMPING, (0,), (0.3,)), Piece(Op.PHASE_DAMPING, (0,), (0.1,))],
    "thermal": [Piece(Op.GENERALIZED_AMPLITUDE_DAMPING, (1,), (0.8, 0.3)), Piece(Op.PHASE_DAMPING, (1,), (0.1,))],
    "two": [Piece(Op.DEPOLARIZING, (0,), (0.2,)), Piece(Op.AMPLITUDE_DAMPING, (1,), (0.3,))],
    "joint": [Piece(Op.DEPOLARIZING2, (0, 1), (0.4,))],
    "device": [
        Piece(Op.DEPOLARIZING2, (0, 1), (0.05,)),
        Piece(Op.AMPLITUDE_DAMPING, (0,), (0.02,)),
        Piece(Op.GENERALIZED_AMPLITUDE_DAMPING, (1,), (0.9, 0.01)),
        Piece(Op.PHASE_DAMPING, (1,), (0.03,)),
    ],
    "three": [Piece(Op.DEPOLARIZING2, (0, 2), (0.1,)), Piece(Op.BIT_FLIP, (1,), (0.1,))],
}


def together(parts: list[Piece], num_qubits: int) -> Matrix:
    whole = np.eye(4**num_qubits, dtype=np.complex128)
    for op, qubits, params, operators in parts:
        given = operators or kraus(op, params)
        whole = superoperator([widened(k, qubits, num_qubits) for k in given]) @ whole
    return whole


@pytest.mark.parametrize("name", PRODUCTS)
def test_channels_of_the_vocabulary_are_found_again(name: str) -> None:
    expected = sorted(PRODUCTS[name], key=lambda piece: piece.qubits)
    found = sorted(pieces(together(PRODUCTS[name], 3)), key=lambda piece: piece.qubits)
    assert [(p.op, p.qubits) for p in found] == [(p.op, p.qubits) for p in expected]
    for got, piece in zip(found, expected, strict=True):
        assert got.params == pytest.approx(piece.params, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_qubits", [1, 2, 3])
def test_pieces_of_any_channel_make_it_again(num_qubits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, num_qubits + 1))
    on = tuple(rng.permutation(num_qubits)[:size].tolist())
    channel = together([Piece(Op.KRAUS, on, kraus=random_kraus(size, 2, rng))], num_qubits)
    if seed % 2:
        channel = together([Piece(Op.KRAUS, on, kraus=(haar_unitary(size, rng),))], num_qubits) @ channel
    found = pieces(channel)
    np.testing.assert_allclose(together(found, num_qubits), channel, atol=1e-13)
    assert {q for piece in found for q in piece.qubits} == set(on)


def test_relaxation_with_more_coherence_than_damping_allows_is_no_damping() -> None:
    channel = together([Piece(Op.AMPLITUDE_DAMPING, (0,), (0.3,)), Piece(Op.PHASE_FLIP, (0,), (0.9,))], 1)
    (piece,) = pieces(channel)  # coherences of the opposite sign
    assert piece.op is Op.KRAUS
    np.testing.assert_allclose(together([piece], 1), channel, atol=1e-14)


def test_widened_operators_keep_the_qubits_order() -> None:
    wide = widened(unitary(Op.CX), (2, 0), 3)
    assert [int(np.argmax(wide[:, i].real)) for i in range(8)] == [0, 1, 2, 3, 5, 4, 7, 6]


def test_what_is_not_completely_positive_has_no_kraus_operators() -> None:
    transposition = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]
    with pytest.raises(ValueError, match="not completely positive"):
        kraus_operators(transposition)
