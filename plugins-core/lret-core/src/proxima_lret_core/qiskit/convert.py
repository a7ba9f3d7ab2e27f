"""`from_qiskit`: a Qiskit circuit as one of Proxima. Both count qubits from the least significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, BoxOp, IfElseOp, Measure, Reset
from qiskit.circuit.library import UnitaryGate
from qiskit.quantum_info import Operator

from proxima.contracts.circuit import Circuit, CircuitBuilder, Condition
from proxima.contracts.operations import BY_NAME, GATES, Op
from proxima.errors import UnsupportedError, UsageError
from proxima_lret_core.qiskit.conditions import both, negation, of_qiskit

_STANDARD = "qiskit.circuit.library.standard_gates"
_LARGEST_MATRIX = 4  # qubits; a larger gate without a definition is refused
_NOTHING = frozenset({"delay", "global_phase"})  # without noise of its own, waiting does nothing


def from_qiskit(circuit: QuantumCircuit) -> Circuit:
    """The same circuit, gates outside the vocabulary as matrices or by their definitions.

    Raises:
        UsageError: It has unbound parameters.
        UnsupportedError: It holds what cannot be expressed; the message names it.
    """
    if not isinstance(circuit, QuantumCircuit):
        raise UsageError(f"expected a QuantumCircuit, got {type(circuit).__name__}")
    if circuit.parameters:
        names = ", ".join(sorted(p.name for p in circuit.parameters))
        raise UsageError(
            f"the circuit {circuit.name!r} has parameters without a value: {names}", hint="assign_parameters binds them"
        )
    builder = Circuit.builder(name=circuit.name or "")
    _add_bits(builder.add_qubits, circuit.qubits, circuit.qregs, "q")
    _add_bits(builder.add_clbits, circuit.clbits, circuit.cregs, "c")
    _Walk(builder, circuit).block(circuit, range(circuit.num_qubits), range(circuit.num_clbits), None)
    return builder.build()


def _add_bits(add: Any, bits: Sequence[Any], registers: Sequence[Any], default: str) -> None:
    """The registers where they partition the bits in order, else one of that name."""
    if [bit for register in registers for bit in register] == list(bits):
        for register in registers:
            add(register.name, register.size)
    elif bits:
        add(default, len(bits))


class _Walk:
    """Goes through a circuit and the blocks in it."""

    def __init__(self, builder: CircuitBuilder, outer: QuantumCircuit) -> None:
        self._builder = builder
        self._outer = outer

    def block(
        self, block: QuantumCircuit, qubits: Sequence[int], clbits: Sequence[int], condition: Condition | None
    ) -> None:
        """Adds a circuit on some of the bits, under a condition."""
        place = {bit: qubits[i] for i, bit in enumerate(block.qubits)}
        place |= {bit: clbits[i] for i, bit in enumerate(block.clbits)}
        for instruction in block.data:
            on = [place[q] for q in instruction.qubits]
            bits = [place[c] for c in instruction.clbits]
            if instruction.operation.name == "if_else":
                self._if_else(instruction.operation, on, bits, condition, place)
            else:
                self._operation(instruction.operation, on, bits, condition)

    def _operation(
        self, operation: Any, qubits: Sequence[int], clbits: Sequence[int], condition: Condition | None
    ) -> None:
        name, add = operation.name, self._builder.append
        if isinstance(operation, Measure):
            add(Op.MEASURE, qubits, clbit=clbits[0], condition=condition)
        elif isinstance(operation, Reset):
            add(Op.RESET, qubits, condition=condition)
        elif isinstance(operation, Barrier):
            add(Op.BARRIER, qubits)
        elif name in _NOTHING:
            pass
        elif isinstance(operation, UnitaryGate):
            add(Op.UNITARY, qubits, condition=condition, matrices=(np.asarray(operation.params[0]),))
        elif name == "kraus" and operation.params:
            add(Op.KRAUS, qubits, condition=condition, matrices=[np.asarray(k) for k in operation.params])
        elif isinstance(operation, BoxOp):
            self.block(operation.blocks[0], qubits, clbits, condition)
        elif _is_standard(operation):
            spec = BY_NAME[name]
            add(spec.op, qubits, [float(p) for p in operation.params], condition=condition)
        else:
            self._other(operation, qubits, clbits, condition)

    def _other(self, operation: Any, qubits: Sequence[int], clbits: Sequence[int], condition: Condition | None) -> None:
        """A small gate by its matrix, any other operation by its definition."""
        unitary = hasattr(operation, "to_matrix") or hasattr(operation, "control")
        if unitary and len(qubits) <= 2:
            self._builder.append(Op.UNITARY, qubits, condition=condition, matrices=(Operator(operation).data,))
        elif getattr(operation, "blocks", None) is None and getattr(operation, "definition", None) is not None:
            self.block(operation.definition, qubits, clbits, condition)
        elif unitary and len(qubits) <= _LARGEST_MATRIX:
            self._builder.append(Op.UNITARY, qubits, condition=condition, matrices=(Operator(operation).data,))
        else:
            raise UnsupportedError(
                f"{operation.name!r} in the circuit {self._outer.name!r} cannot be expressed",
                hint="gates, unitary, kraus, measure, reset, barrier, delay, box and if_else are;"
                " qiskit.transpiler.passes.UnrollForLoops unrolls loops",
            )

    def _if_else(
        self,
        operation: IfElseOp,
        qubits: Sequence[int],
        clbits: Sequence[int],
        condition: Condition | None,
        place: Mapping[Any, int],
    ) -> None:
        try:
            holds = of_qiskit(operation.condition, place.__getitem__)
            branches = [(operation.blocks[0], both(condition, holds))]
            if len(operation.blocks) > 1:
                branches.append((operation.blocks[1], both(condition, negation(holds))))
        except UnsupportedError as error:
            raise UnsupportedError(f"if_else in the circuit {self._outer.name!r}: {error}", hint=error.hint) from None
        for block, when in branches:
            # Every operation looks at the bits anew here, where Qiskit looks once.
            written = {clbits[block.find_bit(c).index] for c in _written(block)}
            if written & set(when.clbits):
                raise UnsupportedError(
                    f"if_else in the circuit {self._outer.name!r} writes a classical bit that its own condition reads",
                    hint="measure into another bit",
                )
            self.block(block, qubits, clbits, when)


def _is_standard(operation: Any) -> bool:
    known = operation.name in BY_NAME and BY_NAME[operation.name].op in GATES
    return known and getattr(operation, "base_class", type(operation)).__module__.startswith(_STANDARD)


def _written(block: QuantumCircuit) -> set[Any]:
    """The block's classical bits that something in it may write."""
    return {bit for instruction in block.data for bit in _targets(instruction)}


def _targets(instruction: Any) -> set[Any]:
    if instruction.operation.name not in ("if_else", "box"):
        return set(instruction.clbits)
    return {
        instruction.clbits[inner.find_bit(bit).index]
        for inner in instruction.operation.blocks
        for bit in _written(inner)
    }
