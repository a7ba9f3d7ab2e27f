import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.noise import SHORTHANDS, NoiseModel, NoiseRule
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UsageError

MODEL = NoiseModel.parse("bit_flip:0.1")


def operations(circuit):
    return [(each.op, each.qubits) for each in circuit]


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


def test_shorthands_are_the_one_qubit_channels_with_one_parameter():
    assert {"depolarizing", "bit_flip", "phase_flip", "bit_phase_flip", "amplitude_damping", "phase_damping"} == set(
        SHORTHANDS
    )
    assert all(Op[name.upper()] in CHANNELS for name in SHORTHANDS)
