"""Every gate and channel against the kernel's reference matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lret_circuits import CHANNEL_OPS, GATE_OPS, exact, random_instruction, random_kraus

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import OPERATIONS, Op
from proxima.contracts.readout import ReadoutError
from proxima.contracts.result import counts_from_samples
from proxima_sdk import reference

N = 4


def entangled(rng: np.random.Generator) -> Circuit:
    """A builder with a state on which no operation acts like another."""
    builder = Circuit.builder(N)
    for _ in range(2):
        for q in range(N):
            builder.u(*rng.uniform(0, 2 * math.pi, 3), q)
        for q in range(N - 1):
            builder.cx(q, q + 1)
    return builder  # type: ignore[return-value]


@pytest.mark.parametrize(
    "op", [*GATE_OPS, *CHANNEL_OPS, Op.UNITARY, Op.KRAUS, Op.RESET], ids=lambda op: op.name.lower()
)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_operation_is_what_the_reference_says(op: Op, where: str) -> None:
    rng = np.random.default_rng(op)
    builder = Circuit.builder(N) if where == "first" else entangled(rng)
    for _ in range(2):  # on two choices of qubits
        made = random_instruction(op, N, rng, 0.9)
        builder.append(made.op, made.qubits, made.params, matrices=made.matrices)
    if where != "last":
        for q in range(N):
            builder.ry(0.3 + q, q)
        builder.cz(0, 2).cx(1, 3).h(0)
    circuit = builder.build()
    state = lret.run(circuit, tolerance=1e-9, precision="double")
    np.testing.assert_allclose(state.density_matrix(), exact(circuit), atol=2e-9)


@pytest.mark.parametrize("qubits", [3, 4])
def test_kraus_operators_on_several_qubits(qubits: int) -> None:
    rng = np.random.default_rng(5)
    builder = entangled(rng)
    builder.kraus(random_kraus(qubits, 3, rng), *rng.permutation(N)[:qubits].tolist())
    circuit = builder.build()
    state = lret.run(circuit, tolerance=1e-9, precision="double")
    np.testing.assert_allclose(state.density_matrix(), exact(circuit), atol=2e-9)


@pytest.mark.parametrize("qubits", [3, 4])
def test_unitaries_on_several_qubits(qubits: int) -> None:
    rng = np.random.default_rng(6)
    builder = entangled(rng)
    (matrix,) = random_kraus(qubits, 1, rng)
    builder.unitary(matrix, *rng.permutation(N)[:qubits].tolist())
    circuit = builder.build()
    np.testing.assert_allclose(lret.run(circuit, precision="double").density_matrix(), exact(circuit), atol=1e-12)


def test_the_answers_agree_with_the_density_matrix() -> None:
    rng = np.random.default_rng(7)
    builder = entangled(rng)
    for q in range(N):
        builder.depolarizing(0.05, q).ry(0.2, q)
    builder.cx(0, 1).depolarizing(0.02, 0).phase_flip(0.03, 1).cz(2, 3).bit_flip(0.1, 3)
    circuit = builder.build()
    state = lret.run(circuit, tolerance=1e-9, precision="double")
    rho = exact(circuit)
    np.testing.assert_allclose(state.probabilities(), np.diagonal(rho).real, atol=2e-9)
    np.testing.assert_allclose(state.reduced_density_matrix([3, 1]), partial_trace(rho, [3, 1]), atol=2e-9)
    np.testing.assert_allclose(state.reduced_density_matrix([0]), partial_trace(rho, [0]), atol=2e-9)
    for letters in ("ZIII", "IXYZ", "YYII", "XZZY", "IIII"):
        from proxima.contracts.observable import PauliSum

        observable = PauliSum(((0.7, letters), (-1.2, letters[::-1])))
        value, _ = reference.expectation(circuit, observable)
        assert state.expectation(observable).value == pytest.approx(value, abs=4e-9)


def partial_trace(rho: np.ndarray, kept: list[int]) -> np.ndarray:
    n = len(rho).bit_length() - 1
    out = np.zeros((2 ** len(kept),) * 2, dtype=np.complex128)
    rest = [q for q in range(n) if q not in kept]
    for i in range(2**n):
        for j in range(2**n):
            if all((i >> q & 1) == (j >> q & 1) for q in rest):
                a = sum((i >> q & 1) << k for k, q in enumerate(kept))
                b = sum((j >> q & 1) << k for k, q in enumerate(kept))
                out[a, b] += rho[i, j]
    return out


def test_samples_follow_the_probabilities() -> None:
    circuit = Circuit.builder(3, 3).ry(1.0, 0).cx(0, 1).depolarizing(0.1, 1).ry(0.4, 2).measure_all().build()
    state = lret.run(circuit, tolerance=1e-6, precision="double")
    shots = 200_000
    counts = state.counts(shots, seed=3)
    for bits, probability in reference.distribution(circuit).items():
        sigma = math.sqrt(probability * (1 - probability) / shots)
        assert abs(counts.get(bits, 0) / shots - probability) < 5 * sigma + 1e-6
    assert counts == state.counts(shots, seed=3)
    assert counts != state.counts(shots, seed=4)
    assert counts == counts_from_samples(state.samples(shots, seed=3))


def test_readout_error_flips_what_is_told() -> None:
    circuit = Circuit.builder(2, 2).x(1).measure_all().build()
    readout = {0: ReadoutError(0.1, 0.0), 1: ReadoutError(0.0, 0.2)}
    counts = lret.run(circuit, readout=readout).counts(100_000, seed=1)
    expected = {"10": 0.9 * 0.8, "11": 0.1 * 0.8, "00": 0.9 * 0.2, "01": 0.1 * 0.2}
    for bits, probability in expected.items():
        assert counts[bits] / 100_000 == pytest.approx(probability, abs=5 * math.sqrt(probability / 100_000))


def test_every_operation_is_known() -> None:
    assert {*GATE_OPS, *CHANNEL_OPS, Op.UNITARY, Op.KRAUS, Op.RESET, Op.MEASURE, Op.BARRIER} == set(OPERATIONS)
