"""The whole conformance kit, and what is this simulator's own."""

import numpy as np
import pytest

from my_plugin import simulator
from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.errors import UnsupportedError
from proxima.kernel import Kernel
from proxima_sdk.conformance import BackendConformance


class TestConformance(BackendConformance):
    backend = "my-plugin"


def test_the_first_qubit_of_a_matrix_is_its_least_significant_bit() -> None:
    states = np.array([[0, 1, 0, 0]], dtype=complex)  # qubit 0 is 1
    cx = np.eye(4)[None, :, [0, 3, 2, 1]].astype(complex)  # on qubits (control, target)
    assert simulator.apply(cx, [0, 1], states).tolist() == [[0, 0, 0, 1]]
    assert simulator.apply(cx, [1, 0], states).tolist() == states.tolist()


def test_proxima_runs_circuits_on_it(proxima_kernel: Kernel) -> None:
    pytest.importorskip("proxima_execution")
    circuit = Circuit.builder(2, 2, name="bell").h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()
    counts = proxima_kernel.run(circuit, backend="my-plugin", shots=100, seed=3).counts
    assert counts is not None
    assert set(counts) == {"00", "11"}


def test_noise_is_refused_by_name(proxima_kernel: Kernel) -> None:
    circuit = Circuit.builder(1, 1).h(0).bit_flip(0.1, 0).measure(0, 0).build()
    request = RunRequest(circuit=circuit)
    backend = proxima_kernel.get("backends", "my-plugin")
    assert "bit_flip" in backend.estimate(request, features_of(circuit)).reason
    with pytest.raises(UnsupportedError, match="bit_flip"):
        backend.plan(request)
