import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.noise import SHORTHANDS, NoiseModel, NoiseRule
from proxima.contracts.operations import CHANNELS, Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError

MODEL = NoiseModel.parse("bit_flip:0.1")


def operations(circuit):
    return [(each.op, each.qubits) for each in circuit]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SHORTHANDS), st.floats(0, 1)), min_size=1, max_size=3))
def test_the_shorthand_reads_back_as_the_same_model(parts):
    model = NoiseModel.parse(", ".join(f"{name}:{value}" for name, value in parts))
    assert [rule.params for rule in model.rules] == [(value,) for _, value in parts]
    assert NoiseModel.parse(str(model)) == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noisy:0.1", "unknown noise 'noisy'"),
        ("pauli_channel:0.1", "unknown noise 'pauli_channel'"),
        ("bit_flip:", "'' is not a number between 0 and 1"),
        ("bit_flip:1.5", "'1.5' is not a number between 0 and 1"),
        ("bit_flip:nan", "'nan' is not a number"),
        ("bit_flip:0.1,", "unknown noise ''"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(UsageError, match=message):
        NoiseModel.parse(text)


def test_a_channel_follows_each_gate_on_every_qubit_that_it_touches():
    circuit = Circuit.builder(3, 1).h(0).barrier(0, 1).cx(2, 0).reset(1).measure(0, 0).build()
    assert operations(MODEL.apply(circuit)) == [
        (Op.H, (0,)),
        (Op.BIT_FLIP, (0,)),
        (Op.BARRIER, (0, 1)),
        (Op.CX, (2, 0)),
        (Op.BIT_FLIP, (2,)),
        (Op.BIT_FLIP, (0,)),
        (Op.RESET, (1,)),
        (Op.MEASURE, (0,)),
    ]


def test_a_rule_names_gates_and_qubits():
    circuit = Circuit.builder(2).h(0).h(1).cx(0, 1).build()
    rule = NoiseRule(Op.PAULI_CHANNEL, (0.1, 0.2, 0.3), gates=frozenset({"h"}), qubits=frozenset({1}))
    noisy = NoiseModel((rule,)).apply(circuit)
    assert operations(noisy) == [(Op.H, (0,)), (Op.H, (1,)), (Op.PAULI_CHANNEL, (1,)), (Op.CX, (0, 1))]
    assert list(noisy)[2].params == (0.1, 0.2, 0.3)


def test_a_two_qubit_channel_follows_two_qubit_gates_on_their_qubits_in_order():
    circuit = Circuit.builder(3).h(0).cx(2, 0).ccx(0, 1, 2).build()
    model = NoiseModel.parse("depolarizing2:0.1")
    assert operations(model.apply(circuit)) == [
        (Op.H, (0,)),
        (Op.CX, (2, 0)),
        (Op.DEPOLARIZING2, (2, 0)),
        (Op.CCX, (0, 1, 2)),
    ]


def test_a_rule_may_hold_for_particular_qubits_and_another_for_all_the_others():
    circuit = Circuit.builder(3).cx(0, 1).cx(1, 0).cx(1, 2).build()
    flip = {"params": (0.1,), "gates": frozenset({"cx"})}
    rules = (
        NoiseRule(Op.BIT_FLIP, **flip, gate_qubits=frozenset({(1, 0)}), positions=(1,)),
        NoiseRule(Op.PHASE_FLIP, **flip, except_for=frozenset({(1, 0)}), positions=(0,)),
    )
    assert operations(NoiseModel(rules).apply(circuit)) == [
        (Op.CX, (0, 1)),
        (Op.PHASE_FLIP, (0,)),
        (Op.CX, (1, 0)),
        (Op.BIT_FLIP, (0,)),
        (Op.CX, (1, 2)),
        (Op.PHASE_FLIP, (1,)),
    ]


def test_noise_comes_before_a_measurement_and_after_a_reset():
    circuit = Circuit.builder(1, 1).reset(0).measure(0, 0).build()
    rule = NoiseRule(Op.BIT_FLIP, (0.1,), gates=frozenset({"measure", "reset"}))
    assert operations(NoiseModel((rule,)).apply(circuit)) == [
        (Op.RESET, (0,)),
        (Op.BIT_FLIP, (0,)),
        (Op.BIT_FLIP, (0,)),
        (Op.MEASURE, (0,)),
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"channel": Op.H}, "h is no channel"),
        ({"channel": Op.BIT_FLIP, "params": (0.1, 0.2)}, r"takes the parameters \(p\)"),
        ({"channel": Op.BIT_FLIP, "params": (float("nan"),)}, "outside"),
        ({"channel": Op.KRAUS}, "Kraus operators come with"),
        ({"channel": Op.KRAUS, "kraus": (((1, 0), (0, 1, 0)),)}, "square matrices"),
        ({"channel": Op.BIT_FLIP, "params": (0.1,), "positions": (0, 1)}, "acts on 1 qubits"),
    ],
)
def test_a_rule_that_makes_no_sense(rule, message):
    with pytest.raises(UsageError, match=message):
        NoiseRule(**rule)


def test_the_shorthand_of_readout_holds_for_every_qubit():
    model = NoiseModel.parse("depolarizing:0.01,readout:0.02")
    assert model.readout_of(2) == {0: ReadoutError(0.02, 0.02), 1: ReadoutError(0.02, 0.02)}
    assert str(model) == "depolarizing:0.01,readout:0.02"
    assert NoiseModel.parse(str(model)) == model


def test_channels_that_are_there_get_no_noise_of_their_own():
    circuit = Circuit.builder(1).bit_flip(0.2, 0).build()
    assert MODEL.apply(circuit) == circuit


def test_a_channel_stands_under_its_gates_condition_and_the_rest_stays():
    condition = Condition((0,), 1)
    builder = Circuit.builder(1, name="c")
    builder.add_clbits("m", 1)
    circuit = builder.measure(0, 0).x(0, condition=condition).unitary([[0, 1], [1, 0]], 0).build()
    noisy = MODEL.apply(circuit)
    assert [each.condition for each in noisy] == [None, condition, condition, None, None]
    assert (noisy.name, noisy.qregs, noisy.cregs) == (circuit.name, circuit.qregs, circuit.cregs)
    assert noisy.select(~(noisy.columns.ops == Op.BIT_FLIP)) == circuit


def test_shorthands_are_the_channels_with_one_parameter():
    flips = {"bit_flip", "phase_flip", "bit_phase_flip"}
    assert {"depolarizing", "depolarizing2", "amplitude_damping", "phase_damping"} | flips == set(SHORTHANDS)
    assert all(Op[name.upper()] in CHANNELS for name in SHORTHANDS)
