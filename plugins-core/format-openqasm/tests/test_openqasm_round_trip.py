"""What the writers write, the readers (ours and Qiskit's) read back as the same circuit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import qiskit.qasm2
import qiskit.qasm3
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator

from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_format_openqasm.formats import OpenQasm2, OpenQasm3
from proxima_format_openqasm.writing import angle

FIXED = sorted(op for op in GATES if op is not Op.UNITARY)
ANGLES = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=True),
    st.sampled_from([math.pi, -math.pi / 2, 3 * math.pi / 4, 1e-300, -0.0, 0.0, 5e22, 1e100, 1.0]),
)


@st.composite
def circuits(draw):
    builder = Circuit.builder(3, 0)
    for _ in range(draw(st.integers(1, 8))):
        op = draw(st.sampled_from([*FIXED, Op.UNITARY]))
        where = draw(st.permutations(range(3)))
        if op is Op.UNITARY:
            builder.unitary(random_unitary(draw(st.integers(0, 2**32 - 1))), where[0])
        else:
            spec = OPERATIONS[op]
            builder.append(op, where[: spec.num_qubits], [draw(st.floats(-7, 7)) for _ in spec.params])
    return builder.build()


def random_unitary(seed):
    rng = np.random.default_rng(seed)
    special = [np.diag([1, 1j]), np.array([[0, 1], [1j, 0]]), -np.eye(2)]
    if seed % 4 == 0:
        return special[seed // 4 % 3]
    return np.linalg.qr(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)))[0]


@given(ANGLES)
def test_angle_is_read_back_exactly(load2, load3, value):
    circuit = Circuit.builder(1).rz(value, 0).build()
    assert load2(OpenQasm2().dump(circuit)) == circuit
    assert load3(OpenQasm3().dump(circuit)) == circuit


def test_multiples_of_pi_are_written_so():
    assert [angle(x) for x in (math.pi, -math.pi, 3 * math.pi / 4, -math.pi / 2, 0.5)] == [
        "pi", "-pi", "3*pi/4", "-pi/2", "0.5",
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_every_gate_survives_openqasm2(load2, matrix, assert_same, circuit):
    text = OpenQasm2().dump(circuit)
    assert_same(matrix(load2(text)), matrix(circuit))
    read = qiskit.qasm2.loads(text, custom_instructions=qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    assert_same(Operator(read).data, matrix(circuit))


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_every_gate_survives_openqasm3(load3, matrix, assert_same, circuit):
    text = OpenQasm3().dump(circuit)
    assert_same(matrix(load3(text)), matrix(circuit))
    assert_same(Operator(qiskit.qasm3.loads(text)).data, matrix(circuit))


@pytest.mark.parametrize("op", FIXED)
def test_each_gate_by_itself(load2, load3, matrix, assert_same, op):
    spec = OPERATIONS[op]
    angles = [0.3, 0.7, -1.9, 2.1][: len(spec.params)]
    circuit = Circuit.builder(spec.num_qubits).append(op, range(spec.num_qubits), angles).build()
    assert_same(matrix(load2(OpenQasm2().dump(circuit))), matrix(circuit))
    assert_same(matrix(load3(OpenQasm3().dump(circuit))), matrix(circuit))


def classical(conditions):
    builder = Circuit.builder()
    builder.add_qubits("a", 2)
    builder.add_qubits("b", 1)
    builder.add_clbits("c", 2)
    builder.add_clbits("d", 1)
    builder.h(0).barrier(0, 2).measure(0, 2).reset(1)
    for condition in conditions:
        builder.append(Op.RX, (2,), (0.1,), condition=condition)
        builder.append(Op.MEASURE, (1,), clbit=0, condition=condition)
        builder.append(Op.RESET, (1,), condition=condition)
    return builder.build()


def test_registers_and_conditions_survive_openqasm2(load2):
    circuit = classical([Condition((0, 1), 2), Condition((2,), 1)])
    back = load2(OpenQasm2().dump(circuit))
    assert back == circuit
    assert (back.qregs, back.cregs) == (circuit.qregs, circuit.cregs)


def test_registers_and_conditions_survive_openqasm3(load3):
    conditions = [
        Condition((0, 1), 2), Condition((0, 1), 3, negated=True), Condition((2,), 1), Condition((1,), 0),
        Condition((0, 2), 1), Condition((1, 2), 3, negated=True),
    ]  # fmt: skip
    circuit = classical(conditions)
    back = load3(OpenQasm3().dump(circuit))
    assert back == circuit
    assert (back.qregs, back.cregs) == (circuit.qregs, circuit.cregs)


def test_parameters_survive_openqasm3(load3):
    builder = Circuit.builder(1)
    builder.rx(Parameter("theta"), 0).u(Parameter("phi", -0.3), 0.2, Parameter("theta", 2.0), 0)
    circuit = builder.build()
    assert load3(OpenQasm3().dump(circuit)) == circuit


def test_illegal_names_are_changed(load2, load3):
    builder = Circuit.builder()
    for name in ("Q", "q", "if", "x", "a b", "a_b", "é", "3"):
        builder.add_qubits(name, 1)
    builder.add_clbits("q", 1)
    circuit = builder.rx(0.1, 0).build()
    for load, dump in ((load2, OpenQasm2().dump), (load3, OpenQasm3().dump)):
        back = load(dump(circuit))
        assert back == circuit
        assert len({r.name for r in (*back.qregs, *back.cregs)}) == 9


def test_illegal_parameter_names_are_changed(load3):
    circuit = Circuit.builder(1).rx(Parameter("v[0]"), 0).rx(Parameter("pi"), 0).build()
    assert load3(OpenQasm3().dump(circuit)).parameters == ("v_0_", "pi_1")


@pytest.mark.parametrize("op", sorted(CHANNELS - {Op.KRAUS}))
def test_noise_is_refused_by_name(op):
    spec = OPERATIONS[op]
    circuit = Circuit.builder(2).append(op, range(spec.num_qubits), [0.1] * len(spec.params)).build()
    for format_ in (OpenQasm2(), OpenQasm3()):
        with pytest.raises(UnsupportedError, match=f"the channel {spec.name}$"):
            format_.dump(circuit)


def test_large_matrix_is_refused():
    circuit = Circuit.builder(2).unitary(np.eye(4), 0, 1).build()
    for format_ in (OpenQasm2(), OpenQasm3()):
        with pytest.raises(UnsupportedError, match="cannot hold the operation unitary on 2 qubits"):
            format_.dump(circuit)


def test_openqasm2_refuses_open_parameters():
    circuit = Circuit.builder(1).rx(Parameter("theta"), 0).build()
    with pytest.raises(UnsupportedError, match="OpenQASM 2 has no open parameters: rx needs 'theta'"):
        OpenQasm2().dump(circuit)


@pytest.mark.parametrize("condition", [Condition((0,), 1), Condition((0, 1), 1, negated=True), Condition((1, 0), 1)])
def test_openqasm2_refuses_other_conditions(condition):
    with pytest.raises(UnsupportedError, match="OpenQASM 2 can only compare a whole register"):
        OpenQasm2().dump(classical([condition]))


@pytest.mark.parametrize(
    ("head", "two", "three"),
    [
        (b"OPENQASM 2.0;\n", True, False),
        (b"\xef\xbb\xbf// a comment\n\n  OPENQASM 2.0;", True, False),
        (b"OPENQASM 3;", False, True),
        (b"/* block */ // line\nOPENQASM 3.1;", False, True),
        (b'include "qelib1.inc";\nqreg q[2];', True, False),
        (b"qreg q[2];", True, False),
        (b'include "stdgates.inc";', False, True),
        (b"qubit[2] q;", False, True),
        (b"", False, False),
        (b"\x00\xff" * 2000, False, False),
        (b"import cirq\n", False, False),
        (b"/" * 4096, False, False),
    ],
)
def test_recognises_by_header_or_first_statement(head, two, three):
    assert (OpenQasm2().recognises(head), OpenQasm3().recognises(head)) == (two, three)


def test_plugin_contributes_both_formats():
    from proxima_format_openqasm import plugin

    assert [f.name for f in plugin.proxima_formats()] == ["openqasm2", "openqasm3"]


def test_plugin_imports_neither_numpy_nor_parser():
    import subprocess
    import sys

    code = (
        "import sys, proxima_format_openqasm; "
        "print([m for m in ('numpy', 'openqasm3', 'antlr4', 'qiskit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
