"""Registers of an OpenQASM 2 circuit, and the operands that name their bits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from proxima.contracts.circuit import Condition
from proxima_format_openqasm.lexer import KEYWORDS, Cursor
from proxima_format_openqasm.source import MAX_BITS, Source

Kind: TypeAlias = Literal["qreg", "creg"]
# Refuses a name that is taken.
CheckNew: TypeAlias = Callable[[str, Source, int], None]

_BIT = re.compile(r"\s*([A-Za-z_]\w*)\s*\[\s*(\d{1,9})\s*\]\s*", re.ASCII)
MAX_CONDITION_BITS = 4096
"""Largest register that a condition may compare."""

_CACHED_OPERANDS = 100_000
_WORDS = {"qreg": "quantum", "creg": "classical"}


class Register(NamedTuple):
    """A declared register: its bits in the circuit."""

    kind: Kind
    bits: range


class Operand(NamedTuple):
    """A register or one of its bits, as an operation names it."""

    bits: range
    whole: bool
    at: int
    text: str


class Registers:
    """The registers by name.

    Attributes:
        bits: What the reader's fast path looks up: text of a list of single qubits -> the qubits.
        assumed: The name that `assume_measured` gave to the one quantum register; empty where it did not.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Register] = {}
        self.bits: dict[str, tuple[int, ...]] = {}
        self._conditions: dict[tuple[str, int], Condition] = {}
        self.assumed = ""

    def sizes(self, kind: Kind) -> list[tuple[str, int]]:
        """Name and size of the registers of one kind, in order of declaration."""
        return [(name, len(r.bits)) for name, r in self.by_name.items() if r.kind == kind and name != self.assumed]

    def check_new(self, name: str, source: Source, at: int) -> None:
        """Refuses the name of a register."""
        register = self.by_name.get(name)
        if register is not None:
            raise source.error(f"{name!r} is already a {_WORDS[register.kind]} register", at, name)

    def declare(self, cursor: Cursor, check_new: CheckNew) -> int:
        """Reads ``qreg name[size];`` or ``creg name[size];`` and returns the position behind it."""
        kind: Kind = "qreg" if cursor.text == "qreg" else "creg"
        cursor.advance()
        at, name = cursor.at, cursor.name("a register")
        if name in KEYWORDS:
            raise cursor.source.error("a keyword cannot name a register", at, name)
        self.check_new(name, cursor.source, at)
        check_new(name, cursor.source, at)
        cursor.require("[")
        size_at, size = cursor.at, cursor.integer("the size of the register")
        cursor.require("]")
        start = max((r.bits.stop for r in self.by_name.values() if r.kind == kind), default=0)
        if start + size > MAX_BITS:
            raise cursor.source.error(
                f"the {_WORDS[kind]} registers hold {start + size:,} bits; the limit is {MAX_BITS:,}",
                size_at,
                str(size),
            )
        self.by_name[name] = Register(kind, range(start, start + size))
        return cursor.require(";")

    def single_bits(self, text: str) -> tuple[int, ...] | None:
        """The qubits of a list such as ``q[0], q[1]``; ``None`` for anything that needs a closer look."""
        out = []
        for piece in text.split(","):
            match = _BIT.fullmatch(piece)
            if match is None:
                return None
            register, index = self.by_name.get(match[1]), int(match[2])
            if register is None or register.kind != "qreg" or index >= len(register.bits):
                return None
            out.append(register.bits[index])
        if len(out) > 1 and len(set(out)) != len(out):
            return None
        qubits = tuple(out)
        if len(self.bits) < _CACHED_OPERANDS:
            self.bits[text] = qubits
        return qubits

    def operand(self, cursor: Cursor, kind: Kind) -> Operand:
        """Reads a register or one of its bits."""
        source, at = cursor.source, cursor.at
        name = cursor.name(f"a {_WORDS[kind]} register")
        register = self.by_name.get(name)
        if register is None:
            raise source.error("unknown register", at, name, hint=self._known(kind))
        if register.kind != kind:
            raise source.error(f"expected a {_WORDS[kind]} register, this is a {_WORDS[register.kind]} one", at, name)
        if not cursor.accept("["):
            return Operand(register.bits, True, at, name)
        index_at, index = cursor.at, cursor.integer("an index")
        if index >= len(register.bits):
            raise source.error(
                f"index out of range: {name!r} has {len(register.bits)} bits, counted from 0",
                index_at,
                source.text[index_at : cursor.at].rstrip(),
            )
        cursor.require("]")
        bit = register.bits[index]
        return Operand(range(bit, bit + 1), False, at, f"{name}[{index}]")

    def assume_measured(self, name: str) -> bool:
        """Makes sense of ``measure q[0] -> c[0];`` in a file that declares ``qreg reg[n];`` and nothing else.

        Circuits in wide use (QASMBench's vqe_uccsd) are written so. There is one thing they can mean: the only register
        is measured, into as many classical bits. Returns whether the name was taken to be that register's.
        """
        only = next(iter(self.by_name.values()), None)
        if len(self.by_name) != 1 or only is None or only.kind != "qreg" or name in self.by_name:
            return False
        self.assumed = name
        self.by_name[name] = only
        return True

    def assume_bits(self, name: str) -> None:
        """Declares the classical register that the assumed one is measured into."""
        if self.assumed and not self.sizes("creg") and name not in self.by_name:
            self.by_name[name] = Register("creg", range(len(self.by_name[self.assumed].bits)))

    def operands(self, cursor: Cursor) -> list[Operand]:
        """Reads quantum operands up to the semicolon."""
        out = [self.operand(cursor, "qreg")]
        while cursor.accept(","):
            out.append(self.operand(cursor, "qreg"))
        return out

    def broadcast(self, operands: Sequence[Operand], source: Source) -> list[tuple[int, ...]]:
        """The calls that a gate on these operands stands for: one, or one per index of the registers among them."""
        wholes = [operand for operand in operands if operand.whole]
        size = len(wholes[0].bits) if wholes else 1
        for operand in wholes:
            if len(operand.bits) != size:
                raise source.error(
                    f"registers of different size: {wholes[0].text!r} has {size}, {operand.text!r} {len(operand.bits)}",
                    operand.at,
                    operand.text,
                )
        for i, operand in enumerate(operands):
            for earlier in operands[:i]:
                if _overlap(operand.bits, earlier.bits):
                    raise source.error("the same qubit twice in one operation", operand.at, operand.text)
        return [tuple(o.bits[k] if o.whole else o.bits[0] for o in operands) for k in range(size)]

    def condition(self, cursor: Cursor) -> Condition:
        """Reads ``register == number``."""
        operand = self.operand(cursor, "creg")
        if not operand.whole:
            raise cursor.source.error("a condition compares a whole register", operand.at, operand.text)
        if len(operand.bits) > MAX_CONDITION_BITS:
            raise cursor.source.error(
                f"a condition reads {len(operand.bits):,} bits; the limit is {MAX_CONDITION_BITS:,}",
                operand.at,
                operand.text,
            )
        if not cursor.accept("=="):
            raise cursor.error("expected '=='")
        key = (operand.text, cursor.integer("a number"))
        known = self._conditions.get(key)
        if known is None:
            known = self._conditions[key] = Condition(tuple(operand.bits), key[1])
        return known

    def _known(self, kind: Kind) -> str:
        names = [name for name, _ in self.sizes(kind)]
        if not names:
            return f"no {_WORDS[kind]} register is declared so far"
        return f"the {_WORDS[kind]} registers are: {', '.join(names[:10])}"


def _overlap(a: range, b: range) -> bool:
    return max(a.start, b.start) < min(a.stop, b.stop)
