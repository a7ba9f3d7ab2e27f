"""Circuits as Python source that builds them with Cirq. Cirq itself is not needed to write it."""

from __future__ import annotations

import math

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_sdk import CodeGenerator

PLAIN = {
    Op.ID: "cirq.I",
    Op.X: "cirq.X",
    Op.Y: "cirq.Y",
    Op.Z: "cirq.Z",
    Op.H: "cirq.H",
    Op.S: "cirq.S",
    Op.SDG: "cirq.S**-1",
    Op.T: "cirq.T",
    Op.TDG: "cirq.T**-1",
    Op.SX: "cirq.X**0.5",
    Op.SXDG: "cirq.X**-0.5",
    Op.CX: "cirq.CNOT",
    Op.CY: "cirq.ControlledGate(cirq.Y)",
    Op.CZ: "cirq.CZ",
    Op.CH: "cirq.ControlledGate(cirq.H)",
    Op.SWAP: "cirq.SWAP",
    Op.ISWAP: "cirq.ISWAP",
    Op.CCX: "cirq.TOFFOLI",
    Op.CCZ: "cirq.CCZ",
    Op.CSWAP: "cirq.FREDKIN",
}
ANGLED = {
    Op.RX: "cirq.rx({0!r})",
    Op.RY: "cirq.ry({0!r})",
    Op.RZ: "cirq.rz({0!r})",
    Op.CRX: "cirq.ControlledGate(cirq.rx({0!r}))",
    Op.CRY: "cirq.ControlledGate(cirq.ry({0!r}))",
    Op.CRZ: "cirq.ControlledGate(cirq.rz({0!r}))",
}
TURNS = {Op.P: "cirq.Z**{0!r}", Op.CP: "cirq.CZ**{0!r}"}  # of an angle in units of pi


class CirqCode(CodeGenerator):
    """Gates that Cirq has by name are written by name, others with their matrix. Qubits keep their numbers."""

    name = "my-plugin"
    language = "python"
    library = "cirq"

    def generate(self, circuit: Circuit) -> str:
        """A module with ``circuit``, ``qubits`` and ``name``; classical bit i is the measurement key ``ci``."""
        lines = [
            "import cirq",
            "import numpy as np",
            "",
            f"name = {circuit.name!r}",
            f"qubits = cirq.LineQubit.range({circuit.num_qubits})",
            "circuit = cirq.Circuit()",
        ]
        lines += [f"circuit.append({_operation(each)})" for each in circuit if each.op is not Op.BARRIER]
        return "\n".join(lines) + "\n"


def _operation(instruction: Instruction) -> str:
    if instruction.condition is not None:
        raise UnsupportedError(f"a condition on {OPERATIONS[instruction.op].name} is not written as Cirq code")
    qubits = [f"qubits[{qubit}]" for qubit in instruction.qubits]
    if instruction.op is Op.MEASURE:
        return f"cirq.measure({qubits[0]}, key='c{instruction.clbit}')"
    if instruction.op is Op.RESET:
        return f"cirq.reset({qubits[0]})"
    angles = _angles(instruction)
    for table, values in ((PLAIN, []), (ANGLED, angles), (TURNS, [angle / math.pi for angle in angles])):
        if instruction.op in table:
            return f"({table[instruction.op].format(*values)})({', '.join(qubits)})"
    # In Cirq the first listed qubit is the most significant bit of a matrix's index, here the least significant one.
    return f"cirq.MatrixGate(np.array({_matrix(instruction, angles)!r}))({', '.join(reversed(qubits))})"


def _angles(instruction: Instruction) -> list[float]:
    angles = [float(p) for p in instruction.params if isinstance(p, int | float)]
    if len(angles) != len(instruction.params):
        raise UnsupportedError(
            f"{OPERATIONS[instruction.op].name} has an open parameter", hint="bind the circuit first"
        )
    return angles


def _matrix(instruction: Instruction, angles: list[float]) -> list[list[complex]]:
    if instruction.op not in GATES:
        raise UnsupportedError(f"{OPERATIONS[instruction.op].name} is not written as Cirq code")
    matrix = instruction.matrices[0] if instruction.op is Op.UNITARY else unitary(instruction.op, angles)
    rows: list[list[complex]] = matrix.tolist()
    return rows
