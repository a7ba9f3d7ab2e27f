"""The package hands out Cirq's interfaces; what they do is tested with the library."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")
pytest.importorskip("cirq", reason="Cirq is not installed")

import cirq

from proxima_backend_lret_unified.cirq import UnifiedSimulator


@pytest.mark.parametrize(("p", "method"), [(1e-5, "low_rank"), (0.1, "density_matrix")])
def test_the_method_suits_the_noise_and_the_state_lies_within_the_bound(p: float, method: str) -> None:
    qubits = cirq.LineQubit.range(6)
    circuit = cirq.testing.random_circuit(qubits, 12, 0.9, random_state=2)
    result = UnifiedSimulator(noise=cirq.depolarize(p), dtype=np.complex128).simulate(circuit, qubit_order=qubits)
    exact = cirq.DensityMatrixSimulator(dtype=np.complex128).simulate(
        circuit.with_noise(cirq.depolarize(p)), qubit_order=qubits
    )
    difference = result.final_density_matrix - exact.final_density_matrix
    assert 0.5 * np.abs(np.linalg.eigvalsh(difference)).sum() <= result.error_bound
    assert result.final_state.state.method == method


def test_samples_of_a_bell_pair_with_noise() -> None:
    a, b = cirq.LineQubit.range(2)
    bell = cirq.Circuit(cirq.H(a), cirq.CX(a, b), cirq.bit_flip(0.5)(b), cirq.measure(a, b, key="m"))
    counts = UnifiedSimulator(seed=1).run(bell, repetitions=4000).histogram(key="m")
    assert set(counts) == {0, 1, 2, 3}
    # Five standard deviations of a quarter of 4000.
    assert all(abs(count - 1000) < 5 * np.sqrt(750) for count in counts.values())
