"""The OpenQASM 2 writer: the gates of ``qelib1.inc``, and definitions for the rest of the vocabulary."""

from __future__ import annotations

from proxima.contracts.circuit import Circuit, Condition, Instruction, Parameter
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_format_openqasm.lexer import KEYWORDS
from proxima_format_openqasm.qelib1 import qelib1
from proxima_format_openqasm.writing import (
    angle,
    as_u,
    bit_names,
    definitions,
    legal_names,
    refuse_noise,
    register_ranges,
)

_LANGUAGE = "OpenQASM 2"

# Equal to the vocabulary's definitions up to a global phase, which OpenQASM 2 cannot observe.
_DEFINED = {
    "r": ((), "gate r(theta,phi) a { u3(theta,phi-pi/2,pi/2-phi) a; }"),
    "iswap": ((), "gate iswap a,b { s a; s b; h a; cx a,b; cx b,a; h b; }"),
    "ryy": ((), "gate ryy(theta) a,b { sdg a; sdg b; rxx(theta) a,b; s a; s b; }"),
    "rzx": ((), "gate rzx(theta) a,b { h b; cx a,b; rz(theta) b; cx a,b; h b; }"),
    "ecr": (("rzx",), "gate ecr a,b { rzx(pi/4) a,b; x a; rzx(-pi/4) a,b; }"),
    "ccz": ((), "gate ccz a,b,c { h c; ccx a,b,c; h c; }"),
}  # fmt: skip


# These three are in every version of qelib1.inc under their old names alone.
_OLD_NAMES = {Op.P: "u1", Op.U: "u3", Op.CP: "cu1"}


def dump(circuit: Circuit) -> str:
    """Writes a circuit.

    Raises:
        UnsupportedError: It holds noise, an open parameter, a matrix on several qubits, or a condition other than a
            whole register being equal to a number.
    """
    return _Writer(circuit).text()


class _Writer:
    def __init__(self, circuit: Circuit) -> None:
        refuse_noise(circuit, _LANGUAGE)
        self.circuit = circuit
        taken = set(KEYWORDS) | set(qelib1()) | set(_DEFINED)
        rules = {"pattern": "[a-z][A-Za-z0-9_]*", "prefix": "r_"}
        self.qreg_names = legal_names((r.name for r in circuit.qregs), taken=taken, **rules)
        self.creg_names = legal_names((r.name for r in circuit.cregs), taken=taken, **rules)
        self.qubits = bit_names(circuit.qregs, self.qreg_names)
        self.clbits = bit_names(circuit.cregs, self.creg_names)
        self.cregs = register_ranges(circuit.cregs)

    def text(self) -> str:
        circuit = self.circuit
        body = [self.statement(instruction) for instruction in circuit]
        lines = ["OPENQASM 2.0;", 'include "qelib1.inc";']
        lines += definitions(circuit.count_ops(), _DEFINED)
        lines += [f"qreg {n}[{r.size}];" for n, r in zip(self.qreg_names, circuit.qregs, strict=True) if r.size]
        lines += [f"creg {n}[{r.size}];" for n, r in zip(self.creg_names, circuit.cregs, strict=True) if r.size]
        return "\n".join([*lines, *body]) + "\n"

    def statement(self, instruction: Instruction) -> str:
        op = instruction.op
        where = ",".join([self.qubits[q] for q in instruction.qubits])
        if op is Op.BARRIER:
            return f"barrier {where};"
        if op is Op.MEASURE:
            done = f"measure {where} -> {self.clbits[instruction.clbit]};"
        elif op is Op.UNITARY:
            done = f"u3({','.join(map(angle, as_u(instruction, _LANGUAGE)))}) {where};"
        else:
            done = f"{_OLD_NAMES.get(op, OPERATIONS[op].name)}{self.angles(instruction)} {where};"
        return done if instruction.condition is None else self.condition(instruction.condition) + done

    def angles(self, instruction: Instruction) -> str:
        values = []
        for value in instruction.params:
            if isinstance(value, Parameter):
                raise UnsupportedError(
                    f"{_LANGUAGE} has no open parameters: {instruction.op.name.lower()} needs {value.name!r}",
                    hint="bind the parameters first, or write OpenQASM 3",
                )
            values.append(angle(value))
        return f"({','.join(values)})" if values else ""

    def condition(self, condition: Condition) -> str:
        register = self.cregs.get(condition.clbits)
        if register is None or condition.negated or condition.value < 0:
            raise UnsupportedError(
                f"{_LANGUAGE} can only compare a whole register with a number; this condition reads classical bits "
                f"{', '.join(map(str, condition.clbits))}{' and is negated' if condition.negated else ''}",
                hint="write OpenQASM 3",
            )
        return f"if({self.creg_names[register]}=={condition.value}) "
