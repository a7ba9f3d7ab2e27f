"""The package hands out Qiskit's interfaces; what they do is tested with the library."""

from __future__ import annotations

import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")
pytest.importorskip("qiskit", reason="Qiskit is not installed")

from qiskit import QuantumCircuit

from proxima_backend_lret_unified.qiskit import UnifiedEstimator, UnifiedQiskitBackend, UnifiedSampler, from_qiskit


def test_a_bell_pair_through_each() -> None:
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    (estimate,) = UnifiedEstimator(noise_model="depolarizing2:0.15").run([(bell, ["ZZ", "XI"])]).result()
    # 8 of the 15 Pauli pairs anticommute with ZZ: it shrinks by 1 - 16 p / 15.
    assert estimate.data.evs == pytest.approx([0.84, 0.0], abs=1e-2)
    bell.measure_all()
    assert set(UnifiedQiskitBackend().run(bell).result().get_counts()) == {"00", "11"}
    (sampled,) = UnifiedSampler().run([bell]).result()
    assert set(sampled.data.meas.get_counts()) == {"00", "11"}
    assert from_qiskit(bell).num_qubits == 2
