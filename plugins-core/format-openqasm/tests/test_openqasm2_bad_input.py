"""Each kind of bad OpenQASM 2 input, with the message it gets."""

from __future__ import annotations

import time

import pytest

from proxima.errors import CircuitSyntaxError

HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
QUBITS = HEADER + "qreg q[2];\ncreg c[2];\n"


def refusal(load, text, directory=None):
    with pytest.raises(CircuitSyntaxError) as caught:
        load(text, directory)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "token", "message"),
    [
        ("", 1, 1, "", "the file is empty"),
        (" \n\t\n", 1, 1, "", "the file is empty"),
        ("// nothing\n", 1, 1, "", "the file holds no statement, only comments"),
        ("h q\0[0];", 1, 4, "", "the file is binary: it holds a NUL character"),
        (QUBITS + "hh q[0];", 5, 1, "hh", "unknown gate 'hh'"),
        ("OPENQASM 2.0;\nqreg q[1];\nh q[0];", 3, 1, "h", "unknown gate 'h'"),
        (QUBITS + "h q[2];", 5, 5, "2", "index out of range: 'q' has 2 bits, counted from 0"),
        (QUBITS + "cx q[0],q[99999999999];", 5, 11, "99999999999", "index out of range"),
        (QUBITS + "h r[0];", 5, 3, "r", "unknown register"),
        (QUBITS + "h c[0];", 5, 3, "c", "expected a quantum register, this is a classical one"),
        (QUBITS + "cx q[0];", 5, 1, "cx", "gate 'cx' takes 2 qubits, got 1"),
        (QUBITS + "rx q[0];", 5, 1, "rx", "gate 'rx' takes 1 parameter, got 0"),
        (QUBITS + "u3(1,2) q[0];", 5, 1, "u3", "gate 'u3' takes 3 parameters, got 2"),
        (QUBITS + "cx q[0],q[0];", 5, 9, "q[0]", "the same qubit twice in one operation"),
        (QUBITS + "cx q,q;", 5, 6, "q", "the same qubit twice in one operation"),
        (QUBITS + "cx q,q[1];", 5, 6, "q[1]", "the same qubit twice in one operation"),
        (QUBITS + "barrier q,q[0];", 5, 9, "q", "a barrier names a qubit twice"),
        (QUBITS + "qreg r[3];\ncx q,r;", 6, 6, "r", "registers of different size: 'q' has 2, 'r' 3"),
        (QUBITS + "rx(pi/0) q[0];", 5, 6, "/", "division by zero: 3.14159/0"),
        (QUBITS + "rx(exp(1000)) q[0];", 5, 4, "exp", "exp(1000) overflows"),
        (QUBITS + "rx(1e999) q[0];", 5, 4, "1e999", "the number is too large"),
        (QUBITS + "rx(ln(0)) q[0];", 5, 4, "ln", "ln(0) is not a real number"),
        (QUBITS + "rx(sqrt(-1)) q[0];", 5, 4, "sqrt", "sqrt(-1) is not a real number"),
        (QUBITS + "rx((-8)^(1/3)) q[0];", 5, 8, "^", "-8 ^ 0.333333 is not a real number"),
        (QUBITS + "rx(1e300*1e300) q[0];", 5, 9, "*", "1e+300 * 1e+300 overflows"),
        (QUBITS + "gate g(t) a { rx(1/t) a; }\ng(0) q[0];", 6, 1, "g", "in gate 'g': division by zero: 1/0"),
        (QUBITS + "rx(theta) q[0];", 5, 4, "theta", "unknown name in an expression"),
        (QUBITS + "rx((1+2) q[0];", 5, 10, "q", "expected ',' or ')'"),
        (QUBITS + "rx(1+2)) q[0];", 5, 8, ")", "expected the name of a quantum register"),
        (QUBITS + "rx(" + "(" * 500 + "1" + ")" * 500 + ") q[0];", 5, 105, "(", "nested deeper than 100 levels"),
        (QUBITS + "h q[0", 5, 6, "", "the file ends too early: expected ']'"),
        (QUBITS + "h q[0]", 5, 7, "", "the file ends too early: expected ';'"),
        (QUBITS + "gate g a { h a;", 5, 10, "{", "the body of gate 'g' is not closed with '}'"),
        (QUBITS + "qreg q[3];", 5, 6, "q", "'q' is already a quantum register"),
        (QUBITS + "gate h a { x a; }", 5, 6, "h", "'h' is already a gate"),
        (QUBITS + "gate q a { x a; }", 5, 6, "q", "'q' is already a quantum register"),
        (QUBITS + "qreg cx[2];", 5, 6, "cx", "'cx' is already a gate"),
        (QUBITS + "gate if a { }", 5, 6, "if", "a keyword cannot name a gate"),
        (QUBITS + "gate g a { g a; }", 5, 12, "g", "gate 'g' calls itself"),
        (QUBITS + "gate g a { k a; }\ngate k a { g a; }", 5, 12, "k", "gate 'k' is called before its definition"),
        (QUBITS + "gate g a { h b; }", 5, 14, "b", "not a qubit of this gate"),
        (QUBITS + "gate g a,a { }", 5, 10, "a", "a qubit is named twice"),
        (QUBITS + "gate g a,b { cx a,a; }", 5, 19, "a", "the same qubit twice in one operation"),
        (QUBITS + "gate g a { measure a -> c[0]; }", 5, 12, "measure", "a gate's body holds only gates and barriers"),
        (QUBITS + "opaque o(t) a;\no(1) q[0];", 6, 1, "o", "gate 'o' has no definition to run: it is opaque"),
        (QUBITS + "opaque o a; gate g a {o a;}\ng q;", 6, 1, "g", "it uses the opaque gate 'o'"),
        (QUBITS + "measure q -> c[0];", 5, 9, "q", "cannot measure a register of 2 qubits into one bit"),
        (QUBITS + "creg d[3];\nmeasure q -> d;", 6, 9, "q", "a register of 2 qubits into a register of 3 bits"),
        (QUBITS + "measure q;", 5, 10, ";", "expected '->'"),
        (QUBITS + "if(c[0]==1) x q[0];", 5, 4, "c[0]", "a condition compares a whole register"),
        (QUBITS + "if(c==1) barrier q;", 5, 10, "barrier", "expected a gate, measure or reset after if(...)"),
        (QUBITS + "if(c==1) measure q -> c;", 5, 10, "measure", "changes the register that its own condition reads"),
        (QUBITS + "if(c==-1) x q[0];", 5, 7, "-", "expected a number, a non-negative integer"),
        (QUBITS + "OPENQASM 2.0;", 5, 1, "OPENQASM", "OPENQASM must be the first statement"),
        ("OPENQASM 3.0;\nqubit q;", 1, 10, "3.0", "this reader is for OpenQASM 2"),
        (QUBITS + "h q[0]; }", 5, 9, "}", "expected a statement"),
        (QUBITS + "h q[0]; é", 5, 9, "é", "unexpected character"),
        (QUBITS + "/* no */ h q[0];", 5, 1, "/", "expected a statement"),
        ("qreg q[1000001];", 1, 8, "1000001", "hold 1,000,001 bits; the limit is 1,000,000"),
        ("qreg q[" + "9" * 5000 + "];", 1, 8, "9" * 37 + "...", "a number of 5000 digits; the limit is 1000"),
        (QUBITS + 'include "other.inc";', 5, 9, "other.inc", "may include no files"),
    ],
)  # fmt: skip
def test_message_names_place_and_token(load2, text, line, column, token, message):
    error = refusal(load2, text)
    assert message in error.message
    assert (error.path, error.line, error.column, error.token) == ("circuit.qasm", line, column, token)
    assert error.message.startswith(f"circuit.qasm:{line}:{column}: ")


def test_hint_has_the_nearest_gates(load2):
    assert refusal(load2, QUBITS + "ccxx q[0];").hint == "did you mean ccx or rccx or cx?"


def test_hint_names_the_missing_include(load2):
    assert refusal(load2, "qreg q[1];\nsx q[0];").hint == 'add: include "qelib1.inc";'


def test_not_utf8(load2):
    error = refusal(load2, QUBITS.encode() + b"h \xff[0];")
    assert "the file is binary or not UTF-8: byte 0xff" in error.message
    assert (error.line, error.column) == (5, 3)


def test_file_over_the_limit_is_refused_before_parsing(load2):
    started = time.perf_counter()
    error = refusal(load2, b"x" * 100_000_000)
    assert "the file has 95.4 MiB; the limit is 64 MiB" in error.message
    assert time.perf_counter() - started < 1


def test_exponential_gates_are_refused_without_expanding(load2):
    levels = "\n".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 100))
    started = time.perf_counter()
    error = refusal(load2, f"{HEADER}gate g0 a {{ h a; }}\n{levels}\nqreg q[1];\ng99 q[0];")
    assert "the circuit expands to more than 10,000,000 operations" in error.message
    assert time.perf_counter() - started < 1


def test_empty_gates_do_not_take_exponential_time(load2):
    levels = "\n".join(f"gate g{i}(t) a {{ g{i - 1}(t) a; g{i - 1}(t) a; }}" for i in range(1, 100))
    circuit = load2(f"{HEADER}gate g0(t) a {{ }}\n{levels}\nqreg q[1];\ng99(1) q[0];")
    assert len(circuit) == 0


def test_deeply_nested_definitions(load2):
    levels = "\n".join(f"gate g{i} a {{ g{i - 1} a; }}" for i in range(1, 1000))
    error = refusal(load2, f"{HEADER}gate g0 a {{ h a; }}\n{levels}")
    assert "gate definitions nest deeper than 200 levels" in error.message


def test_recursive_include(load2, tmp_path):
    (tmp_path / "a.inc").write_text('include "b.inc";')
    (tmp_path / "b.inc").write_text('include "a.inc";')
    error = refusal(load2, 'include "a.inc";', tmp_path)
    assert "recursive include: a.inc -> b.inc -> a.inc" in error.message
    assert error.path.endswith("b.inc")


def test_missing_include(load2, tmp_path):
    assert "no such file beside the circuit" in refusal(load2, 'include "a.inc";', tmp_path).message


@pytest.mark.parametrize("name", ["../a.inc", "x/../../a.inc", "link.inc"])
def test_include_cannot_leave_the_directory(load2, tmp_path, name):
    inside = tmp_path / "inside"
    (inside / "x").mkdir(parents=True)
    (tmp_path / "a.inc").write_text("gate g a { }")
    (inside / "link.inc").symlink_to(tmp_path / "a.inc")
    error = refusal(load2, f'include "{name}";', inside)
    assert "an include must stay within the circuit's directory" in error.message


def test_include_cannot_be_absolute(load2, tmp_path):
    (tmp_path / "a.inc").write_text("gate g a { }")
    error = refusal(load2, f'include "{tmp_path / "a.inc"}";', tmp_path)
    assert "by a relative path" in error.message


def test_error_in_an_include_names_that_file(load2, tmp_path):
    (tmp_path / "a.inc").write_text("gate g a {\n h b; }")
    error = refusal(load2, HEADER + 'include "a.inc";', tmp_path)
    assert (error.path, error.line, error.column) == (str(tmp_path / "a.inc"), 2, 4)


def test_include_bomb_is_refused(load2, tmp_path):
    for level in range(12):
        (tmp_path / f"{level}.inc").write_text(f'include "{level + 1}.inc";' * 2)
    (tmp_path / "12.inc").write_text("// end")
    assert "more than 1000 includes" in refusal(load2, 'include "0.inc";', tmp_path).message


def test_directory_is_no_file_to_include(load2, tmp_path):
    (tmp_path / "a.inc").mkdir()
    assert "not a regular file" in refusal(load2, 'include "a.inc";', tmp_path).message


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "h " * 150_000, "1" * 300_000, "rx(" + "1" * 300_000, "rx(" + "-" * 300_000, " " * 300_000 + "h",
     "rx(" + "1+" * 100_000, "h q[0]" * 50_000, "if(" * 100_000, '"' * 300_000, "rx(" + "1," * 100_000 + ") q[0]"],
)  # fmt: skip
def test_long_nonsense_is_refused_in_linear_time(load2, text):
    started = time.perf_counter()
    refusal(load2, QUBITS + text)
    assert time.perf_counter() - started < 2
