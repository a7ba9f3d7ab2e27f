"""The OpenQASM 2 reader (arXiv:1707.03429): one regular expression for common statements, recursive descent for all.

The header may be missing, as in many circuits found in the wild. Angles are evaluated in double precision.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op
from proxima_format_openqasm.definitions import Definitions
from proxima_format_openqasm.expressions import ExpressionError, evaluate, parse_expression
from proxima_format_openqasm.gates import COMPOSITE, Flat, Gate
from proxima_format_openqasm.includes import Includes
from proxima_format_openqasm.lexer import Cursor
from proxima_format_openqasm.registers import Operand, Registers
from proxima_format_openqasm.rows import Rows
from proxima_format_openqasm.source import MAX_OPERATIONS, Source, decode, without_comments

# Possessive throughout: a long run of digits, letters or spaces is never read twice.
_NUMBER = r"[+-]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?+\d++)?+"
# name (number | expressions) operands ;
_CALL = re.compile(
    rf"\s*+([A-Za-z_]\w*+)\s*+(?:\(\s*+(?:({_NUMBER})\s*+|([^();{{}}]*+))\))?+([^;{{}}()\"=]*+);", re.ASCII
)
_NUMBERS = re.compile(rf"\s*+{_NUMBER}\s*+(?:,\s*+{_NUMBER}\s*+)*+", re.ASCII)
_CACHED_ANGLES = 10_000


def load(data: bytes, *, source: str, directory: Path | None) -> Circuit:
    """Reads an OpenQASM 2 file; the arguments and errors are those of `CircuitFormat.load`."""
    text = without_comments(decode(data, source))
    return _Reader(Includes(directory, len(data))).read(text)


class _Reader:
    def __init__(self, includes: Includes) -> None:
        self.includes = includes
        self.registers = Registers()
        self.definitions = Definitions()
        self.rows = Rows()
        self.angles: dict[str, tuple[float, ...]] = {}
        self.notes: list[str] = []
        self.source = Source("", "")

    def read(self, source: Source) -> Circuit:
        if source.text.isspace():
            raise source.error("the file holds no statement, only comments", 0)
        self.statements(source)
        registers = self.registers
        name = "" if source.path.startswith("<") else Path(source.path).stem
        metadata = {"notes": self.notes} if self.notes else {}
        return self.rows.circuit(registers.sizes("qreg"), registers.sizes("creg"), name=name, metadata=metadata)

    def statements(self, source: Source) -> None:
        """Reads one file: the circuit's own or an included one."""
        outer, self.source = self.source, source
        text, match = source.text, _CALL.match
        gates, bits, angles = self.definitions.gates, self.registers.bits, self.angles
        rows = self.rows
        ops, qubits, params = rows.ops, rows.qubits, rows.params
        at, first = 0, True
        while True:
            call = match(text, at)
            if call is not None:
                name, number, expressions, operands = call.groups()
                gate = gates.get(name)
                if gate is not None:
                    where = bits.get(operands) or self.registers.single_bits(operands)
                    if number is not None:
                        value = float(number)
                        values: tuple[float, ...] | None = (value,) if isfinite(value) else None
                    elif expressions is None:
                        values = ()
                    else:
                        values = angles.get(expressions)
                        if values is None:
                            values = self.numbers(expressions)
                    if (
                        where is not None
                        and values is not None
                        and len(where) == gate.num_qubits
                        and len(values) == gate.num_params
                        and len(ops) < MAX_OPERATIONS
                    ):
                        if gate.op != COMPOSITE:
                            ops.append(gate.op)
                            qubits.extend(where)
                            if gate.before:
                                params.extend(gate.before)
                            if values:
                                params.extend(values)
                            if gate.after:
                                params.extend(gate.after)
                        else:
                            self.expand(gate, values, [where], call.start(1))
                        at = call.end()
                        first = False
                        continue
            cursor = Cursor(source, at)
            if cursor.kind == "end":
                break
            at = self.statement(cursor, first=first)
            first = False
        self.source = outer

    def numbers(self, text: str) -> tuple[float, ...] | None:
        """The values of a list of plain numbers, ``None`` for anything else."""
        if not text:
            return ()
        if not _NUMBERS.fullmatch(text):
            return None
        values = tuple([float(number) for number in text.split(",")])
        return values if all(map(isfinite, values)) else None

    def statement(self, cursor: Cursor, *, first: bool) -> int:
        """Reads any statement and returns the position behind it."""
        if cursor.kind != "name":
            raise cursor.error("expected a statement")
        match cursor.text:
            case "OPENQASM":
                return self.version(cursor, first=first)
            case "include":
                return self.include(cursor)
            case "qreg" | "creg":
                return self.registers.declare(cursor, self.definitions.check_new)
            case "gate":
                return self.definitions.gate(cursor, self.registers.check_new)
            case "opaque":
                return self.definitions.opaque(cursor, self.registers.check_new)
            case "barrier":
                return self.barrier(cursor)
            case "if":
                return self.conditional(cursor)
            case _:
                return self.operation(cursor)

    def version(self, cursor: Cursor, *, first: bool) -> int:
        if not first:
            raise cursor.error("OPENQASM must be the first statement")
        cursor.advance()
        if cursor.kind not in ("integer", "real"):
            raise cursor.error("expected a version, as in OPENQASM 2.0;")
        if cursor.text not in ("2", "2.0"):
            raise cursor.error("this reader is for OpenQASM 2", hint="OpenQASM 3 files are read as format openqasm3")
        cursor.advance()
        return cursor.require(";")

    def include(self, cursor: Cursor) -> int:
        cursor.advance()
        if cursor.kind != "string":
            raise cursor.error('expected a file name in quotes, as in include "qelib1.inc";')
        name, at = cursor.text[1:-1], cursor.at
        cursor.advance()
        end = cursor.require(";")
        if name == "qelib1.inc":
            self.definitions.add_qelib1(self.source, at, self.registers.check_new)
        else:
            with self.includes.opened(name, self.source, at) as included:
                self.statements(without_comments(included))
        return end

    def operation(self, cursor: Cursor) -> int:
        match cursor.text:
            case "measure":
                return self.measure(cursor)[0]
            case "reset":
                cursor.advance()
                operand = self.registers.operand(cursor, "qreg")
                self.check_room(len(operand.bits), cursor.at)
                end = cursor.require(";")
                for qubit in operand.bits:
                    self.rows.append(Op.RESET, (qubit,))
                return end
            case _:
                return self.call(cursor)

    def call(self, cursor: Cursor) -> int:
        at, name = cursor.at, cursor.text
        cursor.advance()
        if cursor.kind == "symbol" and cursor.text in ("=", "==", "->"):
            raise self.source.error("expected a statement", at, name)
        gate = self.definitions.callable(name, self.source, at)
        start = last = cursor.at + 1
        values: list[float] = []
        if cursor.accept("("):
            while not cursor.accept(")"):
                values.append(evaluate(parse_expression(cursor, {}), ()))
                last = cursor.at
                if not cursor.accept(",") and cursor.text != ")":
                    raise cursor.error("expected ',' or ')'")
            if values and len(values) == gate.num_params and len(self.angles) < _CACHED_ANGLES:
                # As `_CALL` captures it: all between the brackets but the white space before it.
                self.angles[self.source.text[start:last].lstrip()] = tuple(values)
        self.definitions.check_count(gate, "parameter", gate.num_params, len(values), self.source, at)
        operands = self.registers.operands(cursor)
        end = cursor.require(";")
        self.definitions.check_count(gate, "qubit", gate.num_qubits, len(operands), self.source, at)
        self.expand(gate, tuple(values), self.registers.broadcast(operands, self.source), at)
        return end

    def expand(self, gate: Gate, values: tuple[float, ...], calls: list[tuple[int, ...]], at: int) -> None:
        """Adds the operations of a gate called on each of several tuples of qubits."""
        if gate.opaque:
            what = "it is opaque" if gate.opaque == gate.name else f"it uses the opaque gate {gate.opaque!r}"
            raise self.source.error(f"gate {gate.name!r} has no definition to run: {what}", at, gate.name)
        self.check_room(gate.size * len(calls), at)
        try:
            flat = gate.flat(values)
        except ExpressionError as error:
            raise self.source.error(f"in gate {gate.name!r}: {error}", at, gate.name) from None
        for where in calls:
            self.copy(flat, where)

    def copy(self, flat: Flat, where: tuple[int, ...]) -> None:
        rows = self.rows
        first = len(rows.ops)
        rows.ops.extend(flat.ops)
        rows.qubits.extend([where[slot] for slot in flat.slots])
        rows.params.extend(flat.params)
        for row, length in flat.lengths:
            rows.lengths[first + row] = length

    def check_room(self, count: int, at: int) -> None:
        if len(self.rows.ops) + count > MAX_OPERATIONS:
            raise self.source.error(f"the circuit expands to more than {MAX_OPERATIONS:,} operations", at)

    def measure(self, cursor: Cursor) -> tuple[int, tuple[int, ...]]:
        cursor.advance()
        at = cursor.at
        if cursor.kind == "name" and self.registers.assume_measured(cursor.text):
            (declared, _), line = self.registers.sizes("qreg")[0], self.source.line(at)
            self.notes.append(f"line {line}: {cursor.text!r} is not declared; read as {declared!r}, the only register")
        qubits = self.registers.operand(cursor, "qreg")
        if not cursor.accept("->"):
            raise cursor.error("expected '->'")
        self.registers.assume_bits(cursor.text)
        clbits = self.registers.operand(cursor, "creg")
        end = cursor.require(";")
        if qubits.whole != clbits.whole or len(qubits.bits) != len(clbits.bits):
            raise self.source.error(
                f"cannot measure {_described(qubits, 'qubit')} into {_described(clbits, 'bit')}", at, qubits.text
            )
        self.check_room(len(qubits.bits), at)
        for qubit, clbit in zip(qubits.bits, clbits.bits, strict=True):
            self.rows.append(Op.MEASURE, (qubit,), clbit=clbit)
        return end, tuple(clbits.bits)

    def barrier(self, cursor: Cursor) -> int:
        cursor.advance()
        operands = self.registers.operands(cursor)
        end = cursor.require(";")
        qubits = [bit for operand in operands for bit in operand.bits]
        if len(set(qubits)) != len(qubits):
            raise self.source.error("a barrier names a qubit twice", operands[0].at, operands[0].text)
        # A barrier takes room for each of its qubits.
        if len(self.rows.qubits) + len(qubits) > 3 * MAX_OPERATIONS:
            raise self.source.error(f"the barriers cover more than {3 * MAX_OPERATIONS:,} qubits", operands[0].at)
        self.check_room(1, operands[0].at)
        if qubits:
            self.rows.append(Op.BARRIER, qubits)
        return end

    def conditional(self, cursor: Cursor) -> int:
        cursor.advance()
        cursor.require("(")
        condition = self.registers.condition(cursor)
        cursor.require(")")
        at, word = cursor.at, cursor.text
        if cursor.kind != "name" or word in ("if", "barrier", "gate", "opaque", "qreg", "creg", "include", "OPENQASM"):
            raise cursor.error("expected a gate, measure or reset after if(...)")
        first = len(self.rows.ops)
        if word == "measure":
            end, written = self.measure(cursor)
            if len(written) > 1 and set(written) & set(condition.clbits):
                raise self.source.error("the measurement changes the register that its own condition reads", at, word)
        else:
            end = self.operation(cursor)
        self.rows.condition(first, condition)
        return end


def _described(operand: Operand, what: str) -> str:
    return f"a register of {len(operand.bits)} {what}s" if operand.whole else f"one {what}"
