"""The OpenQASM 3 reader: the gate-model part of the language (arXiv:2104.14722), as Qiskit and Amazon Braket write it.

Classical control beyond ``if`` on bits, subroutines, calibrations and timing are refused with their position.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openqasm3 import ast

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import CircuitSyntaxError
from proxima_format_openqasm.affine import Affine, NotLinearError, parameter
from proxima_format_openqasm.braket_pragmas import PragmaError, read_pragma
from proxima_format_openqasm.includes import Includes
from proxima_format_openqasm.openqasm3_conditions import ConditionReader, Truth, both, negate
from proxima_format_openqasm.openqasm3_constants import PREDEFINED, Constant, Evaluator
from proxima_format_openqasm.openqasm3_gates import Gates
from proxima_format_openqasm.openqasm3_registers import Bits, Kind, Registers
from proxima_format_openqasm.openqasm3_syntax import MAX_BYTES, located, parse
from proxima_format_openqasm.primitives import GPHASE, Primitive
from proxima_format_openqasm.rows import Rows
from proxima_format_openqasm.source import Source, decode

Names = ChainMap[str, Constant]

_MAX_PAYLOAD_BYTES = 256 * 2**20
_OPERAND = re.compile(r"\s*(\$?\w+)\s*(?:\[\s*(\d{1,9})\s*\])?\s*")

_REFUSED: dict[type[ast.QASMNode], str] = {
    ast.WhileLoop: "a while loop",
    ast.SwitchStatement: "switch",
    ast.SubroutineDefinition: "a subroutine (def)",
    ast.ExternDeclaration: "extern",
    ast.CalibrationGrammarDeclaration: "defcalgrammar",
    ast.CalibrationStatement: "cal",
    ast.CalibrationDefinition: "defcal",
    ast.DelayInstruction: "timing (delay)",
    ast.ClassicalAssignment: "assignment to a variable, other than measuring into bits,",
    ast.ExpressionStatement: "an expression as a statement",
    ast.ReturnStatement: "return",
    ast.BreakStatement: "break",
    ast.ContinueStatement: "continue",
    ast.EndStatement: "end",
}


def load(data: bytes, *, source: str, directory: Path | None) -> Circuit:
    """Reads an OpenQASM 3 file; the arguments and errors are those of `CircuitFormat.load`."""
    text = decode(data, source, limit=MAX_BYTES)
    try:
        return _Reader(Includes(directory, len(data)), source).read(text)
    except RecursionError:
        raise text.error("expressions, blocks or gates are nested too deeply", 0) from None


@dataclass(slots=True)
class _Branch:
    """An ``if`` being read; ``stale`` once its body has changed a bit that its condition reads."""

    bits: frozenset[int]
    truth: Truth
    stale: bool = False


class _Reader:
    def __init__(self, includes: Includes, path: str) -> None:
        self.includes = includes
        self.evaluator = Evaluator(path)
        self.registers = Registers(self.evaluator)
        self.constants: Names = ChainMap({}, PREDEFINED)
        self.gates = Gates(self.evaluator, self.constants)
        self.rows = Rows()
        self.branches: list[_Branch] = []
        self.payload_bytes = 0
        self.source = Source(path, "")

    def read(self, source: Source) -> Circuit:
        self.file(source)
        registers = self.registers
        qregs = registers.sizes["qubit"] or [("q", registers.total("qubit"))]
        name = "" if source.path.startswith("<") else Path(source.path).stem
        return self.rows.circuit([q for q in qregs if q[1]], registers.sizes["bit"], name=name)

    def file(self, source: Source) -> None:
        program = parse(source)
        if program.version is not None and program.version.partition(".")[0] != "3":
            raise located(f"this reader is for OpenQASM 3, not {program.version}", program, source.path, "OPENQASM")
        outer, self.source = self.source, source
        self.evaluator.path = source.path
        self.run(program.statements, self.constants)
        self.evaluator.path, self.source = outer.path, outer

    def run(self, statements: Iterable[ast.QASMNode], names: Names) -> None:
        for statement in statements:
            self.statement(statement, names)

    def statement(self, node: ast.QASMNode, names: Names) -> None:
        match node:
            case ast.QuantumGate() | ast.QuantumPhase():
                self.call(node, names)
            case ast.QuantumMeasurementStatement(measure=measure, target=target):
                if target is None:
                    raise self.error("a measurement must name the bit that takes its result", node, "measure")
                self.measure(measure, self.registers.bits(target, "bit", names), node, names)
            case ast.QuantumBarrier():
                self.barrier(node, names)
            case ast.QuantumReset(qubits=operand):
                for qubit in self.registers.bits(operand, "qubit", names).bits:
                    self.emit([Primitive(Op.RESET, (qubit,))], node)
            case ast.BranchingStatement():
                self.branch(node, names)
            case ast.ForInLoop(identifier=identifier, block=block):
                for value in self.gates.loop(node, names):
                    self.run(block, names.new_child({identifier.name: value}))
            case ast.CompoundStatement(statements=body):
                self.run(body, names.new_child())
            case ast.Box(duration=None, body=body):
                self.run(body, names.new_child())
            case ast.Pragma(command=command):
                self.pragma(command or "", node)
            case ast.QuantumGateDefinition():
                self.check_new(node.name.name, node, names)
                self.gates.define(node)
            case ast.Include(filename=filename):
                self.include(filename, node)
            case _:
                self.declaration(node, names)

    def declaration(self, node: ast.QASMNode, names: Names) -> None:
        match node:
            case ast.QubitDeclaration(qubit=identifier, size=size):
                self.declare("qubit", identifier.name, size, node, names)
            case ast.ClassicalDeclaration(type=ast.BitType(size=size), identifier=identifier, init_expression=init):
                bits = self.declare("bit", identifier.name, size, node, names)
                if isinstance(init, ast.QuantumMeasurement):
                    self.measure(init, bits, node, names)
                elif init is not None and self.initial(init, names) != 0:
                    raise self.error("classical bits start at 0", node, identifier.name)
            case ast.IODeclaration(io_identifier=io, type=ast.BitType(size=size), identifier=identifier) if (
                io.name == "output"
            ):
                self.declare("bit", identifier.name, size, node, names)
            case ast.IODeclaration(io_identifier=io, type=ast.FloatType() | ast.AngleType(), identifier=identifier) if (
                io.name == "input"
            ):
                self.set_constant(identifier.name, Affine(((identifier.name, 1.0),)), node, names)
            case (
                ast.ConstantDeclaration(identifier=identifier, init_expression=init)
                | ast.ClassicalDeclaration(
                    type=ast.IntType() | ast.UintType() | ast.FloatType() | ast.AngleType() | ast.BoolType(),
                    identifier=identifier,
                    init_expression=ast.Expression() as init,
                )
            ):
                self.set_constant(identifier.name, self.evaluator.value(init, names), node, names)
            case ast.AliasStatement(target=target, value=value):
                self.check_new(target.name, node, names)
                self.registers.alias(target.name, value, names)
            case _:
                what = _REFUSED.get(type(node), f"this statement ({type(node).__name__})")
                raise self.error(f"{what} is not supported: only the gate-model part of OpenQASM 3 is read", node)

    def declare(self, kind: Kind, name: str, size: ast.Expression | None, node: ast.QASMNode, names: Names) -> Bits:
        if self.branches or len(names.maps) > len(self.constants.maps):
            raise self.error(f"a {kind} must be declared outside of blocks", node, name)
        self.check_new(name, node, names)
        number = None if size is None else self.evaluator.integer(size, names, "the size of a register")
        return self.registers.declare(kind, name, number, node)

    def initial(self, init: ast.Expression, names: Names) -> Constant:
        return init.value if isinstance(init, ast.BitstringLiteral) else self.evaluator.value(init, names)

    def set_constant(self, name: str, value: Constant, node: ast.QASMNode, names: Names) -> None:
        self.check_new(name, node, names)
        names[name] = value

    def check_new(self, name: str, node: ast.QASMNode, names: Names) -> None:
        registers = self.registers.names
        if name in names.maps[0] or name in PREDEFINED or name in registers["qubit"] or name in registers["bit"]:
            raise self.error(f"{name!r} is already declared", node, name)

    def include(self, filename: str, node: ast.QASMNode) -> None:
        if filename == "stdgates.inc":
            self.gates.include_stdgates(node)
            return
        at = _offset(self.source.text, node)
        with self.includes.opened(filename, self.source, at) as included:
            self.file(included)

    def call(self, node: ast.QuantumGate | ast.QuantumPhase, names: Names) -> None:
        operands = [self.registers.bits(q, "qubit", names) for q in node.qubits]
        sizes = {len(o.bits) for o in operands if not o.single}
        if len(sizes) > 1:
            raise self.error(f"registers of different size: {sorted(sizes)}", node)
        for k in range(sizes.pop() if sizes else 1):
            qubits = [o.bits[0] if o.single else o.bits[k] for o in operands]
            self.emit(self.gates.call(node, names, qubits), node)

    def barrier(self, node: ast.QuantumBarrier, names: Names) -> None:
        qubits = [q for operand in node.qubits for q in self.registers.bits(operand, "qubit", names).bits]
        if not node.qubits:
            qubits = list(range(self.registers.total("qubit")))
        if len(set(qubits)) != len(qubits):
            raise self.error("a barrier names a qubit twice", node, "barrier")
        self.gates.spend(len(qubits), node)
        if qubits:
            self.emit([Primitive(Op.BARRIER, tuple(qubits))], node)

    def measure(self, measure: ast.QuantumMeasurement, target: Bits, node: ast.QASMNode, names: Names) -> None:
        qubits = self.registers.bits(measure.qubit, "qubit", names)
        if len(qubits.bits) != len(target.bits):
            raise self.error(f"cannot measure {len(qubits.bits)} qubits into {len(target.bits)} bits", node, "measure")
        for qubit, clbit in zip(qubits.bits, target.bits, strict=True):
            self.emit([Primitive(Op.MEASURE, (qubit,))], node, clbit=clbit)
            for branch in self.branches:
                branch.stale = branch.stale or clbit in branch.bits

    def branch(self, node: ast.BranchingStatement, names: Names) -> None:
        def bits(expression: ast.Expression) -> tuple[int, ...] | None:
            found = self.registers.find(expression, "bit", names)
            return None if found is None else tuple(found.bits)

        truth = ConditionReader(self.evaluator, bits, names).read(node.condition)
        outer: Truth = self.branches[-1].truth if self.branches else True
        read = frozenset() if isinstance(truth, bool) else frozenset(truth.clbits)
        branch = _Branch(read, truth)
        self.branches.append(branch)
        for block, holds in ((node.if_block, truth), (node.else_block, negate(truth))):
            if not block:
                continue
            combined = both(outer, holds)
            if combined is None:
                raise self.error("these nested conditions cannot be joined into one comparison of bits", node, "if")
            if combined is not False:
                branch.truth = combined
                self.run(block, names.new_child())
        self.branches.pop()

    def pragma(self, command: str, node: ast.QASMNode) -> None:
        try:
            operation = read_pragma(command)
        except PragmaError as error:
            raise self.error(error.message, node, "#pragma") from None
        if operation is None:
            return
        qubits = [self.pragma_qubit(text, node) for text in operation.operands.split(",")]
        spec = OPERATIONS[operation.op]
        wanted = spec.num_qubits or len(operation.matrices[0]).bit_length() - 1
        if len(qubits) != wanted or len(set(qubits)) != len(qubits):
            raise self.error(f"the pragma acts on {wanted} different qubits, got {len(qubits)}", node, "#pragma")
        where = tuple(reversed(qubits)) if operation.reverse else tuple(qubits)
        self.check_fresh(node)
        first = len(self.rows.ops)
        self.rows.append(operation.op, where, operation.params, matrices=operation.matrices)
        self.add_condition(first)

    def pragma_qubit(self, text: str, node: ast.QASMNode) -> int:
        match = _OPERAND.fullmatch(text)
        if match is None:
            raise self.error(f"the pragma's operand {text.strip()[:40]!r} is not a qubit", node, "#pragma")
        operand = ast.Identifier(match[1])
        operand.span = node.span
        found = self.registers.bits(operand, "qubit", {})
        index = int(match[2]) if match[2] else 0
        if found.single != (match[2] is None) or index >= len(found.bits):
            raise self.error(f"the pragma's operand {text.strip()[:40]!r} is not a qubit", node, "#pragma")
        return found.bits[index]

    def emit(self, body: Sequence[Primitive], node: ast.QASMNode, *, clbit: int = -1) -> None:
        """Adds operations under the current condition; a global phase means nothing here."""
        self.check_fresh(node)
        first = len(self.rows.ops)
        self.gates.spend(len(body), node)
        for op, qubits, params, matrix in body:
            if op == GPHASE:
                continue
            try:
                values = [parameter(value) for value in params]
            except NotLinearError as error:
                raise self.error(error.message, node) from None
            matrices = () if matrix is None else (matrix,)
            self.payload_bytes += 0 if matrix is None else matrix.nbytes
            if self.payload_bytes > _MAX_PAYLOAD_BYTES:
                raise self.error(f"the gates' matrices exceed {_MAX_PAYLOAD_BYTES >> 20} MiB", node)
            self.rows.append(op, qubits, values, clbit=clbit, matrices=matrices)
        self.add_condition(first)

    def check_fresh(self, node: ast.QASMNode) -> None:
        """Refuses an operation whose condition, read once in OpenQASM 3, would be read again after a change."""
        if any(branch.stale for branch in self.branches):
            raise self.error("the body of if goes on after changing a bit that the condition reads", node)

    def add_condition(self, first: int) -> None:
        truth = self.branches[-1].truth if self.branches else True
        if isinstance(truth, Condition):
            self.rows.condition(first, truth)

    def error(
        self, message: str, node: ast.QASMNode, token: str = "", *, hint: str | None = None
    ) -> CircuitSyntaxError:
        return located(message, node, self.evaluator.path, token, hint=hint)


def _offset(text: str, node: ast.QASMNode) -> int:
    """Position of a node's first character."""
    if node.span is None:
        return 0
    lines = text.split("\n")[: node.span.start_line - 1]
    return sum(len(line) + 1 for line in lines) + node.span.start_column
