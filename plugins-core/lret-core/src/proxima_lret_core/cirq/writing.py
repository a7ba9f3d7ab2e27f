"""`to_cirq`: from a circuit of the contract to one of Cirq's."""

from __future__ import annotations

from collections import Counter

import cirq

from proxima.contracts.circuit import Circuit, Condition, Instruction, Parameter
from proxima.contracts.matrices import reverse_qubits, unitary
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_lret_core.cirq.gates import named


def to_cirq(circuit: Circuit) -> cirq.Circuit:
    """The circuit in Cirq's operations; qubit i is ``LineQubit(i)``, classical bit i the measurement key ``c[i]``.

    Barriers are left out; an identity stands for a qubit that nothing touches.

    Raises:
        UnsupportedError: It measures into a bit twice or leaves one out, or holds what Cirq cannot say.
    """
    qubits = cirq.LineQubit.range(circuit.num_qubits)
    written = Counter(circuit.columns.clbits[circuit.columns.ops == Op.MEASURE].tolist())
    for bit in range(circuit.num_clbits):
        if written[bit] != 1:
            raise UnsupportedError(
                f"Cirq keeps every measurement under a key of its own, and classical bit {bit} is measured"
                f" {written[bit]} times",
                hint="measure once into each classical bit",
            )
    operations = [
        _operation(instruction)
        .on(*(qubits[q] for q in instruction.qubits))
        .with_classical_controls(*_controls(instruction))
        for instruction in circuit.without_final_measurements()
        if instruction.op is not Op.BARRIER
    ]
    touched = {qubit for operation in operations for qubit in operation.qubits}
    final = cirq.Moment(cirq.measure(qubits[q], key=_key(clbit)) for q, clbit in circuit.final_measurements)
    return cirq.Circuit(operations, (cirq.I(q) for q in qubits if q not in touched | final.qubits), final or [])


def _operation(instruction: Instruction) -> cirq.Gate:
    op, _, params, clbit, _, matrices = instruction
    if op is Op.MEASURE:
        return cirq.MeasurementGate(1, key=_key(clbit))
    if op is Op.UNITARY:
        return cirq.MatrixGate(reverse_qubits(matrices[0]), unitary_check=False)  # the circuit checked it
    if op is Op.KRAUS:
        return cirq.KrausChannel([reverse_qubits(k) for k in matrices])
    gate = named(op, params)
    if gate is not None:
        return gate
    if op not in GATES or any(isinstance(p, Parameter) for p in params):
        raise UnsupportedError(f"Cirq has no {OPERATIONS[op].name} with an open parameter", hint="bind it first")
    numbers = [p for p in params if not isinstance(p, Parameter)]
    return cirq.MatrixGate(reverse_qubits(unitary(op, numbers)), name=OPERATIONS[op].name)


def _controls(instruction: Instruction) -> list[cirq.Condition]:
    condition = instruction.condition
    if condition is None:
        return []
    if instruction.op is Op.MEASURE:
        raise UnsupportedError("Cirq has no measure under a classical condition")
    if condition.negated and len(condition.clbits) > 1:
        raise UnsupportedError(
            f"Cirq has no condition that {len(condition.clbits)} bits differ from {condition.value}",
            hint="write one operation for each value",
        )
    return [_equals(condition, i) for i in range(len(condition.clbits))]


def _equals(condition: Condition, i: int) -> cirq.Condition:
    value = (condition.value >> i & 1) ^ condition.negated
    key = _key(condition.clbits[i])
    return cirq.BitMaskKeyCondition(key, target_value=value, equal_target=True)


def _key(clbit: int) -> str:
    return f"c[{clbit}]"
