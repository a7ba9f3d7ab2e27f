"""The conformance kit with a known answer, and the answer for a molecule."""

import math

import pytest

from my_plugin.algorithm import Vqe
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit, Parameter
from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima_sdk.conformance import AlgorithmConformance


class TestConformance(AlgorithmConformance):
    # Of cos(t/2)|00> + sin(t/2)|11> it is sin(t) + cos(t) / 2, at least -sqrt(5) / 2.
    algorithm = "my-plugin"
    params = {"observable": "XX + 0.5*ZI"}
    expected = -math.sqrt(5) / 2


def minimise(algorithm: Vqe, circuit: Circuit, **params: object) -> float:
    result = algorithm.execute(circuit, params, cancel=CancelToken(), progress=lambda fraction, message: None)
    return result.value


def test_hydrogen(proxima_kernel: Kernel) -> None:
    # H2 at 0.735 angstrom in the parity mapping, two qubits; its ground state has -1.857275 hartree without the nuclei.
    molecule = "-1.052373245772859*II + 0.39793742484318045*IZ - 0.39793742484318045*ZI"
    molecule += " - 0.01128010425623538*ZZ + 0.18093119978423156*XX"
    circuit = Circuit.builder(2).x(0).ry(Parameter("t"), 1).cx(1, 0).build()
    algorithm = proxima_kernel.get("algorithms", "my-plugin")
    assert minimise(algorithm, circuit, observable=molecule) == pytest.approx(-1.8572750302, abs=1e-5)


def test_an_observable_of_another_size_is_refused(proxima_kernel: Kernel) -> None:
    circuit = Circuit.builder(2).ry(Parameter("t"), 0).build()
    with pytest.raises(UsageError, match="3 letters"):
        minimise(proxima_kernel.get("algorithms", "my-plugin"), circuit, observable="ZZZ")
