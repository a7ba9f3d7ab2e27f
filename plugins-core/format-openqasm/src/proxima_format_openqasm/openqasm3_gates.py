"""Gate definitions and gate calls of OpenQASM 3, expanded to primitives."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from openqasm3 import ast

from proxima.contracts.operations import Op
from proxima.nearest import did_you_mean
from proxima_format_openqasm.affine import Value, number
from proxima_format_openqasm.named_gates import NamedGate, braket, language, stdgates
from proxima_format_openqasm.openqasm3_constants import Constant, Evaluator
from proxima_format_openqasm.openqasm3_registers import range_of
from proxima_format_openqasm.openqasm3_syntax import located
from proxima_format_openqasm.primitives import GPHASE, ModifierError, Primitive, controlled, inverse, power

MAX_OPERATIONS = 1_000_000
"""Most operations and gate calls that one OpenQASM 3 circuit may expand to."""

MAX_DEPTH = 50
"""How deep gate definitions may call each other."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A gate that the circuit defines; ``size`` is the least number of calls that one call of it makes."""

    params: tuple[str, ...]
    qubits: tuple[str, ...]
    body: Sequence[ast.QASMNode]
    depth: int
    size: int
    path: str


class Gates:
    """The gates by name; expands calls of them.

    Args:
        evaluator: For angles; its path is that of the file being read.
        constants: The circuit's global constants.
    """

    def __init__(self, evaluator: Evaluator, constants: Mapping[str, Constant]) -> None:
        self.evaluator = evaluator
        self.constants = constants
        self.defined: dict[str, Definition] = {}
        self.reserved: dict[str, NamedGate] = language()
        self.fallback: dict[str, NamedGate] = stdgates() | braket()
        self.spent = 0

    def include_stdgates(self, node: ast.QASMNode) -> None:
        """Makes the names of stdgates.inc the file's own."""
        twice = sorted(set(stdgates()) & set(self.defined))
        if twice:
            raise self._error(f"stdgates.inc defines {twice[0]!r} again", node, "stdgates.inc")
        self.reserved = self.reserved | stdgates()

    def spend(self, count: int, node: ast.QASMNode) -> None:
        """Counts operations, and refuses a circuit with too many."""
        self.spent += count
        if self.spent > MAX_OPERATIONS:
            raise self._error(f"the circuit expands to more than {MAX_OPERATIONS:,} operations", node)

    def define(self, node: ast.QuantumGateDefinition) -> None:
        """Adds the definition of a gate, after a check of its body."""
        name = node.name.name
        if name in self.defined or name in self.reserved:
            raise self._error(f"{name!r} is already a gate", node, name)
        params = tuple(a.name for a in node.arguments)
        qubits = tuple(q.name for q in node.qubits)
        if len(set(params + qubits)) != len(params + qubits):
            raise self._error("a parameter or qubit is named twice", node, name)
        depth, size = self._check_body(name, node.body, qubits)
        if depth > MAX_DEPTH:
            raise self._error(f"gate definitions nest deeper than {MAX_DEPTH} levels", node, name)
        self.defined[name] = Definition(params, qubits, node.body, depth, size, self.evaluator.path)

    def _check_body(self, name: str, body: Iterable[ast.QASMNode], qubits: Sequence[str]) -> tuple[int, int]:
        depth, size = 1, 0
        for statement in body:
            match statement:
                case ast.QuantumGate(name=ast.Identifier(name=called)):
                    if called == name:
                        raise self._error(f"gate {name!r} calls itself", statement, called)
                    gate = self._find(called, statement)
                    size += 1
                    if isinstance(gate, Definition):
                        depth, size = max(depth, 1 + gate.depth), size + gate.size
                case ast.QuantumPhase() | ast.QuantumBarrier():
                    size += 1
                case ast.ForInLoop(block=block):
                    # It may run no time at all, so it does not count towards the least size.
                    depth = max(depth, self._check_body(name, block, qubits)[0])
                    continue
                case _:
                    raise self._error("a gate's body holds only gates, barriers and for loops", statement)
            for operand in statement.qubits:
                if not isinstance(operand, ast.Identifier) or operand.name not in qubits:
                    raise self._error(
                        f"gate {name!r} acts on what is not one of its qubits ({', '.join(qubits)})", statement
                    )
        return depth, size

    def call(
        self,
        node: ast.QuantumGate | ast.QuantumPhase,
        names: Mapping[str, Constant],
        qubits: Sequence[int],
    ) -> list[Primitive]:
        """The primitives of one call, modifiers applied.

        Raises:
            CircuitSyntaxError: The gate is unknown, a count is wrong, a qubit occurs twice, or a modifier cannot apply.
        """
        self.spend(1, node)
        if len(set(qubits)) != len(qubits):
            raise self._error("the same qubit twice in one operation", node, _called(node))
        try:
            return self._modified(node, names, tuple(qubits))
        except ModifierError as error:
            raise self._error(error.message, node, _called(node)) from None

    def _modified(
        self, node: ast.QuantumGate | ast.QuantumPhase, names: Mapping[str, Constant], qubits: tuple[int, ...]
    ) -> list[Primitive]:
        # The leftmost modifier takes the first qubits, the rightmost acts first.
        modifiers: list[tuple[str, tuple[int, ...], float]] = []
        for modifier in node.modifiers:
            kind, argument = modifier.modifier.name, modifier.argument
            if kind in ("ctrl", "negctrl"):
                count = 1 if argument is None else self.evaluator.integer(argument, names, "the number of controls")
                if not 1 <= count <= len(qubits):
                    raise self._error(f"{kind}({count}) on {len(qubits)} qubits", node, _called(node))
                modifiers.append((kind, qubits[:count], 0.0))
                qubits = qubits[count:]
            elif argument is not None:
                exponent = number(self.evaluator.angle(argument, names))
                if exponent is None:
                    raise self._error("the exponent of pow must be a number", node, _called(node))
                modifiers.append((kind, (), exponent))
            else:
                modifiers.append((kind, (), 0.0))
        body = self._expanded(node, names, qubits)
        for kind, controls, exponent in reversed(modifiers):
            if kind == "inv":
                body = inverse(body)
            elif kind == "pow":
                body = power(body, exponent, limit=MAX_OPERATIONS - self.spent)
            for control in reversed(controls):
                body = controlled(body, control, on=kind == "ctrl")
            self.spend(len(body), node)
        return body

    def _expanded(
        self, node: ast.QuantumGate | ast.QuantumPhase, names: Mapping[str, Constant], qubits: tuple[int, ...]
    ) -> list[Primitive]:
        if isinstance(node, ast.QuantumPhase):
            if qubits:
                raise self._error("gphase acts on no qubit of its own", node, "gphase")
            return [Primitive(GPHASE, (), (self.evaluator.angle(node.argument, names),))]
        if node.duration is not None:
            raise self._error("a gate with a duration is not supported", node, node.name.name)
        name = node.name.name
        gate = self._find(name, node)
        values: list[Value] = [self.evaluator.angle(a, names) for a in node.arguments]
        num_params = gate.num_params if isinstance(gate, NamedGate) else len(gate.params)
        num_qubits = gate.num_qubits if isinstance(gate, NamedGate) else len(gate.qubits)
        for what, expected, got in (("parameters", num_params, len(values)), ("qubits", num_qubits, len(qubits))):
            if expected != got:
                raise self._error(f"gate {name!r} takes {expected} {what}, got {got}", node, name)
        if isinstance(gate, Definition) and gate.size > MAX_OPERATIONS - self.spent:
            self.spend(gate.size, node)
        if isinstance(gate, NamedGate):
            return [p._replace(qubits=tuple([qubits[q] for q in p.qubits])) for p in gate.body(*values)]
        inside: Mapping[str, Constant] = ChainMap(dict(zip(gate.params, values, strict=True)), dict(self.constants))
        outer, self.evaluator.path = self.evaluator.path, gate.path
        body = self._run(gate.body, inside, dict(zip(gate.qubits, qubits, strict=True)))
        self.evaluator.path = outer
        return body

    def _run(
        self, body: Iterable[ast.QASMNode], names: Mapping[str, Constant], qubits: Mapping[str, int]
    ) -> list[Primitive]:
        out: list[Primitive] = []
        for statement in body:
            match statement:
                case ast.QuantumGate() | ast.QuantumPhase():
                    where = [qubits[q.name] for q in statement.qubits if isinstance(q, ast.Identifier)]
                    out += self.call(statement, names, where)
                case ast.QuantumBarrier(qubits=operands):
                    where = [qubits[q.name] for q in operands if isinstance(q, ast.Identifier)]
                    out.append(Primitive(Op.BARRIER, tuple(where or qubits.values())))
                    self.spend(len(qubits), statement)
                case ast.ForInLoop():
                    for value in self.loop(statement, names):
                        out += self._run(
                            statement.block, ChainMap({statement.identifier.name: value}, dict(names)), qubits
                        )
        return out

    def loop(self, node: ast.ForInLoop, names: Mapping[str, Constant]) -> Iterable[Constant]:
        """The values that a for loop goes through."""
        match node.set_declaration:
            case ast.RangeDefinition() as steps:
                values: Sequence[Constant] = range_of(steps, self.evaluator, names)
            case ast.DiscreteSet(values=members):
                values = [self.evaluator.value(member, names) for member in members]
            case _:
                raise self._error("a for loop goes over a range or set of constants", node)
        self.spend(len(values), node)
        return values

    def _find(self, name: str, node: ast.QASMNode) -> NamedGate | Definition:
        gate = self.defined.get(name) or self.reserved.get(name) or self.fallback.get(name)
        if gate is not None:
            return gate
        # A very long name would only make the search slow.
        hint = did_you_mean(name[:64], [*self.defined, *self.reserved, *self.fallback]) or None
        raise self._error(f"unknown gate {name!r}, or called before its definition", node, name, hint=hint)

    def _error(self, message: str, node: ast.QASMNode, token: str = "", *, hint: str | None = None) -> Exception:
        return located(message, node, self.evaluator.path, token, hint=hint)


def _called(node: ast.QuantumGate | ast.QuantumPhase) -> str:
    return node.name.name if isinstance(node, ast.QuantumGate) else "gphase"
