"""Each kind of OpenQASM 3 input that is refused, with the message it gets."""

from __future__ import annotations

import pytest

from proxima.errors import CircuitSyntaxError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q; bit[2] c;\n'


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the file is empty"),
        ("OPENQASM 2.0;\nqreg q[1];", 1, 1, "this reader is for OpenQASM 3, not 2.0"),
        (HEAD + "h q[0]", 4, 7, "the file ends too early"),
        (HEAD + "h q[0] q;", 4, 8, ""),
        (HEAD + "h §;", 4, 3, "token recognition error"),
        (HEAD + "hh q[0];", 4, 1, "unknown gate 'hh'"),
        (HEAD + "h q[3];", 4, 3, "index 3 out of range: the register has 3 bits"),
        (HEAD + "h r;", 4, 3, "not a declared qubit"),
        (HEAD + "cx q[0], q[0];", 4, 1, "the same qubit twice in one operation"),
        (HEAD + "cx q[0];", 4, 1, "gate 'cx' takes 2 qubits, got 1"),
        (HEAD + "rx q[0];", 4, 1, "gate 'rx' takes 1 parameters, got 0"),
        (HEAD + "rx(pi/0) q[0];", 4, 4, "division by zero"),
        (HEAD + "rx(exp(1000)) q[0];", 4, 4, "the value overflows"),
        (HEAD + "rx(sqrt(-1)) q[0];", 4, 4, "the value is not a real number"),
        (HEAD + "rx((-8)**0.5) q[0];", 4, 4, "the value is not a real number"),
        (HEAD + "rx(1/2) q[0];", 4, 4, "1/2 divides integers and would be cut to 0"),
        (HEAD + "rx(2**1000000000) q[0];", 4, 4, "the value overflows"),
        (HEAD + "rx(x) q[0];", 4, 4, "not a constant or parameter"),
        (HEAD + "input float t;\nrx(t*t) q[0];", 5, 4, "an open parameter may only be added to, or multiplied by"),
        (HEAD + "input float t;\nrx(sin(t)) q[0];", 5, 4, "an open parameter may only be added to, or multiplied by"),
        (HEAD + "input float t;\nrx(t + 1) q[0];", 5, 1, "the angle t + 1 is not a multiple of one parameter"),
        (HEAD + "input float t; input float s;\nrx(s - t) q[0];", 5, 1, "is not a multiple of one parameter"),
        (HEAD + "input float t;\nctrl @ ryy(t) q[0], q[1], q[2];", 5, 1, "unknown gate 'ryy'"),
        (HEAD + "input float t;\nctrl @ yy(t) q[0], q[1], q[2];", 5, 1, "needs a number for the open angle t"),
        (HEAD + "gate g a { g a; }", 4, 12, "gate 'g' calls itself"),
        (HEAD + "gate g a { k a; }\ngate k a { g a; }", 4, 12, "unknown gate 'k', or called before its definition"),
        (HEAD + "gate h a { x a; }", 4, 1, "'h' is already a gate"),
        (HEAD + "gate g a { h q; }", 4, 12, "gate 'g' acts on what is not one of its qubits (a)"),
        (HEAD + "qubit q;", 4, 1, "'q' is already declared"),
        (HEAD + "c[0] = measure q;", 4, 1, "cannot measure 3 qubits into 1 bits"),
        (HEAD + "measure q[0];", 4, 1, "a measurement must name the bit that takes its result"),
        (HEAD + "while (c[0]) { x q[0]; }", 4, 1, "a while loop is not supported: only the gate-model part"),
        (HEAD + "switch (c) { case 1 { x q[0]; } }", 4, 1, "switch is not supported"),
        (HEAD + "def f(qubit a) { x a; }", 4, 1, "a subroutine (def) is not supported"),
        (HEAD + "delay[10ns] q[0];", 4, 1, "timing (delay) is not supported"),
        (HEAD + "cal { }", 4, 1, "cal is not supported"),
        (HEAD + "c[0] = 1;", 4, 1, "assignment to a variable"),
        (HEAD + "if (c < 2) x q[0];", 4, 5, "not a constant or parameter"),
        (HEAD + "if (c[0] == c[1]) x q[0];", 4, 5, "a comparison of bits with bits is not supported"),
        (HEAD + "if (c != 2) if (c[0]) x q[0];", 4, 13, "these nested conditions cannot be joined"),
        (HEAD + "if (c[0]) { c[0] = measure q[0]; x q[0]; }", 4, 34, "the body of if goes on after changing a bit"),
        (HEAD + "if (c[0]) { c[0] = measure q[0]; } else { x q[0]; }", 4, 43, "the body of if goes on after changing"),
        (HEAD + "ctrl(20) @ x q[0], q[1];", 4, 1, "ctrl(20) on 2 qubits"),
        (HEAD + "for int i in [0:100000000] { h q[0]; }", 4, 1, "expands to more than 1,000,000 operations"),
        (HEAD + "pow(100000000) @ h q[0];", 4, 1, "pow(1e+08) makes more than"),
        (HEAD + "h $0;", 4, 3, "a circuit has either declared or physical qubits, not both"),
        (HEAD + "rx(" + "(" * 600 + "1" + ")" * 600 + ") q[0];", 1, 1, "nested too deeply"),
        ("qubit[2000000] q;", 1, 1, "the qubits number 2,000,000; the limit is 1,000,000"),
        (HEAD + "#pragma braket noise bit_flip(1.5) q[0]\n", 4, 1, "bit_flip takes 1 numbers in [0, 1]"),
        (HEAD + "#pragma braket unitary([[1, 0]]) q[0]\n", 4, 1, "a matrix must be square"),
        (HEAD + 'include "other.inc";', 4, 1, "may include no files"),
    ],
)  # fmt: skip
def test_message_names_place(load3, text, line, column, message):
    with pytest.raises(CircuitSyntaxError) as caught:
        load3(text)
    error = caught.value
    assert message in error.message
    assert (error.line, error.column) == (line, column)


def test_exponential_gates_are_refused(load3):
    levels = "\n".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 40))
    with pytest.raises(CircuitSyntaxError, match="expands to more than 1,000,000 operations"):
        load3(f"{HEAD}gate g0 a {{ }}\n{levels}\ng39 q[0];")


def test_large_file_is_refused(load3):
    with pytest.raises(CircuitSyntaxError, match=r"the file has 5\.0 MiB; the limit is 4 MiB"):
        load3(b" " * (5 * 2**20))


def test_parser_prints_nothing(load3, capfd):
    with pytest.raises(CircuitSyntaxError):
        load3("a" * 100 + "(§")
    assert capfd.readouterr() == ("", "")
