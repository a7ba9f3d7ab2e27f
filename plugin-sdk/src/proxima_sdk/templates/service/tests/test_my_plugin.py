"""The conformance kit, and times that can be added up."""

import pytest

from my_plugin.contract import Durations
from proxima.contracts.circuit import Circuit
from proxima.kernel import Kernel
from proxima_sdk.conformance import ServiceConformance
from proxima_sdk.testing import open_kernel


class TestConformance(ServiceConformance):
    service = "my-plugin"


def test_gates_on_different_qubits_happen_at_once(proxima_kernel: Kernel) -> None:
    seconds = proxima_kernel.services.require(Durations).seconds
    assert seconds(Circuit.builder(2).h(0).h(1).build()) == pytest.approx(3.5e-8)
    assert seconds(Circuit.builder(2).h(0).h(0).build()) == pytest.approx(7e-8)
    assert seconds(Circuit.builder(2).h(0).barrier().h(1).build()) == pytest.approx(7e-8)
    assert seconds(Circuit.builder(0).build()) == 0


def test_a_bell_pair_with_times_of_ones_own() -> None:
    circuit = Circuit.builder(2, 2).h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()
    with open_kernel("my-plugin", settings={"plugins.my-plugin.readout": 5e-6}) as kernel:
        assert kernel.services.require(Durations).seconds(circuit) == pytest.approx(3.5e-8 + 3e-7 + 5e-6)
