"""The OpenQASM 3 reader held against Qiskit's, and against Amazon Braket's definitions."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import qiskit.qasm3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter as QiskitParameter
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from qiskit.circuit.library import standard_gates as gates
from qiskit.quantum_info import Operator

from proxima.contracts.circuit import Condition, Parameter
from proxima.contracts.operations import Op

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'

STANDARD = [
    gates.HGate, gates.XGate, gates.SGate, gates.TdgGate, gates.SXGate, gates.SXdgGate, gates.RXGate, gates.RZGate,
    gates.PhaseGate, gates.UGate, gates.RGate, gates.U2Gate, gates.CXGate, gates.CYGate, gates.CHGate, gates.CSXGate,
    gates.SwapGate, gates.iSwapGate, gates.ECRGate, gates.CRXGate, gates.CPhaseGate, gates.CUGate, gates.RXXGate,
    gates.RYYGate, gates.RZZGate, gates.RZXGate, gates.CCXGate, gates.CCZGate, gates.CSwapGate, gates.C3XGate,
    gates.DCXGate, gates.RCCXGate, gates.XXPlusYYGate,
]  # fmt: skip
NUM_PARAMS = {gates.RXGate: 1, gates.RZGate: 1, gates.PhaseGate: 1, gates.UGate: 3, gates.RGate: 2, gates.U2Gate: 2}
NUM_PARAMS |= {gates.CRXGate: 1, gates.CPhaseGate: 1, gates.CUGate: 4, gates.RXXGate: 1, gates.RYYGate: 1}
NUM_PARAMS |= {gates.RZZGate: 1, gates.RZXGate: 1, gates.XXPlusYYGate: 2}
ANGLES = st.one_of(st.floats(-7, 7, allow_nan=False), st.sampled_from([math.pi / 2, -math.pi / 8, 3 * math.pi]))


@st.composite
def qiskit_circuits(draw):
    circuit = QuantumCircuit(4)
    for _ in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(STANDARD))
        gate = kind(*[draw(ANGLES) for _ in range(NUM_PARAMS.get(kind, 0))])
        circuit.append(gate, draw(st.permutations(range(4)))[: gate.num_qubits])
    return circuit


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(qiskit_circuits())
def test_reads_what_qiskit_dumps(load3, matrix, assert_same, circuit):
    assert_same(matrix(load3(qiskit.qasm3.dumps(circuit))), Operator(circuit).data)


MODIFIED = st.one_of(
    st.builds(
        lambda mods, gate: " @ ".join([*mods, gate]),
        st.lists(st.sampled_from(["ctrl", "negctrl", "inv", "pow(2)", "pow(-3)", "ctrl(1)"]), max_size=3),
        st.sampled_from(["h", "s", "sx", "rx(0.3)", "U(0.1, 0.2, 0.3)", "g(0.7)", "z", "p(-1.2)", "u2(0.4, 2)"]),
    )
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(MODIFIED, st.permutations(["q[0]", "q[1]", "q[2]", "q[3]"])), min_size=1, max_size=4))
def test_modifiers_are_qiskits(load3, matrix, assert_same, calls):
    text = HEADER + "gate g(t) a { rz(t) a; h a; U(t/2, 0, -t) a; }\nqubit[4] q;\n"
    for call, where in calls:
        text += f"{call} {', '.join(where[: 1 + call.count('ctrl')])};\n"
    assert_same(matrix(load3(text)), Operator(qiskit.qasm3.loads(text)).data)


@pytest.mark.parametrize(
    "text",
    [
        "gphase(0.3); h q[0];",
        "ctrl @ gphase(pi/3) q[0];",
        "ctrl(2) @ gphase(pi/3) q[0], q[1];",
        "ctrl(3) @ x q[0], q[1], q[2], q[3];",
        "ctrl @ ctrl @ rz(0.3) q[0], q[1], q[2];",
        "h q; cx q[0:1], q[2:3];",
        "let r = q[1:2]; cx r[0], r[1];",
        "gate g(a, b) x, y { cp(a) x, y; ctrl @ rx(b) y, x; }\ng(0.3, -1) q[3], q[1];",
    ],
)
def test_constructs_are_qiskits(load3, matrix, assert_same, text):
    text = HEADER + "qubit[4] q;\n" + text
    assert_same(matrix(load3(text)), Operator(qiskit.qasm3.loads(text)).data)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("for int i in [0:2:2] { rx(i * 0.3 + 0.1) q[i]; }", "rx(0.1) q[0]; rx(0.7) q[2];"),
        ("for int i in {1, 3} h q[i];", "h q[1]; h q[3];"),
        ("const float a = pi / 3; const int n = 2; rx(n * a) q[n];", "rx(2*pi/3) q[2];"),
        ("rx(sin(0.3) ** 2 - arccos(0.1)) q[0];", f"rx({math.sin(0.3) ** 2 - math.acos(0.1)}) q[0];"),
        ("rz(log(2.0) + exp(1) + 7 % 4) q[0];", f"rz({math.log(2) + math.e + 3}) q[0];"),
        ("let r = q[{3, 0}] ++ q[1:1]; h r; cx r[0], r[-1];", "h q[0]; h q[1]; h q[3]; cx q[3], q[1];"),
        ("gate g(t) a { for int i in [1:2] rx(i * t) a; }\nctrl @ g(0.2) q[0], q[1];", "crx(0.6) q[0], q[1];"),
        ("cx q[0], q[1:2];", "cx q[0], q[1]; cx q[0], q[2];"),
        ("box { h q[0]; }", "h q[0];"),
    ],
)
def test_constructs_mean_their_plain_form(load3, matrix, text, plain):
    head = HEADER + "qubit[4] q;\n"
    np.testing.assert_allclose(matrix(load3(head + text)), matrix(load3(head + plain)), atol=1e-12)


def diagonal(*entries):
    return np.diag(entries)


def big_endian(matrix):
    """Braket's matrices have the first qubit as the most significant."""
    n = int(math.log2(len(matrix)))
    order = [int(f"{i:0{n}b}"[::-1], 2) for i in range(2**n)]
    return np.array(matrix, dtype=complex)[np.ix_(order, order)]


A, B, C = 0.37, -1.3, 2.1
R2 = math.sqrt(2)
E = cmath.exp
# As the Braket SDK documents them.
BRAKET = {
    "i": np.eye(2),
    "v": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "vi": np.array([[1 - 1j, 1 + 1j], [1 + 1j, 1 - 1j]]) / 2,
    "si": diagonal(1, -1j),
    "ti": diagonal(1, E(-1j * math.pi / 4)),
    f"phaseshift({A})": diagonal(1, E(1j * A)),
    f"gpi({A})": [[0, E(-1j * A)], [E(1j * A), 0]],
    f"gpi2({A})": np.array([[1, -1j * E(-1j * A)], [-1j * E(1j * A), 1]]) / R2,
    f"prx({A}, {B})": [
        [math.cos(A / 2), -1j * E(-1j * B) * math.sin(A / 2)],
        [-1j * E(1j * B) * math.sin(A / 2), math.cos(A / 2)],
    ],
    "cnot": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]],
    f"cphaseshift({A})": diagonal(1, 1, 1, E(1j * A)),
    f"cphaseshift00({A})": diagonal(E(1j * A), 1, 1, 1),
    f"cphaseshift01({A})": diagonal(1, E(1j * A), 1, 1),
    f"cphaseshift10({A})": diagonal(1, 1, E(1j * A), 1),
    f"pswap({A})": [[1, 0, 0, 0], [0, 0, E(1j * A), 0], [0, E(1j * A), 0, 0], [0, 0, 0, 1]],
    f"xy({A})": [
        [1, 0, 0, 0],
        [0, math.cos(A / 2), 1j * math.sin(A / 2), 0],
        [0, 1j * math.sin(A / 2), math.cos(A / 2), 0],
        [0, 0, 0, 1],
    ],
    f"zz({A})": diagonal(E(-1j * A / 2), E(1j * A / 2), E(1j * A / 2), E(-1j * A / 2)),
    f"xx({A})": math.cos(A / 2) * np.eye(4) - 1j * math.sin(A / 2) * np.fliplr(np.eye(4)),
    f"yy({A})": math.cos(A / 2) * np.eye(4) - 1j * math.sin(A / 2) * np.fliplr(np.diag([-1, 1, 1, -1])),
    "iswap": [[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]],
    "ecr": np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]) / R2,
    f"ms({A}, {B}, {C})": [
        [math.cos(C / 2), 0, 0, -1j * E(-1j * (A + B)) * math.sin(C / 2)],
        [0, math.cos(C / 2), -1j * E(-1j * (A - B)) * math.sin(C / 2), 0],
        [0, -1j * E(1j * (A - B)) * math.sin(C / 2), math.cos(C / 2), 0],
        [-1j * E(1j * (A + B)) * math.sin(C / 2), 0, 0, math.cos(C / 2)],
    ],
    "ccnot": np.eye(8)[[0, 1, 2, 3, 4, 5, 7, 6]],
}


@pytest.mark.parametrize("call", sorted(BRAKET))
def test_braket_gate_is_brakets_phase_included(load3, matrix, call):
    expected = big_endian(BRAKET[call])
    n = int(math.log2(len(expected)))
    qubits = ", ".join(f"q[{i}]" for i in range(n))
    # Under ctrl the global phase shows: the control is the highest qubit, so the gate is the lower right block.
    actual = matrix(load3(f"OPENQASM 3.0;\nqubit[{n + 1}] q;\nctrl @ {call} q[{n}], {qubits};"))
    size = 2**n
    np.testing.assert_allclose(actual[size:, size:], expected, atol=1e-12)
    np.testing.assert_allclose(actual[:size, :size], np.eye(size), atol=1e-12)


def test_braket_sample_with_pragmas(load3):
    circuit = load3(
        """OPENQASM 3.0;
bit[2] b;
qubit[2] q;
h q[0];
cnot q[0], q[1];
#pragma braket unitary([[0, 0, 0, 1.0], [1.0, 0, 0, 0], [0, 1.0im, 0, 0], [0, 0, 0.6 + 0.8im, 0]]) q[0], q[1]
#pragma braket noise depolarizing(0.1) q[1]
#pragma braket noise generalized_amplitude_damping(0.2, 0.7) q[0]
#pragma braket noise two_qubit_dephasing(0.3) q[0], q[1]
#pragma braket noise kraus([[1, 0], [0, 0.6]], [[0, 0.8], [0, 0]]) q[0]
#pragma braket result expectation z(q[0])
b[0] = measure q[0];
b[1] = measure q[1];
"""
    )
    rows = list(circuit)
    assert [r.op for r in rows] == [
        Op.H, Op.CX, Op.UNITARY, Op.DEPOLARIZING, Op.GENERALIZED_AMPLITUDE_DAMPING, Op.KRAUS, Op.KRAUS, Op.MEASURE,
        Op.MEASURE,
    ]  # fmt: skip
    # Braket's first target is the most significant bit of the matrix.
    assert rows[2].qubits == (1, 0)
    assert rows[2].matrices[0][3, 2] == 0.6 + 0.8j
    assert rows[4].params == (0.7, 0.2)


def test_physical_qubits(load3):
    circuit = load3("OPENQASM 3.0;\nbit[1] b;\nh $3;\ncnot $3, $1;\nb[0] = measure $1;")
    assert circuit.num_qubits == 4
    assert [i.qubits for i in circuit] == [(3,), (3, 1), (1,)]


def test_open_parameters_are_kept(load3):
    theta = QiskitParameter("theta")
    circuit = QuantumCircuit(1)
    circuit.rx(theta, 0)
    circuit.rz(-theta / 2, 0)
    (rx, rz) = load3(qiskit.qasm3.dumps(circuit))
    assert (rx.params, rz.params) == ((Parameter("theta"),), (Parameter("theta", -0.5),))


def test_conditions(load3):
    head = HEADER + "qubit[2] q;\nbit[3] c;\nbit d;\n"
    expected = {
        "c == 5": Condition((0, 1, 2), 5),
        '"110" == c': Condition((0, 1, 2), 6),
        "c != 5": Condition((0, 1, 2), 5, negated=True),
        "!(c == 5)": Condition((0, 1, 2), 5, negated=True),
        "c[1]": Condition((1,), 1),
        "!c[1]": Condition((1,), 0),
        "d": Condition((3,), 1),
        "c[2] == 0": Condition((2,), 0),
        "c[2] != true": Condition((2,), 0),
        "c[0] && !d": Condition((0, 3), 1),
        "c[0] == 1 && c[2] == 1 && d == 0": Condition((0, 2, 3), 3),
        "c[0] || d": Condition((0, 3), 0, negated=True),
        "c": Condition((0, 1, 2), 0, negated=True),
    }
    for text, condition in expected.items():
        (row,) = load3(f"{head}if ({text}) x q[0];")
        assert row.condition == condition, text


def test_else_and_nested_if(load3):
    circuit = load3(
        HEADER + "qubit[1] q; bit[2] c;\nif (c[0]) { x q[0]; if (c[1]) { y q[0]; } else { z q[0]; } } else { h q[0]; }"
    )
    assert [(i.op, i.condition) for i in circuit] == [
        (Op.X, Condition((0,), 1)),
        (Op.Y, Condition((0, 1), 3)),
        (Op.Z, Condition((0, 1), 1)),
        (Op.H, Condition((0,), 0)),
    ]


def test_condition_that_cannot_hold_is_left_out(load3):
    assert len(load3(HEADER + "qubit q; bit[2] c;\nif (c == 7) x q; else y q;")) == 1


def test_qiskits_if_else_and_mid_circuit_measurement(load3):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.z(1)
    with circuit.if_test((circuit.cregs[0], 2)):
        circuit.reset(0)
    circuit.barrier()
    circuit.measure([0, 1], [0, 1])
    rows = list(load3(qiskit.qasm3.dumps(circuit)))
    assert [r.op for r in rows] == [
        Op.H, Op.MEASURE, Op.X, Op.Z, Op.RESET, Op.BARRIER, Op.MEASURE, Op.MEASURE,
    ]  # fmt: skip
    assert [r.condition for r in rows[2:5]] == [Condition((0,), 1), Condition((0,), 0), Condition((0, 1), 2)]


def test_measurement_last_in_a_body_may_write_the_condition(load3):
    circuit = load3(HEADER + "qubit q; bit c;\nif (c) { x q; c = measure q; }")
    assert [i.condition for i in circuit] == [Condition((0,), 1)] * 2


def test_real_powers_are_principal_roots(load3, matrix, assert_same):
    circuit = load3(HEADER + "qubit[2] q;\npow(0.5) @ x q[0]; pow(0.25) @ cx q[0], q[1]; pow(1/2.0) @ z q[1];")
    controlled = np.eye(4, dtype=complex)
    controlled[1::2, 1::2] = Operator(gates.XGate().power(0.25)).data
    expected = QuantumCircuit(2)
    expected.sx(0)
    expected.append(UnitaryGate(controlled), [0, 1])
    expected.s(1)
    assert_same(matrix(circuit), Operator(expected).data)
