"""The conformance kit, and the numbers of a circuit that can be counted by hand."""

from proxima.kernel import Kernel
from proxima_sdk.conformance import ToolConformance

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0], q[1];
measure q -> c;
"""


class TestConformance(ToolConformance):
    tool = "my-plugin"
    arguments = {"program": BELL}


def test_bell(proxima_kernel: Kernel) -> None:
    result = proxima_kernel.get("tools", "my-plugin").call({"program": BELL})
    assert result.data == {
        "qubits": 2,
        "depth": 3,
        "gates": 2,
        "two_qubit_gates": 1,
        "by_name": {"measure": 2, "h": 1, "cx": 1},
    }


def test_a_mistake_is_told_with_its_line(proxima_kernel: Kernel) -> None:
    result = proxima_kernel.get("tools", "my-plugin").call({"program": BELL.replace("cx", "cy2")})
    assert result.failed
    assert "6" in result.text
    assert "cy2" in result.text
