"""The whole conformance kit, and what is qulacs's own."""

import cmath

import pytest

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima.errors import UnsupportedError
from proxima.kernel import Kernel
from proxima_sdk.conformance import BackendConformance


class TestConformance(BackendConformance):
    backend = "qulacs"
    engine_module = ("qulacs", "qulacs_core")


def test_a_rotation_turns_as_everywhere_else(proxima_kernel: Kernel) -> None:
    """rz(theta) puts exp(i theta) between |0> and |1>; qulacs's own puts exp(-i theta) there."""
    backend = proxima_kernel.get("backends", "qulacs")
    circuit = Circuit.builder(1).h(0).rz(0.3, 0).build()
    plan = backend.plan(RunRequest(circuit=circuit, wants=("statevector",), precision="double"))
    zero, one = backend.run(plan, RunContext()).statevector
    assert cmath.phase(one / zero) == pytest.approx(0.3)


def test_noise_is_refused_by_name(proxima_kernel: Kernel) -> None:
    circuit = Circuit.builder(1, 1).h(0).bit_flip(0.1, 0).measure(0, 0).build()
    request = RunRequest(circuit=circuit)
    backend = proxima_kernel.get("backends", "qulacs")
    assert "bit_flip" in backend.estimate(request, features_of(circuit)).reason
    with pytest.raises(UnsupportedError, match="bit_flip"):
        backend.plan(request)
