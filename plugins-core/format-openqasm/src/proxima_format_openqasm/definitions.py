"""Gate names of an OpenQASM 2 circuit: those of the language, of qelib1.inc, and its own definitions."""

from __future__ import annotations

import re

from proxima.errors import CircuitSyntaxError
from proxima.nearest import did_you_mean
from proxima_format_openqasm.expressions import Program, parse_expression
from proxima_format_openqasm.gates import MAX_DEPTH, Gate, Step, barrier, composite
from proxima_format_openqasm.lexer import KEYWORDS, Cursor
from proxima_format_openqasm.qelib1 import ORIGINAL, builtins, qelib1
from proxima_format_openqasm.registers import CheckNew
from proxima_format_openqasm.source import Source

_LONG_NAME = 64
"""From here on a name is not worth a search for what was meant."""


class Definitions:
    """The gates by name, and the statements that define more."""

    def __init__(self) -> None:
        self.gates: dict[str, Gate] = builtins()
        # From qelib1.inc, but not in all versions of it: the circuit may define these itself.
        self.replaceable: set[str] = set()

    def add_qelib1(self, source: Source, at: int, check_new: CheckNew) -> None:
        """Defines the gates of qelib1.inc; a gate that newer versions of the file added gives way to the circuit's."""
        for name, gate in qelib1().items():
            known = self.gates.get(name)
            if name in ORIGINAL:
                check_new(name, source, at)
                if known is not None and (known.op, known.num_qubits) != (gate.op, gate.num_qubits):
                    raise source.error(f"qelib1.inc defines {name!r} again", at, "qelib1.inc")
            elif known is not None:
                continue
            self.gates[name] = gate
            if name not in ORIGINAL:
                self.replaceable.add(name)

    def check_new(self, name: str, source: Source, at: int) -> None:
        """Refuses the name of a gate, unless the circuit may define it anew."""
        if name in self.gates and name not in self.replaceable:
            raise source.error(f"{name!r} is already a gate", at, name)

    def callable(self, name: str, source: Source, at: int) -> Gate:
        """The gate of that name.

        Raises:
            CircuitSyntaxError: There is none; the hint has the nearest names.
        """
        gate = self.gates.get(name)
        if gate is None:
            raise self._unknown(name, source, at)
        return gate

    def check_count(self, gate: Gate, what: str, expected: int, got: int, source: Source, at: int) -> None:
        """Refuses a call with the wrong number of parameters or qubits."""
        if expected != got:
            plural = "" if expected == 1 else "s"
            raise source.error(f"gate {gate.name!r} takes {expected} {what}{plural}, got {got}", at, gate.name)

    def opaque(self, cursor: Cursor, check_new: CheckNew) -> int:
        """Reads an opaque declaration and returns the position behind it."""
        cursor.advance()
        name, params, qubits = self._signature(cursor, check_new)
        end = cursor.require(";")
        self._add(Gate(name, len(params), len(qubits), opaque=name))
        return end

    def gate(self, cursor: Cursor, check_new: CheckNew) -> int:
        """Reads a gate's definition and returns the position behind it."""
        cursor.advance()
        at = cursor.at
        name, params, qubits = self._signature(cursor, check_new)
        opened = cursor.at
        cursor.require("{")
        steps: list[Step] = []
        while not (cursor.kind == "symbol" and cursor.text == "}"):
            if cursor.kind == "end":
                raise cursor.source.error(f"the body of gate {name!r} is not closed with '}}'", opened, "{")
            steps.append(self._step(cursor, name, params, qubits))
        end = cursor.require("}")
        defined = composite(name, len(params), len(qubits), steps)
        if defined.depth > MAX_DEPTH:
            raise cursor.source.error(f"gate definitions nest deeper than {MAX_DEPTH} levels", at, name)
        self._add(defined)
        return end

    def _add(self, gate: Gate) -> None:
        self.gates[gate.name] = gate
        self.replaceable.discard(gate.name)

    def _signature(self, cursor: Cursor, check_new: CheckNew) -> tuple[str, dict[str, int], dict[str, int]]:
        at, name = cursor.at, cursor.name("a gate")
        if name in KEYWORDS:
            raise cursor.source.error("a keyword cannot name a gate", at, name)
        self.check_new(name, cursor.source, at)
        check_new(name, cursor.source, at)
        params: dict[str, int] = {}
        if cursor.accept("(") and not cursor.accept(")"):
            params = self._names(cursor, "a parameter")
            cursor.require(")")
        qubits = self._names(cursor, "a qubit")
        both = sorted(set(params) & set(qubits))
        if both:
            raise cursor.source.error(f"{both[0]!r} names both a parameter and a qubit", at, name)
        return name, params, qubits

    def _names(self, cursor: Cursor, what: str) -> dict[str, int]:
        names: dict[str, int] = {}
        while True:
            at, name = cursor.at, cursor.name(what)
            if name in KEYWORDS:
                raise cursor.source.error(f"a keyword cannot name {what}", at, name)
            if name in names:
                raise cursor.source.error(f"{what} is named twice", at, name)
            names[name] = len(names)
            if not cursor.accept(","):
                return names

    def _step(self, cursor: Cursor, defining: str, params: dict[str, int], qubits: dict[str, int]) -> Step:
        source, at = cursor.source, cursor.at
        called = cursor.name("a gate")
        programs: list[Program] = []
        if called == "barrier":
            slots = self._slots(cursor, qubits)
            gate = barrier(len(slots))
        else:
            if called == defining:
                raise source.error(f"gate {defining!r} calls itself", at, called)
            if called in ("measure", "reset", "if", "gate", "opaque", "qreg", "creg", "include", "OPENQASM"):
                raise source.error("a gate's body holds only gates and barriers", at, called)
            gate = self.callable(called, source, at)
            if cursor.accept("(") and not cursor.accept(")"):
                programs.append(parse_expression(cursor, params))
                while cursor.accept(","):
                    programs.append(parse_expression(cursor, params))
                cursor.require(")")
            self.check_count(gate, "parameter", gate.num_params, len(programs), source, at)
            slots = self._slots(cursor, qubits)
            self.check_count(gate, "qubit", gate.num_qubits, len(slots), source, at)
        cursor.require(";")
        cursor.advance()
        return Step(gate, tuple(programs), slots)

    def _slots(self, cursor: Cursor, qubits: dict[str, int]) -> tuple[int, ...]:
        slots: list[int] = []
        while True:
            at, name = cursor.at, cursor.name("a qubit")
            if name not in qubits:
                raise cursor.source.error(
                    "not a qubit of this gate", at, name, hint=f"its qubits are: {', '.join(qubits)}"
                )
            if qubits[name] in slots:
                raise cursor.source.error("the same qubit twice in one operation", at, name)
            slots.append(qubits[name])
            if not cursor.accept(","):
                return tuple(slots)

    def _unknown(self, name: str, source: Source, at: int) -> CircuitSyntaxError:
        if len(name) > _LONG_NAME:
            return source.error("unknown gate", at, name)
        if re.search(rf"\b(?:gate|opaque)\s+{re.escape(name)}\b", source.text[at:]):
            return source.error(f"gate {name!r} is called before its definition", at, name)
        if name in qelib1() and name not in self.gates:
            return source.error(f"unknown gate {name!r}", at, name, hint='add: include "qelib1.inc";')
        known = [*self.gates, "measure", "reset", "barrier", "qreg", "creg"]
        return source.error(f"unknown gate {name!r}", at, name, hint=did_you_mean(name, known) or None)
