"""Circuits of Cirq as circuits of the contract: the same state by Cirq's own matrices, and what is refused by name."""

from __future__ import annotations

import math

import cirq
import numpy as np
import pytest
import sympy

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.errors import CircuitError, ProximaError, UnsupportedError, UsageError
from proxima_lret_core.cirq import to_cirq, translate
from proxima_sdk import reference
from proxima_sdk.circuits import FAMILIES

Q = cirq.LineQubit.range(4)
A, B = sympy.symbols("a b")
RANDOM = cirq.testing.random_unitary
# Rounding of some tens of matrix products in double precision.
CLOSE = 1e-12

NAMED = {
    Op.X: cirq.X, Op.Y: cirq.Y, Op.Z: cirq.Z, Op.H: cirq.H, Op.S: cirq.S, Op.SDG: cirq.S**-1, Op.T: cirq.T,
    Op.TDG: cirq.T**-1, Op.SX: cirq.X**0.5, Op.SXDG: cirq.X**-0.5, Op.RX: cirq.rx(0.3), Op.RY: cirq.Y**0.3,
    Op.RZ: cirq.rz(0.3), Op.P: cirq.Z**0.3, Op.R: cirq.PhasedXPowGate(phase_exponent=0.2, exponent=0.7), Op.CX: cirq.CX,
    Op.CY: cirq.ControlledGate(cirq.Y), Op.CZ: cirq.CZ, Op.CH: cirq.ControlledGate(cirq.H), Op.CSX: cirq.CX**0.5,
    Op.SWAP: cirq.SWAP, Op.ISWAP: cirq.ISWAP, Op.CRX: cirq.ControlledGate(cirq.rx(0.3)), Op.CP: cirq.CZ**0.3,
    Op.CRY: cirq.ControlledGate(cirq.ry(0.3)), Op.CRZ: cirq.ControlledGate(cirq.rz(0.3)), Op.RXX: cirq.XX**0.3,
    Op.RYY: cirq.YY**0.3, Op.RZZ: cirq.ZZ**0.3, Op.CCX: cirq.CCX, Op.CCZ: cirq.CCZ, Op.CSWAP: cirq.CSWAP,
    Op.DEPOLARIZING: cirq.depolarize(0.1), Op.DEPOLARIZING2: cirq.depolarize(0.1, n_qubits=2),
    Op.BIT_FLIP: cirq.bit_flip(0.1), Op.PHASE_FLIP: cirq.phase_flip(0.1), Op.PHASE_DAMPING: cirq.phase_damp(0.1),
    Op.PAULI_CHANNEL: cirq.asymmetric_depolarize(0.1, 0.2, 0.3), Op.AMPLITUDE_DAMPING: cirq.amplitude_damp(0.1),
    Op.GENERALIZED_AMPLITUDE_DAMPING: cirq.generalized_amplitude_damp(0.3, 0.1), Op.RESET: cirq.ResetChannel(),
}  # fmt: skip
OTHERS = [
    cirq.X**1.3, cirq.XPowGate(exponent=3, global_shift=0.2), cirq.H**0.3, cirq.CX**0.3, cirq.CX**-1.0, cirq.SWAP**0.3,
    cirq.ISWAP**0.5, cirq.ISWAP**-1, cirq.ISWAP**3, cirq.CCX**0.3, cirq.CCZ**0.3, cirq.XX, cirq.MSGate(rads=0.3),
    cirq.ControlledGate(cirq.H**0.3), cirq.ControlledGate(cirq.X, control_values=[0]), cirq.givens(0.3),
    cirq.ControlledGate(cirq.Y, num_controls=2), cirq.ControlledGate(cirq.XPowGate(exponent=1, global_shift=0.2)),
    cirq.ControlledGate(cirq.SWAP), cirq.PhasedXZGate(x_exponent=0.1, z_exponent=0.2, axis_phase_exponent=0.4),
    cirq.FSimGate(0.1, 0.2), cirq.PhasedFSimGate(0.1, 0.2, 0.3, 0.4, 0.5), cirq.riswap(0.3), cirq.CXSWAP, cirq.CZSWAP,
    cirq.PhasedISwapPowGate(phase_exponent=0.2, exponent=0.3), cirq.QuantumFourierTransformGate(3),
    cirq.IdentityGate(3),
    cirq.MatrixGate(RANDOM(2)), cirq.MatrixGate(RANDOM(4)), cirq.MatrixGate(RANDOM(8)), cirq.DensePauliString("XYZ"),
    cirq.QubitPermutationGate([1, 2, 0]), cirq.TwoQubitDiagonalGate([0.1, 0.2, 0.3, 0.4]),
    cirq.ThreeQubitDiagonalGate([0.1 * i for i in range(8)]), cirq.DiagonalGate([0.1 * i for i in range(16)]),
    cirq.UniformSuperpositionGate(3, 2), cirq.WaitGate(cirq.Duration(nanos=3)), cirq.ParallelGate(cirq.X**0.3, 3),
    cirq.SingleQubitCliffordGate.X_sqrt, cirq.CliffordGate.CNOT, cirq.PhaseGradientGate(num_qubits=3, exponent=0.3),
    cirq.BooleanHamiltonianGate(["a", "b"], ["a^b"], 0.3), cirq.depolarize(0.1, n_qubits=3),
    cirq.asymmetric_depolarize(error_probabilities={"XX": 0.1, "ZI": 0.2, "II": 0.7}), cirq.X.with_probability(0.3),
    cirq.MixedUnitaryChannel([(0.3, RANDOM(4)), (0.7, RANDOM(4))]), cirq.StatePreparationChannel(np.array([0.6, 0.8j])),
    cirq.KrausChannel([np.diag([1, 0]), np.diag([0, 1])]), cirq.PauliInteractionGate(cirq.X, True, cirq.Y, False),
    cirq.PauliStringPhasorGate(cirq.DensePauliString("XZ"), exponent_neg=0.3),
]  # fmt: skip


def scrambled(*then: object) -> cirq.Circuit:
    """A state without symmetry, so that a wrong order or sign shows."""
    turns = [
        cirq.PhasedXZGate(x_exponent=0.3 + 0.1 * i, z_exponent=0.4, axis_phase_exponent=0.1 * i)(q)
        for i, q in enumerate(Q)
    ]
    return cirq.Circuit(turns, cirq.CX(Q[0], Q[3]), cirq.CX(Q[1], Q[2]), *then)


def state_of(circuit: cirq.Circuit) -> np.ndarray:
    """By Cirq, with its first qubit as the most significant bit."""
    return cirq.DensityMatrixSimulator(dtype=np.complex128).simulate(circuit, qubit_order=Q).final_density_matrix


def ours(circuit: Circuit) -> np.ndarray:
    """By the kernel's reference matrices, turned into Cirq's order."""
    n = circuit.num_qubits
    rho = reference.density_matrix(circuit)
    axes = (*range(n - 1, -1, -1), *range(2 * n - 1, n - 1, -1))
    return rho.reshape((2,) * (2 * n)).transpose(axes).reshape(rho.shape)


@pytest.mark.parametrize("op", NAMED, ids=lambda op: op.name.lower())
def test_a_gate_of_the_vocabulary_is_known_by_name(op: Op) -> None:
    gate = NAMED[op]
    circuit = scrambled(gate.on(*reversed(Q[: cirq.num_qubits(gate)])))
    made = translate(circuit, qubit_order=Q).circuit
    assert list(made)[-1].op is op
    assert np.allclose(ours(made), state_of(circuit), atol=CLOSE)


@pytest.mark.parametrize("gate", OTHERS, ids=lambda gate: type(gate).__name__)
def test_any_other_gate_has_the_same_effect(gate: cirq.Gate) -> None:
    circuit = scrambled(gate.on(*reversed(Q[: cirq.num_qubits(gate)])))
    assert np.allclose(ours(translate(circuit, qubit_order=Q).circuit), state_of(circuit), atol=CLOSE)


def test_operations_that_are_no_gates() -> None:
    inner = cirq.FrozenCircuit(cirq.H(Q[0]), cirq.CX(Q[0], Q[1]) ** 0.5)
    circuit = scrambled(
        cirq.CircuitOperation(inner, repetitions=2, qubit_map={Q[0]: Q[3]}),
        cirq.X(Q[0]) * cirq.Y(Q[2]),
        cirq.PauliStringPhasor(cirq.X(Q[0]) * cirq.Z(Q[2]), exponent_neg=0.3),
        cirq.ControlledOperation([Q[1]], cirq.ISWAP(Q[2], Q[3]) ** 0.5),
        cirq.Y(Q[1]).with_tags("tagged"),
    )
    exact = state_of(circuit)
    circuit.append(cirq.global_phase_operation(1j))  # on which Cirq's own density matrix fails
    assert np.allclose(ours(translate(circuit, qubit_order=Q).circuit), exact, atol=CLOSE)


@pytest.mark.parametrize("noise", [cirq.depolarize(0.02), cirq.amplitude_damp(0.1), cirq.X**0.02], ids=str)
def test_noise_models_act_on_moments_as_with_noise_does(noise: cirq.Gate) -> None:
    circuit = cirq.testing.random_circuit(Q, 5, 0.8, random_state=3)
    made = translate(circuit, qubit_order=Q, noise=noise).circuit
    assert np.allclose(ours(made), state_of(circuit.with_noise(noise)), atol=CLOSE)


def test_a_noise_model_of_ones_own() -> None:
    class AfterPairs(cirq.NoiseModel):
        def noisy_operation(self, operation: cirq.Operation) -> cirq.OP_TREE:
            yield operation
            if len(operation.qubits) == 2:
                yield cirq.depolarize(0.1, n_qubits=2).on(*operation.qubits)

    made = translate(scrambled(), qubit_order=Q, noise=AfterPairs()).circuit
    assert made.count_ops()["depolarizing2"] == 2
    assert np.allclose(ours(made), state_of(scrambled().with_noise(AfterPairs())), atol=CLOSE)


def test_a_qubit_that_the_order_names_and_nothing_touches_is_kept() -> None:
    made = translate(cirq.Circuit(cirq.X(Q[1])), qubit_order=Q)
    assert made.qubits == tuple(Q)
    assert made.circuit.num_qubits == 4
    assert [i.qubits for i in made.circuit] == [(1,)]
    grid = translate(cirq.Circuit(cirq.CX(cirq.GridQubit(1, 0), cirq.NamedQubit("anc"))))
    assert grid.qubits == (cirq.GridQubit(1, 0), cirq.NamedQubit("anc"))  # as Cirq sorts them
    assert [i.qubits for i in grid.circuit] == [(0, 1)]


def test_measurements_keep_their_keys_and_bits() -> None:
    circuit = cirq.Circuit(
        cirq.measure(Q[2], Q[0], key="m", invert_mask=(False, True)), cirq.measure(Q[1], key="k"),
        cirq.measure(Q[0], Q[2], key="m"),
    )  # fmt: skip
    made = translate(circuit)
    assert [(i.qubits, i.clbit) for i in made.circuit] == [((2,), 0), ((0,), 1), ((1,), 2), ((0,), 3), ((2,), 4)]
    assert {key: [r.clbits for r in records] for key, records in made.records.items()} == {
        "m": [(0, 1), (3, 4)],
        "k": [(2,)],
    }
    assert made.records["m"][0].inverted == (False, True)
    assert [register.name for register in made.circuit.cregs] == ["m", "k", "m_1"]


def test_inversion_by_gates_leaves_the_qubit_as_it_was() -> None:
    measured = cirq.measure(Q[0], Q[1], key="m", invert_mask=(True, True))
    made = translate(cirq.Circuit(measured, cirq.H(Q[0])), measuring="bits").circuit
    names = [(i.op.name.lower(), *i.qubits) for i in made]
    assert names == [("x", 0), ("measure", 0), ("x", 0), ("x", 1), ("measure", 1), ("h", 0)]


@pytest.mark.parametrize(
    ("controls", "conditions"),
    [
        (["a"], [Condition((0,), 1)]),
        (["b"], [Condition((1, 2), 0, negated=True)]),
        (["a", "b"], [Condition((0, 1, 2), v) for v in (3, 5, 7)]),
        ([cirq.BitMaskKeyCondition("b", target_value=2, equal_target=True)], [Condition((1, 2), 1)]),
        ([cirq.BitMaskKeyCondition("b", bitmask=1)], [Condition((1, 2), 2), Condition((1, 2), 3)]),
        ([sympy.Eq(sympy.Symbol("b"), 1)], [Condition((1, 2), 2)]),
        ([sympy.Symbol("b") > 5], []),
        ([sympy.Symbol("b") < 5], [None]),
        ([sympy.Xor(*(sympy.IndexedBase("b")[i] for i in range(2)))], [Condition((1, 2), 1), Condition((1, 2), 2)]),
    ],
    ids=str,
)
def test_classical_controls(controls: list[object], conditions: list[Condition]) -> None:
    # Cirq reads the first measured qubit as the most significant bit; it has the first classical bit of its key.
    circuit = cirq.Circuit(
        cirq.measure(Q[0], key="a"), cirq.measure(Q[1], Q[2], key="b"), cirq.X(Q[3]).with_classical_controls(*controls)
    )
    made = [i for i in translate(circuit).circuit if i.op is Op.X]
    assert sorted(i.condition is None or i.condition.value for i in made) == sorted(
        c is None or c.value for c in conditions
    )
    assert [i.condition for i in made] == conditions


def test_a_control_on_an_inverted_or_earlier_measurement() -> None:
    circuit = cirq.Circuit(
        cirq.measure(Q[0], key="a", invert_mask=(True,)),
        cirq.measure(Q[1], key="a"),
        cirq.X(Q[2]).with_classical_controls(cirq.KeyCondition(cirq.MeasurementKey("a"), 0)),
        cirq.X(Q[3]).with_classical_controls("a"),
    )
    conditions = [i.condition for i in translate(circuit).circuit if i.op is Op.X]
    assert conditions == [Condition((0,), 0), Condition((1,), 1)]


def test_controls_inside_a_controlled_subcircuit_hold_too() -> None:
    inner = cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(Q[2]).with_classical_controls("a"), cirq.Y(Q[2])))
    circuit = cirq.Circuit(cirq.measure(Q[0], key="a"), cirq.measure(Q[1], key="b"), inner.with_classical_controls("b"))
    found = [(i.op, i.condition) for i in translate(circuit).circuit if i.qubits == (2,)]
    assert found == [(Op.X, Condition((0, 1), 3)), (Op.Y, Condition((1,), 1))]


def test_what_a_subcircuit_measures_and_reads_is_not_forgotten() -> None:
    inner = cirq.FrozenCircuit(cirq.measure(Q[0], key="m"), cirq.X(Q[1]).with_classical_controls("m"))
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.CircuitOperation(inner).with_tags("t"), cirq.measure(Q[2], key="k"))
    made = translate(circuit, measuring="dephasing").circuit
    assert made.count_ops() == {"h": 1, "measure": 1, "x": 1, "phase_flip": 1}


def test_symbols_become_open_parameters() -> None:
    circuit = cirq.Circuit(cirq.rx(2 * A)(Q[0]), cirq.CZ(Q[0], Q[1]) ** (-B), cirq.Y(Q[1]) ** 0.5)
    made = translate(circuit).circuit
    assert made.parameters == ("a", "b")
    values = {"a": 0.3, "b": 0.7}
    bound = translate(cirq.resolve_parameters(circuit, values)).circuit
    assert np.allclose(made.bind(values).columns.params, bound.columns.params, atol=1e-15)


class Unknown(cirq.Gate):
    def _num_qubits_(self) -> int:
        return 1

    def __str__(self) -> str:
        return "Unknown"


@pytest.mark.parametrize(
    ("operations", "error", "words"),
    [
        ([Unknown()(Q[0])], UnsupportedError, "Unknown"),
        ([Unknown()(Q[0]).with_tags("t")], UnsupportedError, "Unknown"),
        ([cirq.X(Q[0]) ** (A + 1)], UnsupportedError, "depends on a"),
        ([cirq.rx(A * B)(Q[0])], UnsupportedError, "depends on a, b"),
        ([(cirq.H ** A)(Q[0])], UnsupportedError, "open symbols: a"),
        ([cirq.rx(math.nan)(Q[0])], CircuitError, "finite"),
        ([cirq.X(Q[0]) ** math.inf], CircuitError, "finite"),
        ([cirq.KrausChannel([np.eye(2)], key="k")(Q[0])], UnsupportedError, "its outcome has a key"),
        ([cirq.IdentityGate(qid_shape=(3,))(cirq.LineQid(0, 3))], UnsupportedError, "3 levels"),
        ([cirq.X(Q[0]).with_classical_controls("z")], UsageError, "z was measured not|z\\[-1\\]"),
        ([cirq.measure(Q[0], key="a"), cirq.measure(*Q[:2], key="a")], CircuitError, "measures 1 qubits, and then 2"),
        ([cirq.measure(*Q[:2], key="a", confusion_map={(0,): np.eye(4)})], CircuitError, "confusion map"),
        ([cirq.measure(Q[0], key="a", confusion_map={(0,): np.eye(2)}), cirq.X(Q[0]).with_classical_controls("a")],
         UnsupportedError, "confusion map"),
        ([cirq.measure(*cirq.LineQubit.range(11), key="a"), cirq.X(Q[0]).with_classical_controls("a")],
         UnsupportedError, "reads 11 bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_named(
    operations: list[cirq.Operation], error: type[ProximaError], words: str
) -> None:
    with pytest.raises(error, match=words):
        translate(cirq.Circuit(operations))


def test_a_subcircuit_until_a_condition_is_refused() -> None:
    body = cirq.FrozenCircuit(cirq.H(Q[0]), cirq.measure(Q[0], key="m"))
    until = cirq.CircuitOperation(
        body, use_repetition_ids=False, repeat_until=cirq.KeyCondition(cirq.MeasurementKey("m"))
    )
    with pytest.raises(UnsupportedError, match="until a condition"):
        translate(cirq.Circuit(until))


def test_a_qubit_outside_the_order() -> None:
    with pytest.raises(ValueError, match="extra"):
        translate(cirq.Circuit(cirq.X(Q[3])), qubit_order=Q[:2])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_circuits_survive_the_way_to_cirq_and_back(family: object) -> None:
    circuit = family.make(3)  # type: ignore[attr-defined]
    again = translate(to_cirq(circuit), measuring="bits").circuit
    assert again.final_measurements == circuit.final_measurements
    states = [reference.density_matrix(c.without_final_measurements()) for c in (circuit, again)]
    assert np.allclose(*states, atol=CLOSE)


@pytest.mark.parametrize("op", sorted(GATES - {Op.UNITARY}), ids=lambda op: op.name.lower())
def test_every_gate_has_the_same_effect_in_cirq(op: Op) -> None:
    spec = OPERATIONS[op]
    circuit = Circuit.builder(4)
    for q in range(4):
        circuit.u(0.3 + q, 0.5, 0.2 * q, q)
    circuit.append(op, [2, 0, 3][: spec.num_qubits], [0.3 + 0.4 * i for i in range(len(spec.params))])
    made = circuit.build()
    assert np.allclose(ours(made), state_of(to_cirq(made)), atol=CLOSE)


def test_conditions_and_channels_in_cirq() -> None:
    built = Circuit.builder(2, 2).h(0).measure(0, 1).measure(1, 0)
    built.append(Op.X, [1], condition=Condition((0, 1), 2)).depolarizing(0.1, 0).reset(1)
    circuit = built.build()
    again = translate(to_cirq(circuit), measuring="bits").circuit
    assert sorted(map(str, again)) == sorted(map(str, circuit))  # moments order what commutes


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        (Circuit.builder(1, 1).measure(0, 0).measure(0, 0).build(), "bit 0 is measured 2 times"),
        (Circuit.builder(1, 2).measure(0, 0).build(), "bit 1 is measured 0 times"),
        (Circuit.builder(2, 2).measure_all().append(Op.X, [0], condition=Condition((0, 1), 1, negated=True)).build(),
         "2 bits differ from 1"),
    ],
)  # fmt: skip
def test_what_cirq_cannot_say_is_named(circuit: Circuit, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        to_cirq(circuit)
