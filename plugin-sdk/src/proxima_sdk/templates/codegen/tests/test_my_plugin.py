"""The conformance kit, with the code run by Cirq and its state held against the exact one."""

from typing import Any

import numpy as np
import pytest

from my_plugin.cirq_code import CirqCode
from proxima.contracts.circuit import Circuit
from proxima_sdk.conformance import CodeGeneratorConformance


class TestConformance(CodeGeneratorConformance):
    codegen = "my-plugin"

    def statevector(self, code: str, circuit: Circuit) -> Any:
        cirq = pytest.importorskip("cirq")
        names: dict[str, Any] = {}
        exec(code, names)
        order = names["qubits"][::-1]  # Cirq's first qubit is the most significant
        return cirq.Simulator(dtype=np.complex128).simulate(names["circuit"], qubit_order=order).final_state_vector


def test_bell() -> None:
    circuit = Circuit.builder(2, 2, name="bell").h(0).cx(0, 1).measure(1, 0).build()
    assert CirqCode().generate(circuit).splitlines()[3:] == [
        "name = 'bell'",
        "qubits = cirq.LineQubit.range(2)",
        "circuit = cirq.Circuit()",
        "circuit.append((cirq.H)(qubits[0]))",
        "circuit.append((cirq.CNOT)(qubits[0], qubits[1]))",
        "circuit.append(cirq.measure(qubits[1], key='c0'))",
    ]
