"""States that are known without a simulator."""

from __future__ import annotations

import numpy as np
import pytest
from lret_circuits import brick

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima_sdk import reference


def ghz(n: int) -> Circuit:
    builder = Circuit.builder(n).h(0)
    for q in range(n - 1):
        builder.cx(q, q + 1)
    return builder.build()


def test_rank_one_is_the_statevector() -> None:
    circuit = brick(9)
    state = lret.run(circuit, precision="double")
    psi = reference.statevector(circuit)
    assert state.rank == 1
    np.testing.assert_allclose(state.density_matrix(), np.outer(psi, psi.conj()), atol=1e-13)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_ghz_with_phase_flips(n: int) -> None:
    """Each phase flip turns the coherence's sign, wherever it strikes: it shrinks by 1 - 2p for each of them."""
    p = 0.01
    circuit = NoiseModel.parse(f"phase_flip:{p}").apply(ghz(n))
    state = lret.run(circuit, tolerance=1e-8, precision="double")
    flips = 2 * (n - 1)  # after each cx on both qubits; the one after h strikes |+>, like all others
    coherence = (1 - 2 * p) ** (flips + 1)
    assert state.expectation(PauliSum.parse("X" * n)).value == pytest.approx(coherence, abs=3e-8)
    probabilities = state.probabilities()
    assert probabilities[0] == pytest.approx(0.5, abs=2e-8)
    assert probabilities[-1] == pytest.approx(0.5, abs=2e-8)


@pytest.mark.parametrize("p", [0.0, 0.01, 0.3, 0.75, 1.0])
def test_depolarised_qubit(p: float) -> None:
    circuit = Circuit.builder(1).ry(0.8, 0).depolarizing(p, 0).build()
    state = lret.run(circuit, tolerance=1e-9, precision="double")
    shrink = 1 - 4 * p / 3
    assert state.expectation(PauliSum.parse("Z")).value == pytest.approx(shrink * np.cos(0.8), abs=3e-9)
    assert state.expectation(PauliSum.parse("X")).value == pytest.approx(shrink * np.sin(0.8), abs=3e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.2, 1.0])
def test_damped_bell_pair(gamma: float) -> None:
    circuit = Circuit.builder(2).h(0).cx(0, 1).amplitude_damping(gamma, 0).amplitude_damping(gamma, 1).build()
    state = lret.run(circuit, tolerance=1e-9, precision="double")
    rho = state.density_matrix()
    kept = 1 - gamma
    np.testing.assert_allclose(
        np.diagonal(rho).real, np.array([1 + gamma**2, gamma * kept, gamma * kept, kept**2]) / 2, atol=2e-9
    )
    assert rho[0, 3] == pytest.approx(kept / 2, abs=2e-9)


def test_noise_that_undoes_itself_leaves_the_maximally_mixed_state() -> None:
    circuit = Circuit.builder(2).h(0).cx(0, 1).depolarizing(0.75, 0).depolarizing(0.75, 1).h(0).cx(0, 1).build()
    np.testing.assert_allclose(
        lret.run(circuit, tolerance=1e-9, precision="double").density_matrix(), np.eye(4) / 4, atol=2e-9
    )
