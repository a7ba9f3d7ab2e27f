"""Qiskit circuits become the same circuits here: unitaries against Qiskit's `Operator`, feedback against Aer."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("qiskit", reason="Qiskit is not installed")

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, ControlledGate, Gate, Parameter, Qubit
from qiskit.circuit.classical import expr
from qiskit.circuit.library import PauliGate, QFTGate, get_standard_gate_name_mapping
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import DensityMatrix, Kraus, Operator, Statevector

from proxima.contracts.circuit import Condition
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import BY_NAME, GATES, Op
from proxima.errors import UnsupportedError, UsageError
from proxima_lret_core.qiskit import from_qiskit
from proxima_sdk import reference
from proxima_sdk.circuits import random_kraus

STANDARD = {n: g for n, g in get_standard_gate_name_mapping().items() if isinstance(g, Gate) and g.num_qubits}


def same_state(circuit: QuantumCircuit) -> None:
    """Up to the global phase, which a density matrix does not have."""
    ours, theirs = reference.statevector(from_qiskit(circuit)), Statevector(circuit).data
    assert abs(np.vdot(ours, theirs)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", sorted(STANDARD))
def test_every_standard_gate(name: str) -> None:
    gate = STANDARD[name]
    values = np.random.default_rng(len(name)).uniform(0, 6, len(gate.params))
    bound = gate.base_class(*values) if gate.params else gate
    qubits = np.random.default_rng(7).permutation(gate.num_qubits).tolist()
    circuit = QuantumCircuit(2 * gate.num_qubits)
    for q in range(gate.num_qubits):  # entangled with others, so that the whole matrix counts
        circuit.h(q)
        circuit.cx(q, gate.num_qubits + q)
    circuit.append(bound, qubits)
    same_state(circuit)
    if name in BY_NAME and BY_NAME[name].op in GATES:
        (row,) = [i for i in from_qiskit(circuit) if i.op is BY_NAME[name].op and i.qubits == tuple(qubits)][-1:]
        np.testing.assert_allclose(unitary(row.op, row.params), Operator(bound).data, atol=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_random_circuits(seed: int) -> None:
    same_state(random_circuit(5, 6, max_operands=4, seed=seed))


def test_gates_with_definitions_controls_on_zero_and_names_that_mislead() -> None:
    misnamed = Gate("h", 1, [])
    misnamed.definition = QuantumCircuit(1)
    misnamed.definition.ry(0.3, 0)
    circuit = QuantumCircuit(5)
    circuit.initialize([0.6, 0, 0, 0.8j], [1, 3])
    prepared = QuantumCircuit(5)
    prepared.prepare_state([0.6, 0, 0, 0.8j], [1, 3])
    prepared.cx(1, 2, ctrl_state=0)
    prepared.append(misnamed, [4])
    prepared.append(PauliGate("XYZ"), [4, 0, 2])
    prepared.append(QFTGate(3), [2, 0, 3])
    prepared.mcp(0.3, [0, 1, 2], 4)
    prepared.append(misnamed.control(3, annotated=False), [0, 1, 2, 3])
    same_state(prepared)
    assert isinstance(prepared.data[1].operation, ControlledGate)
    np.testing.assert_allclose(
        reference.density_matrix(from_qiskit(circuit)), DensityMatrix(Statevector(circuit)).data, atol=1e-12
    )


def test_channels_resets_boxes_and_delays() -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.append(Kraus(list(random_kraus(2, 3, np.random.default_rng(0)))).to_instruction(), [2, 1])
    circuit.delay(100, 0)
    circuit.reset(2)
    with circuit.box():
        circuit.rx(0.4, 1)
    plain = circuit.copy()
    plain.data = [i for i in circuit.data if i.operation.name not in ("box", "delay")]
    plain.rx(0.4, 1)
    got = reference.density_matrix(from_qiskit(circuit))
    np.testing.assert_allclose(got, DensityMatrix.from_label("000").evolve(plain).data, atol=1e-12)


def test_registers_and_loose_bits() -> None:
    circuit = QuantumCircuit(QuantumRegister(2, "a"), QuantumRegister(1, "b"), ClassicalRegister(2, "m"))
    made = from_qiskit(circuit)
    assert [(r.name, r.size) for r in (*made.qregs, *made.cregs)] == [("a", 2), ("b", 1), ("m", 2)]
    loose = QuantumCircuit([Qubit(), Qubit()], [Clbit()])
    loose.measure(1, 0)
    made = from_qiskit(loose)
    assert [(r.name, r.size) for r in (*made.qregs, *made.cregs)] == [("q", 2), ("c", 1)]
    assert made.final_measurements == ((1, 0),)


def feedback() -> dict[str, QuantumCircuit]:
    """Circuits with one conditional of each kind, each measured at the end."""
    out = {}
    for name in ("bit", "register", "else", "not", "unequal", "and", "nested", "expression"):
        qubits, bits, more = QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(3, "m")
        circuit = QuantumCircuit(qubits, bits, more)
        circuit.ry(1.1, 0)
        circuit.ry(0.6, 1)
        circuit.measure([0, 1], bits)
        if name == "bit":
            with circuit.if_test((bits[1], 0)):
                circuit.x(2)
        elif name == "register":
            with circuit.if_test((bits, 2)):
                circuit.x(2)
        elif name == "else":
            with circuit.if_test((bits, 1)) as otherwise:
                circuit.ry(0.3, 2)
            with otherwise:
                circuit.ry(1.9, 2)
        elif name == "not":
            with circuit.if_test(expr.logic_not(bits[0])):
                circuit.x(2)
        elif name == "unequal":
            with circuit.if_test(expr.not_equal(bits, 2)):
                circuit.x(2)
        elif name == "and":
            with circuit.if_test(expr.logic_and(bits[0], expr.equal(bits[1], False))):
                circuit.x(2)
        elif name == "nested":
            with circuit.if_test((bits[0], 1)) as otherwise:
                circuit.h(2)
                with circuit.if_test((bits[1], 0)):
                    circuit.x(0)
            with otherwise, circuit.if_test((bits[1], 1)):
                circuit.x(2)
        else:
            with circuit.if_test(expr.equal(2, bits)):
                circuit.x(2)
        circuit.measure(qubits, more)
        out[name] = circuit
    return out


@pytest.mark.parametrize("kind", feedback())
def test_feedback_follows_aer(kind: str) -> None:
    aer = pytest.importorskip("qiskit_aer", reason="Qiskit Aer is not installed")
    circuit, shots = feedback()[kind], 20_000
    counts = aer.AerSimulator(seed_simulator=5).run(circuit, shots=shots).result().get_counts()
    exact = reference.distribution(from_qiskit(circuit))
    for bits, number in counts.items():
        p = exact[bits.replace(" ", "")]
        assert abs(number / shots - p) < 6 * np.sqrt(p * (1 - p) / shots), bits  # six standard deviations


def test_blocks_with_bits_of_their_own() -> None:
    inner = QuantumCircuit(1, 1)
    inner.x(0)
    middle = QuantumCircuit(2, 2)
    middle.if_else((middle.clbits[1], 1), inner, None, [1], [1])
    outer = QuantumCircuit(3, 3)
    outer.if_else((outer.clbits[0], 1), middle, None, [2, 0], [2, 1])
    assert [(i.op, i.qubits, i.condition) for i in from_qiskit(outer)] == [(Op.X, (0,), Condition((0, 1), 3))]


def test_a_condition_inside_its_opposite_never_holds() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 1)), circuit.if_test((0, 0)):
        circuit.x(0)
    (row,) = from_qiskit(circuit)
    assert row.condition is not None
    assert not any(row.condition.holds((bit,)) for bit in (0, 1))


def test_a_bit_that_differs_from_a_value_equals_the_other() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 1)) as otherwise:
        pass
    with otherwise:
        circuit.x(0)
    assert [(i.op, i.condition) for i in from_qiskit(circuit)] == [(Op.X, Condition((0,), 0))]


def refused() -> dict[str, tuple[QuantumCircuit, str]]:
    loop = QuantumCircuit(1, 1)
    with loop.for_loop(range(2)):
        loop.x(0)
    own = QuantumCircuit(1, 1)
    with own.if_test((0, 1)):
        own.measure(0, 0)
    inside = QuantumCircuit(1, 1)
    measuring = QuantumCircuit(1, 1, name="measuring")
    measuring.measure(0, 0)
    with inside.if_test((0, 1)):
        inside.append(measuring.to_instruction(), [0], [0])
    less = QuantumCircuit(1, 2)
    with less.if_test(expr.less(less.cregs[0], 2)):
        less.x(0)
    unequal = QuantumCircuit(QuantumRegister(1), ClassicalRegister(2, "c"))
    with (
        unequal.if_test((unequal.clbits[0], 1)),
        unequal.if_test(expr.not_equal(unequal.cregs[0], 2)),
    ):
        unequal.x(0)
    opaque = QuantumCircuit(5)
    opaque.append(Gate("mystery", 5, []), range(5))
    return {
        "loop": (loop, "'for_loop' in the circuit"),
        "own": (own, "writes a classical bit that its own condition reads"),
        "inside": (inside, "writes a classical bit that its own condition reads"),
        "less": (less, "more than a comparison"),
        "unequal": (unequal, "a condition inside another"),
        "opaque": (opaque, "'mystery' in the circuit"),
    }


@pytest.mark.parametrize("kind", refused())
def test_what_cannot_be_expressed_is_named(kind: str) -> None:
    circuit, message = refused()[kind]
    with pytest.raises(UnsupportedError, match=message):
        from_qiskit(circuit)


def test_unbound_parameters_and_things_that_are_no_circuit() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)
    with pytest.raises(UsageError, match="without a value: theta"):
        from_qiskit(circuit)
    with pytest.raises(UsageError, match="expected a QuantumCircuit, got str"):
        from_qiskit("circuit")  # type: ignore[arg-type]
