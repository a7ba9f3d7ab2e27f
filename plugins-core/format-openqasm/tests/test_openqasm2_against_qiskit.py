"""Our OpenQASM 2 reader held against Qiskit's: on real circuits, on each gate, on generated programs."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import qiskit.qasm2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator

from proxima.contracts.operations import Op
from proxima.errors import CircuitSyntaxError
from proxima_format_openqasm.formats import OpenQasm2
from proxima_format_openqasm.qelib1 import qelib1

CIRCUITS = Path(__file__).parents[3].parent / "shared" / "circuits"
LEGACY = {
    "custom_instructions": qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
    "custom_classical": qiskit.qasm2.LEGACY_CUSTOM_CLASSICAL,
}
HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
# Qiskit's parser has a shorter file built in; this is the long one, read gate body by gate body.
QELIB1 = (Path(qiskit.__file__).parent / "qasm" / "libs" / "qelib1.inc").read_text()
# Qiskit's names for operations that the vocabulary has under another: name, parameters before and after.
ALIASES = {
    "u1": ("p", (), ()),
    "u2": ("u", (math.pi / 2,), ()),
    "u3": ("u", (), ()),
    "cu1": ("cp", (), ()),
    "cu3": ("cu", (), (0.0,)),
}
NAMES = {op.name.lower() for op in Op}


def qiskit_rows(circuit, qubits=None, clbits=None, condition=None):
    """The instructions, Qiskit's definitions expanded until the vocabulary has a name for each."""
    qubits = qubits or {bit: i for i, bit in enumerate(circuit.qubits)}
    clbits = clbits or {bit: i for i, bit in enumerate(circuit.clbits)}
    for instruction in circuit.data:
        operation = instruction.operation
        where = tuple(qubits[q] for q in instruction.qubits)
        if operation.name == "if_else":
            register, value = operation.condition
            block = operation.blocks[0]
            inner_q = dict(zip(block.qubits, where, strict=True))
            inner_c = dict(zip(block.clbits, (clbits[c] for c in instruction.clbits), strict=True))
            yield from qiskit_rows(block, inner_q, inner_c, (tuple(clbits[b] for b in register), value))
            continue
        name, before, after = ALIASES.get(operation.name, (operation.name, (), ()))
        if name in NAMES:
            params = tuple(float(p) for p in (*before, *operation.params, *after)) if name != "barrier" else ()
            clbit = clbits[instruction.clbits[0]] if name == "measure" else -1
            yield name, where, params, clbit, condition
        else:
            inner = dict(zip(operation.definition.qubits, where, strict=True))
            yield from qiskit_rows(operation.definition, inner, {}, condition)


def qiskit_unitary(text):
    return Operator(qiskit.qasm2.loads(text.replace('include "qelib1.inc";', QELIB1))).data


def our_rows(circuit):
    for op, qubits, params, clbit, condition, _ in circuit:
        yield op.name.lower(), qubits, params, clbit, condition and (condition.clbits, condition.value)


def assert_same_rows(ours, theirs):
    ours, theirs = list(our_rows(ours)), list(qiskit_rows(theirs))
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine[0], mine[1], *mine[3:]) == (other[0], other[1], *other[3:])
        assert mine[2] == pytest.approx(other[2], rel=1e-12, abs=1e-15)


@pytest.mark.skipif(not CIRCUITS.is_dir(), reason="../shared/circuits is absent")
def test_real_circuits_have_qiskits_instructions():
    files = sorted(CIRCUITS.rglob("*.qasm"))
    assert files
    for path in files:
        ours = OpenQasm2().load(path.read_bytes(), source=str(path), directory=path.parent)
        theirs = qiskit.qasm2.loads(declared(path.read_text()), include_path=(path.parent,), **LEGACY)
        assert_same_rows(ours, theirs)
        assert [(r.name, r.size) for r in ours.qregs] == [(r.name, r.size) for r in theirs.qregs]
        assert [(r.name, r.size) for r in ours.cregs] == [(r.name, r.size) for r in theirs.cregs]


def declared(text):
    """Three of the circuits declare `reg` and measure `q` into `c`, which Qiskit refuses; this says what they mean."""
    register = re.search(r"^qreg reg\[(\d+)\];$", text, re.MULTILINE)
    if register is None or "measure q[" not in text:
        return text
    return text.replace(register[0], f"{register[0]}\ncreg c[{register[1]}];").replace("measure q[", "measure reg[")


def test_undeclared_register_is_read_as_the_only_one_and_noted(load2):
    circuit = load2('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg reg[3];\nx reg[1];\nmeasure q[1] -> c[2];\n')
    assert [(r.name, r.size) for r in (*circuit.qregs, *circuit.cregs)] == [("reg", 3), ("c", 3)]
    assert circuit.final_measurements == ((1, 2),)
    assert circuit.metadata["notes"] == ["line 5: 'q' is not declared; read as 'reg', the only register"]


@pytest.mark.parametrize(
    "rest",
    [
        "qreg reg[3]; creg c[3]; measure q[1] -> c[2];",
        "qreg a[3]; qreg b[3]; measure q[1] -> c[2];",
        "qreg reg[3]; measure reg[1] -> c[2];",
        "qreg reg[3]; x q[1];",
        "measure q[1] -> c[2];",
    ],
)
def test_undeclared_register_is_refused_where_it_could_mean_several_things(load2, rest):
    with pytest.raises(CircuitSyntaxError, match="unknown register"):
        load2(f'OPENQASM 2.0;\ninclude "qelib1.inc";\n{rest}\n')


@pytest.mark.parametrize("name", sorted(qelib1()))
def test_every_gate_of_qelib1_is_qiskits(name, load2, matrix, assert_same):
    gate = qelib1()[name]
    angles = [0.3, -1.1, 2.3, 0.7][: gate.num_params]
    if name == "u0":
        angles = [1]
    call = f"{name}({','.join(map(str, angles))})" if angles else name
    operands = ",".join(f"q[{i}]" for i in range(gate.num_qubits))
    text = f"{HEADER}qreg q[{gate.num_qubits}];\n{call} {operands};\n"
    assert_same(matrix(load2(text)), qiskit_unitary(text))


def test_knows_every_name_of_qiskits_file():
    names = {i.name for i in qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS} - {"delay"}
    assert names <= set(qelib1())


NUMBERS = st.one_of(
    st.sampled_from(["pi", "0", "1", "2", "0.5", ".25", "3.", "1e-3", "2.5E+0", "pi/2", "-pi/4", "3*pi/8", "2*pi"]),
    st.floats(-10, 10, allow_nan=False).map(lambda x: repr(abs(x))),
)


def expressions(atoms):
    def extend(inner):
        return st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"{t[0]}{t[1]}{t[2]}"),
            inner.map(lambda e: f"({e})"),
            inner.map(lambda e: f"-({e})"),
            inner.map(lambda e: f"sin({e})"),
            inner.map(lambda e: f"cos( {e} )"),
            inner.map(lambda e: f"exp(sin({e}))"),
            inner.map(lambda e: f"ln(1.5+cos({e}))"),
            inner.map(lambda e: f"sqrt(2+sin({e}))"),
            inner.map(lambda e: f"({e})/(1.5+sin({e}))"),
            inner.map(lambda e: f"-(1.5+cos({e}))^2"),
            inner.map(lambda e: f"2^-(sin({e}))^2"),
        )

    return st.recursive(atoms, extend, max_leaves=4)


PLAIN = [("h", 0, 1), ("u2", 2, 1), ("rx", 1, 1), ("sdg", 0, 1), ("cx", 0, 2), ("cu3", 3, 2), ("U", 3, 1), ("CX", 0, 2)]
PLAIN += [("rzz", 1, 2), ("ccx", 0, 3), ("rccx", 0, 3), ("cu", 4, 2), ("cswap", 0, 3), ("c3x", 0, 4), ("c3sqrtx", 0, 4)]


@st.composite
def programs(draw):
    lines, gates = [HEADER], list(PLAIN)
    for number in range(draw(st.integers(0, 3))):
        params = [f"p{i}" for i in range(draw(st.integers(0, 2)))]
        qubits = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
        body = []
        angle = expressions(st.one_of(NUMBERS, st.sampled_from(params)) if params else NUMBERS)
        for _ in range(draw(st.integers(0, 4))):
            name, num_params, num_qubits = draw(st.sampled_from([g for g in gates if g[2] <= len(qubits)]))
            where = draw(st.permutations(qubits))[:num_qubits]
            values = [draw(angle) for _ in range(num_params)]
            body.append(f"  {name}{'(' + ','.join(values) + ')' if values else ''} {','.join(where)};")
            if draw(st.booleans()):
                body.append(f"  barrier {','.join(qubits)};  // a comment; with {{}}")
        brackets = f"({','.join(params)})" if params else draw(st.sampled_from(["", "()"]))
        lines.append(f"gate g{number}{brackets} {','.join(qubits)}\n{{\n" + "\n".join(body) + "\n}")
        gates.append((f"g{number}", len(params), len(qubits)))
    lines.append("qreg a[2]; qreg b[2];")
    angle = expressions(NUMBERS)
    for _ in range(draw(st.integers(1, 8))):
        name, num_params, num_qubits = draw(st.sampled_from([g for g in gates if g[2] <= 4]))
        values = [draw(angle) for _ in range(num_params)]
        broadcast = draw(st.booleans()) and num_qubits <= 2
        bits = ["a", "b"] if broadcast else ["a[0]", "a[1]", "b[0]", "b[1]"]
        where = draw(st.permutations(bits))[:num_qubits]
        if broadcast and num_qubits == 2 and draw(st.booleans()):
            where[1] = {"a": "b[1]", "b": "a[0]"}[where[0]]
        space = draw(st.sampled_from([" ", "\n ", "\t"]))
        lines.append(f"{name}{'(' + ','.join(values) + ')' if values else ''}{space}{','.join(where)};")
    return "\n".join(lines)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_generated_programs_have_qiskits_unitary(load2, matrix, assert_same, text):
    assert_same(matrix(load2(text)), qiskit_unitary(text))


CLASSICAL = st.lists(
    st.sampled_from(
        [
            "measure q -> c;", "measure q[1] -> d[0];", "reset q;", "reset q[2];", "if(c==3) x q[1];",
            "if (d == 1) reset q;", "if(d==1)measure q[0]->c[0];", "barrier q;", "barrier q[0],q[2];",
            "g(0.5) q[0],q[1];",
            "if(c==5) g(pi/7) q[2],q[0];", "h q;", "if(c==0) measure q -> e;", "if(d==0) cx q[0], q[1];",
        ]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(CLASSICAL)
def test_classical_control_is_qiskits(load2, statements):
    text = HEADER + "gate g(t) a,b { rx(t/2) a; cx a,b; u1(-t) b; }\nqreg q[3]; creg c[3]; creg d[1]; creg e[3];\n"
    text += "\n".join(statements)
    assert_same_rows(load2(text), qiskit.qasm2.loads(text, **LEGACY))


def test_circuit_may_define_gates_that_only_newer_qelib1_has(load2, matrix, assert_same):
    text = HEADER + "gate rzz(t) a,b { rz(t) a; rz(2*t) b; }\nqreg q[2];\nrzz(0.3) q[0],q[1];"
    plain = HEADER + "qreg q[2];\nrz(0.3) q[0]; rz(0.6) q[1];"
    assert_same(matrix(load2(text)), matrix(load2(plain)))


def test_header_is_optional(load2):
    assert len(load2('include "qelib1.inc";\nqreg q[1];\nh q[0];')) == 1


def test_includes_files_beside_the_circuit(load2, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "inner.inc").write_text("gate twice a { h a; h a; }\n")
    (tmp_path / "outer.inc").write_text('include "lib/inner.inc"; // nested\n')
    circuit = load2(HEADER + 'include "outer.inc";\nqreg q[1];\ntwice q[0];', tmp_path)
    assert circuit.count_ops() == {"h": 2}


def test_large_gate_is_expanded_once_per_call(load2):
    levels = "\n".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 15))
    circuit = load2(f"{HEADER}gate g0 a {{ h a; }}\n{levels}\nqreg q[2];\ng14 q;")
    assert circuit.count_ops() == {"h": 2 * 2**14}
    assert circuit.columns.qubits[:: 2**14].tolist() == [0, 1]
