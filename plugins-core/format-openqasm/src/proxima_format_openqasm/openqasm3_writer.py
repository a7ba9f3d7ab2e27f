"""The OpenQASM 3 writer: ``stdgates.inc``, and definitions for the rest of the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

from proxima.contracts.circuit import Circuit, Condition, Instruction, Parameter
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_format_openqasm.writing import (
    Definition,
    angle,
    as_u,
    bit_names,
    definitions,
    legal_names,
    refuse_noise,
    register_ranges,
)

_LANGUAGE = "OpenQASM 3"

# Equal to the vocabulary's definitions up to a global phase, which is not observable at top level.
# Parameters are in alphabetical order, for qiskit-qasm3-import binds them in that order, not as written.
_DEFINED: dict[str, Definition] = {
    "sxdg": ((), "gate sxdg a { h a; sdg a; h a; }"),
    "r": ((), "gate r(theta, varphi) a { U(theta, varphi - pi/2, pi/2 - varphi) a; }"),
    "csx": ((), "gate csx a, b { h b; cp(pi/2) a, b; h b; }"),
    "iswap": ((), "gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }"),
    "rzz": ((), "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }"),
    "rxx": (("rzz",), "gate rxx(theta) a, b { h a; h b; rzz(theta) a, b; h a; h b; }"),
    "ryy": (("rzz",), "gate ryy(theta) a, b { rx(pi/2) a; rx(pi/2) b; rzz(theta) a, b; rx(-pi/2) a; rx(-pi/2) b; }"),
    "rzx": ((), "gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }"),
    "ecr": (("rzx",), "gate ecr a, b { rzx(pi/4) a, b; x a; rzx(-pi/4) a, b; }"),
    "ccz": ((), "gate ccz a, b, c { h c; ccx a, b, c; h c; }"),
}

_RESERVED = frozenset(
    """OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for while in
    switch case default pragma input output const readonly mutable qreg qubit creg bool bit int uint float angle complex
    array void duration stretch gphase inv pow ctrl negctrl dim durationof delay reset measure barrier true false im
    pi tau euler nop U CX p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu phase cphase id
    u1 u2 u3 arccos arcsin arctan ceiling cos exp floor log mod popcount rotl rotr sin sizeof sqrt tan real imag
    i si ti v vi u cnot cv ccnot phaseshift cphaseshift cphaseshift00 cphaseshift01 cphaseshift10 xx yy zz xy pswap gpi
    gpi2 ms prx""".split()  # noqa: SIM905
)


def dump(circuit: Circuit) -> str:
    """Writes a circuit; open parameters become ``input float``.

    Raises:
        UnsupportedError: It holds noise, or a matrix on several qubits.
    """
    return _Writer(circuit).text()


class _Writer:
    def __init__(self, circuit: Circuit) -> None:
        refuse_noise(circuit, _LANGUAGE)
        self.circuit = circuit
        taken = set(_RESERVED) | set(_DEFINED)
        rules = {"pattern": "[A-Za-z_][A-Za-z0-9_]*", "prefix": "_"}
        self.qreg_names = legal_names((r.name for r in circuit.qregs), taken=taken, **rules)
        self.creg_names = legal_names((r.name for r in circuit.cregs), taken=taken, **rules)
        parameters = legal_names(circuit.parameters, taken=taken, **rules)
        self.parameters = dict(zip(circuit.parameters, parameters, strict=True))
        self.qubits = bit_names(circuit.qregs, self.qreg_names)
        self.clbits = bit_names(circuit.cregs, self.creg_names)
        self.cregs = register_ranges(circuit.cregs)

    def text(self) -> str:
        circuit = self.circuit
        body = [self.statement(instruction) for instruction in circuit]
        lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
        lines += [f"input float {name};" for name in self.parameters.values()]
        lines += definitions(circuit.count_ops(), _DEFINED)
        lines += [f"qubit[{r.size}] {n};" for n, r in zip(self.qreg_names, circuit.qregs, strict=True) if r.size]
        lines += [f"bit[{r.size}] {n};" for n, r in zip(self.creg_names, circuit.cregs, strict=True) if r.size]
        return "\n".join([*lines, *body]) + "\n"

    def statement(self, instruction: Instruction) -> str:
        op = instruction.op
        where = ", ".join([self.qubits[q] for q in instruction.qubits])
        if op is Op.BARRIER:
            return f"barrier {where};"
        if op is Op.MEASURE:
            done = f"{self.clbits[instruction.clbit]} = measure {where};"
        elif op in (Op.UNITARY, Op.U):
            done = (
                f"U({self.angles(as_u(instruction, _LANGUAGE) if op is Op.UNITARY else instruction.params)}) {where};"
            )
        elif instruction.params:
            done = f"{OPERATIONS[op].name}({self.angles(instruction.params)}) {where};"
        else:
            done = f"{OPERATIONS[op].name} {where};"
        return done if instruction.condition is None else f"if ({self.condition(instruction.condition)}) {{ {done} }}"

    def angles(self, values: Sequence[float | Parameter]) -> str:
        return ", ".join(map(self.angle, values))

    def angle(self, value: float | Parameter) -> str:
        if not isinstance(value, Parameter):
            return angle(value)
        name = self.parameters[value.name]
        return name if value.coefficient == 1 else f"{angle(value.coefficient)}*{name}"

    def condition(self, condition: Condition) -> str:
        register = self.cregs.get(condition.clbits)
        if register is not None:
            return f"{self.creg_names[register]} {'!=' if condition.negated else '=='} {condition.value}"
        if not 0 <= condition.value < 2 ** len(condition.clbits):
            raise UnsupportedError(
                f"a condition compares {len(condition.clbits)} classical bits with {condition.value}, "
                "which they cannot hold"
            )
        tests = [f"{self.clbits[bit]} == {condition.value >> i & 1}" for i, bit in enumerate(condition.clbits)]
        joined = " && ".join(tests)
        return f"!({joined})" if condition.negated else joined
