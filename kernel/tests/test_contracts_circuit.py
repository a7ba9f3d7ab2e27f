import json
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Columns, Condition, Instruction, Parameter, Register
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import CircuitError, UsageError

FLIP = np.array([[0, 1], [1, 0]])
DAMPING = (np.diag([1, math.sqrt(0.5)]), np.array([[0, math.sqrt(0.5)], [0, 0]]))


@st.composite
def circuits(draw):
    """Circuits over the whole vocabulary, with conditions, open parameters, matrices and named registers."""
    builder = Circuit.builder(name=draw(st.text(max_size=3)))
    for number, size in enumerate(draw(st.lists(st.integers(0, 2), max_size=2))):
        builder.add_qubits(f"q{number}", size)
    builder.add_qubits("last", 3)
    builder.add_clbits("c", 3)
    bits = st.permutations(range(3))
    for op in draw(st.lists(st.sampled_from(Op), max_size=12)):
        spec = OPERATIONS[op]
        qubits = draw(st.permutations(range(builder.num_qubits)))[: spec.num_qubits or draw(st.integers(1, 2))]
        numbers = st.floats(0, 0.25)
        names = st.builds(Parameter, st.sampled_from("ab"), numbers)
        condition = st.none() | st.builds(Condition, bits.map(tuple), st.integers(0, 2**70), st.booleans())
        if op in (Op.UNITARY, Op.KRAUS):
            qubits = qubits[:1]
        builder.append(
            op,
            qubits,
            draw(st.tuples(*[numbers | names] * len(spec.params))),
            clbit=draw(st.integers(0, 2)) if op is Op.MEASURE else -1,
            condition=draw(condition),
            matrices={Op.UNITARY: (FLIP,), Op.KRAUS: DAMPING}.get(op, ()),
        )
    return builder.build()


def rows(circuit):
    return [(*each[:-1], [matrix.tolist() for matrix in each.matrices]) for each in circuit]


def bell():
    return Circuit.builder(2, 2).h(0).cx(0, 1).measure(0, 0).measure(1, 1)


# Bytes


@settings(deadline=None, max_examples=50)
@given(circuits())
def test_a_circuit_survives_its_bytes(circuit):
    again = Circuit.from_bytes(circuit.to_bytes())
    assert again == circuit
    assert rows(again) == rows(circuit)
    assert (again.name, again.qregs, again.cregs) == (circuit.name, circuit.qregs, circuit.cregs)
    assert again.to_bytes() == circuit.to_bytes()


def read_damaged(data):
    tracemalloc.start()
    try:
        return Circuit.from_bytes(data)
    except CircuitError:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20 + 100 * len(data)


@settings(deadline=None, max_examples=150)
@given(circuits(), st.data())
def test_damaged_bytes_are_a_circuit_error_or_another_circuit(circuit, data):
    damaged = bytearray(circuit.to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    read = read_damaged(damaged)
    if read is not None:
        assert Circuit.from_bytes(read.to_bytes()) == read


@settings(deadline=None, max_examples=50)
@given(circuits(), st.data())
def test_bytes_cut_short_are_a_circuit_error(circuit, data):
    whole = circuit.to_bytes()
    with pytest.raises(CircuitError):
        Circuit.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])


HEADER_FIELDS = (
    ("num_qubits", [10**9, 2**62, 2**70, -1, math.inf, math.nan, "two", None, []]),
    ("num_clbits", [10**9, -1, math.inf]),
    ("lengths", [[], [2**62] * 9, [-1] * 9, ["x"] * 9, [1.5] * 9, 3, None]),
    ("payloads", [[[2**31]], [[-2]], [["x"]], [3], 3]),
    ("qregs", [[["q", 2**62]], [["q", -2], ["r", 4]], [["q"]], [3], "ab"]),
    ("conditions", [[[[0], math.inf, False]], [[[2**62], 0, False]], [[0, 0, 0]], [3]]),
    ("metadata", [3, [1], "x"]),
)


@pytest.mark.parametrize(("field", "value"), [(name, each) for name, values in HEADER_FIELDS for each in values])
def test_a_header_that_promises_what_is_not_there_is_a_circuit_error(field, value):
    data = bell().build().to_bytes()
    (length,) = struct.unpack("<I", data[8:12])
    header = json.dumps(json.loads(data[12 : 12 + length]) | {field: value}).encode()
    padded = header + b" " * (-(12 + len(header)) % 8)
    assert (
        read_damaged(data[:8] + struct.pack("<I", len(padded)) + padded + data[12 + length + -(12 + length) % 8 :])
        is None
    )


@pytest.mark.parametrize("header", [b"[]", b"3", b"{}", b"[" * 100_000, b"\xff", b""])
def test_a_header_that_is_no_header_is_a_circuit_error(header):
    with pytest.raises(CircuitError):
        Circuit.from_bytes(b"PXCIRC\x00\x01" + struct.pack("<I", len(header)) + header)


def test_text_with_half_a_character_is_a_circuit_error():
    data = Circuit.builder(1, name="\U00010000").h(0).build().to_bytes()
    assert Circuit.from_bytes(data).name == "\U00010000"
    with pytest.raises(CircuitError, match="surrogates"):
        Circuit.from_bytes(data.replace(rb"\ud800\udc00", rb"\ud800\ud800"))


def test_a_header_without_end_is_refused_before_it_is_read():
    header = b'{"metadata":[' + b"[]," * (6 << 20) + b"[]]}"
    with pytest.raises(CircuitError, match="at most 16,777,216 are read"):
        Circuit.from_bytes(b"PXCIRC\x00\x01" + struct.pack("<I", len(header)) + header)


def test_offsets_whose_differences_wrap_are_refused():
    # 0 to 2^31 - 1, then to -2^31: as int32 a difference of 1. Taken at their word they are 32 GiB of rows.
    offsets = np.array([0, 2**31 - 1, -(2**31), -1, 1], dtype=np.int32)
    none, zeros = np.full(4, -1, np.int32), np.zeros(5, np.int32)
    columns = Columns(np.full(4, Op.BARRIER, np.uint8), offsets, np.zeros(1, np.int32), zeros, np.zeros(0),
                      np.zeros(0, np.int32), none, none, none)  # fmt: skip
    with pytest.raises(CircuitError, match="the qubit offsets are inconsistent"):
        Circuit(1, 0, columns)


# Content


@settings(deadline=None, max_examples=50)
@given(circuits())
def test_a_circuit_rebuilt_from_its_instructions_is_equal(circuit):
    builder = Circuit.builder(circuit.num_qubits, circuit.num_clbits, name="another name")
    for op, qubits, params, clbit, condition, matrices in circuit:
        builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
    again = builder.build()
    assert again.count_ops() == circuit.count_ops()
    assert rows(again) == rows(circuit)
    # The side tables hold what the operations use, in the order of first use.
    assert again == circuit


def test_equality_and_hash_go_by_content():
    assert bell().build() == bell().build()
    assert len({bell().build(), bell().build(), bell().x(0).build()}) == 2
    assert bell().build() != "bell"
    assert Circuit.builder(1).rx(0.1, 0).build() != Circuit.builder(1).rx(0.2, 0).build()
    assert Circuit.builder(1).unitary(FLIP, 0).build() != Circuit.builder(1).unitary(np.eye(2), 0).build()


def test_a_circuit_is_immutable():
    circuit = bell().build()
    with pytest.raises(AttributeError):
        circuit.name = "x"
    with pytest.raises(ValueError, match="read-only"):
        circuit.columns.qubits[0] = 1


def test_iteration_gives_instructions_and_rows_gives_plain_numbers():
    condition = Condition((0,), 1)
    circuit = Circuit.builder(2, 1).rz(0.5, 1).measure(0, 0).cx(1, 0, condition=condition).build()
    assert list(circuit) == [
        Instruction(Op.RZ, (1,), (0.5,)),
        Instruction(Op.MEASURE, (0,), clbit=0),
        Instruction(Op.CX, (1, 0), condition=condition),
    ]
    assert list(circuit.rows()) == [(Op.RZ, [1], [0.5]), (Op.MEASURE, [0], []), (Op.CX, [1, 0], [])]
    assert repr(circuit) == "<Circuit: 2 qubits, 1 classical bits, 3 operations>"


def test_registers_partition_the_bits():
    builder = Circuit.builder(1)
    assert (builder.add_qubits("a", 2), builder.add_clbits("m", 1)) == (range(1, 3), range(1))
    circuit = builder.build()
    assert circuit.qregs == (Register("q", 1), Register("a", 2))
    assert circuit.cregs == (Register("m", 1),)


def test_measure_all_adds_the_classical_bits_that_are_missing():
    assert Circuit.builder(2).measure_all().build().cregs == (Register("meas", 2),)
    assert Circuit.builder(2, 1).measure_all().build().cregs == (Register("c", 2),)
    assert Circuit.builder(2, 3).measure_all().build().final_measurements == ((0, 0), (1, 1))


def test_a_condition_reads_its_bits_the_first_least_significant():
    condition = Condition((2, 0), 1)
    assert [condition.holds(bits) for bits in ((0, 0, 1), (1, 0, 0), (0, 1, 1))] == [True, False, True]
    assert Condition((2, 0), 1, negated=True).holds((1, 0, 0))


# Measurements, depth


@pytest.mark.parametrize(
    ("builder", "final"),
    [
        (bell(), ((0, 0), (1, 1))),
        (bell().h(0), ((1, 1),)),
        (bell().barrier(), ((0, 0), (1, 1))),
        (bell().reset(1), ((0, 0),)),
        (bell().measure(1, 0), ((1, 0),)),
        (bell().measure(0, 0), ((1, 1), (0, 0))),
        (Circuit.builder(2, 2).measure(0, 0).x(1, condition=Condition((0,), 1)).measure(1, 1), ((1, 1),)),
        (Circuit.builder(1, 1).append(Op.MEASURE, (0,), clbit=0, condition=Condition((0,), 0)), ()),
        (Circuit.builder(1, 1).h(0), ()),
        (Circuit.builder(), ()),
    ],
)
def test_final_measurements_are_those_that_nothing_follows(builder, final):
    circuit = builder.build()
    assert circuit.final_measurements == final
    assert len(circuit.without_final_measurements()) == len(circuit) - len(final)


@pytest.mark.parametrize("seed", range(20))
def test_final_measurements_of_a_long_circuit_are_what_walking_over_its_rows_finds(seed):
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(4, 3)
    for kind, qubit in rng.integers(4, size=(140, 2)).tolist():
        if kind == 0:
            builder.measure(qubit, int(rng.integers(3)))
        elif kind == 1:
            builder.barrier()
        elif kind == 2:
            builder.cx(qubit, (qubit + 1) % 4)
        elif seed % 2:
            builder.reset(qubit)
    circuit = builder.measure(seed % 4, 0).build()
    assert len(circuit) > 64
    assert circuit.final_mask.any()
    assert (circuit.final_mask == circuit._final_mask_by_row()).all()


def test_rows_are_selected_without_what_was_counted_of_the_others():
    circuit = bell().build()
    assert (circuit.depth, circuit.final_mask.sum()) == (3, 2)
    body = circuit.without_final_measurements()
    assert (len(body), body.depth, body.final_mask.any(), body.cregs) == (2, 2, False, circuit.cregs)
    assert circuit.without_final_measurements() is body
    with pytest.raises(ValueError, match="read-only"):
        body.columns.ops[0] = 0


def test_a_circuit_is_dynamic_with_a_condition_a_reset_or_a_measurement_in_the_middle():
    assert not bell().build().is_dynamic
    for builder in (bell().h(0), bell().reset(0), Circuit.builder(1, 1).x(0, condition=Condition((0,), 0))):
        assert builder.build().is_dynamic


def test_depth_follows_qubits_and_classical_bits_and_ignores_barriers():
    assert Circuit.builder(3).h(0).h(1).h(2).build().depth == 1
    assert Circuit.builder(2).h(0).barrier(0, 1).h(1).build().depth == 2
    assert Circuit.builder(2, 1).measure(0, 0).x(1, condition=Condition((0,), 1)).build().depth == 2
    assert Circuit.builder(2).build().depth == 0


@settings(deadline=None, max_examples=50)
@given(circuits(), st.data())
def test_select_keeps_the_chosen_rows_as_they_are(circuit, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(circuit), max_size=len(circuit))), dtype=np.bool_)
    chosen = circuit.select(keep)
    assert rows(chosen) == [row for row, kept in zip(rows(circuit), keep, strict=True) if kept]
    assert (chosen.num_qubits, chosen.qregs, chosen.cregs) == (circuit.num_qubits, circuit.qregs, circuit.cregs)


# Parameters


@settings(deadline=None, max_examples=50)
@given(circuits(), st.floats(0, 1), st.floats(0, 1))
def test_bind_gives_every_parameter_its_coefficient_times_the_value(circuit, a, b):
    values = {name: value for name, value in (("a", a), ("b", b)) if name in circuit.parameters}
    bound = circuit.bind(values)
    assert bound.parameters == ()
    for before, after in zip(circuit, bound, strict=True):
        expected = [p.coefficient * values[p.name] if isinstance(p, Parameter) else p for p in before.params]
        assert list(after.params) == expected


def test_bind_names_what_is_missing_unknown_or_not_finite():
    circuit = Circuit.builder(1).rx(Parameter("theta"), 0).build()
    for values, message in (
        ({}, "no value for theta"),
        ({"theta": 1, "phi": 2}, "no parameter is called phi"),
        ({"theta": math.inf}, "not a finite number"),
    ):
        with pytest.raises(UsageError, match=message):
            circuit.bind(values)
    noisy = Circuit.builder(1).bit_flip(Parameter("p"), 0).build()
    with pytest.raises(CircuitError, match=r"a probability lies outside \[0, 1\]"):
        noisy.bind({"p": 1.5})


def test_open_probabilities_are_judged_when_they_are_bound():
    circuit = Circuit.builder(1).pauli_channel(Parameter("p"), Parameter("p"), Parameter("p"), 0).build()
    assert circuit.bind({"p": 0.25}).parameters == ()
    with pytest.raises(CircuitError, match="sum to more than 1"):
        circuit.bind({"p": 0.5})


# What is refused


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (Circuit.builder(2).h(2), r"operation 0 \(h\): qubit 2 is out of range; the circuit has 2"),
        (Circuit.builder(2).h(-1), "qubit -1 is out of range"),
        (Circuit.builder(2).h(0).cx(1, 1), r"operation 1 \(cx\): qubit 1 is used twice in one operation"),
        (Circuit.builder(1).rx(math.nan, 0), r"\(rx\): a parameter is not a finite number"),
        (Circuit.builder(1).bit_flip(1.5, 0), r"a probability lies outside \[0, 1\]"),
        (Circuit.builder(1).pauli_channel(0.5, 0.4, 0.2, 0), "sum to more than 1"),
        (Circuit.builder(1, 1).measure(0, 1), "classical bit out of range"),
        (Circuit.builder(1, 1).x(0, condition=Condition((1,), 1)), "a condition reads classical bit 1; there are 1"),
        (Circuit.builder(1).append(Op.X, (0,), clbit=0), "only a measurement writes a classical bit"),
        (Circuit.builder(1).append(Op.X, (0,), matrices=(FLIP,)), "the operation takes no matrix"),
        (Circuit.builder(1).append(Op.UNITARY, (0,)), "the matrix is missing"),
        (Circuit.builder(1).unitary(2 * FLIP, 0), "not unitary; it is off by 3 in the largest element"),
        (Circuit.builder(1).unitary(np.full((2, 2), np.nan), 0), "not unitary"),
        (Circuit.builder(1).unitary(np.full((2, 2), np.inf), 0), "not unitary"),
        (Circuit.builder(2).unitary(FLIP, 0, 1), r"a matrix on 2 qubits has shape \(4, 4\)"),
        (Circuit.builder(1).append(Op.UNITARY, (0,), matrices=(FLIP, FLIP)), "takes one matrix"),
        (Circuit.builder(1).kraus(DAMPING[:1], 0), "not trace preserving"),
        (Circuit.builder(13).unitary(FLIP, *range(13)), "a matrix acts on 1 to 12 qubits, not 13"),
        (Circuit.builder(10**9), "a circuit cannot have 1000000000 quantum bits"),
        (Circuit.builder(0, -1), "a circuit cannot have -1 classical bits"),
    ],
)
def test_build_refuses(builder, message):
    with pytest.raises(CircuitError, match=message):
        builder.build()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("ops", [200, 20], r"operation 0 \(code 200\): unknown operation code"),
        ("qubit_offsets", [0, 2, 3], "wrong number of qubits"),
        ("qubit_offsets", [0, 5, 3], "the qubit offsets are inconsistent"),
        ("qubit_offsets", [0, 3], "the qubit offsets are inconsistent"),
        ("param_offsets", [0, 0, 1], "the parameter offsets are inconsistent"),
        ("param_refs", [0], "the columns differ in length"),
        ("clbits", [-1], "the columns differ in length"),
        ("conditions", [-1, 0], "unknown condition"),
        ("payloads", [-2, -1], "takes no matrix"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(column, values, message):
    circuit = Circuit.builder(2).h(0).cx(0, 1).build()
    dtype = getattr(circuit.columns, column).dtype
    with pytest.raises(CircuitError, match=message):
        Circuit(2, 0, circuit.columns._replace(**{column: np.array(values, dtype=dtype)}))


def test_registers_that_do_not_hold_the_bits_are_refused():
    columns = Circuit.builder(2).build().columns
    with pytest.raises(CircuitError, match="the quantum registers hold 1 bits, not 2"):
        Circuit(2, 0, columns, qregs=(Register("q", 1),))


def test_the_builder_names_the_arguments_that_an_operation_takes():
    for call, message in (
        (lambda b: b.rx(0), r"rx\(theta, qubit0\): got 1 arguments"),
        (lambda b: b.append(Op.CX, (0,)), "cx takes 2 qubits, got 1"),
        (lambda b: b.append(Op.RX, (0,)), "rx takes 1 parameters, got 0"),
    ):
        with pytest.raises(CircuitError, match=message):
            call(Circuit.builder(2))
    with pytest.raises(AttributeError, match="there is no operation called 'hadamard'"):
        Circuit.builder(1).hadamard(0)
