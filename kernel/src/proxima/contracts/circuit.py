"""`Circuit`: an immutable quantum circuit held as columns.

Qubit 0 is the least significant bit; bit strings are printed highest classical bit first; there is no global phase.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from proxima.contracts._validate import validate_columns
from proxima.contracts.builder import CircuitBuilder as CircuitBuilder
from proxima.contracts.lazy_numpy import np, npt
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.errors import UsageError

IntColumn: TypeAlias = "npt.NDArray[np.int32]"
FloatColumn: TypeAlias = "npt.NDArray[np.float64]"
ComplexMatrix: TypeAlias = "npt.NDArray[np.complex128]"


@dataclass(frozen=True, slots=True)
class Register:
    """A named run of consecutive qubits or classical bits; registers of a circuit partition its bits in order."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A classical condition: the listed classical bits, the first least significant, read as a number, equal ``value``.

    ``negated`` turns it into "differ from".
    """

    clbits: tuple[int, ...]
    value: int
    negated: bool = False

    def holds(self, bits: Sequence[int]) -> bool:
        """Whether the condition holds, given every classical bit of the circuit."""
        number = sum(bits[c] << i for i, c in enumerate(self.clbits))
        return (number == self.value) is not self.negated


@dataclass(frozen=True, slots=True)
class Parameter:
    """An angle left open: ``coefficient`` times the value bound to ``name``."""

    name: str
    coefficient: float = 1.0


class Instruction(NamedTuple):
    """One row of the operation table.

    Attributes:
        params: Numbers, or `Parameter` where the value is still open.
        clbit: The classical bit a measurement writes; -1 otherwise.
        matrices: One matrix for ``unitary``, the Kraus operators for ``kraus``; the first listed qubit is the least
            significant index bit.
    """

    op: Op
    qubits: tuple[int, ...]
    params: tuple[float | Parameter, ...] = ()
    clbit: int = -1
    condition: Condition | None = None
    matrices: tuple[ComplexMatrix, ...] = ()


class Columns(NamedTuple):
    """The operation table: row i holds operation i.

    Attributes:
        ops: uint8, shape (m,): `Op` codes.
        qubit_offsets, qubits: int32, shapes (m+1,) and (k,): the qubits of row i are ``qubits[off[i]:off[i+1]]``.
        param_offsets, params: int32 (m+1,) and float64 (p,): likewise; for an open parameter the coefficient.
        param_refs: int32, shape (p,): index into `Circuit.parameters`, -1 for a number.
        clbits: int32, shape (m,): the bit a measurement writes, -1 for none.
        conditions: int32, shape (m,): index into `Circuit.conditions`, -1 for none.
        payloads: int32, shape (m,): index into `Circuit.payloads`, -1 for none.
    """

    ops: npt.NDArray[np.uint8]
    qubit_offsets: IntColumn
    qubits: IntColumn
    param_offsets: IntColumn
    params: FloatColumn
    param_refs: IntColumn
    clbits: IntColumn
    conditions: IntColumn
    payloads: IntColumn


@dataclass(frozen=True, eq=False)
class Circuit:
    """An immutable circuit: a header and a table of operations.

    Build one with `Circuit.builder`, or read one from a file through the kernel. Equality and hash go by content: two
    circuits with the same operations on the same bits are equal, whatever their names and registers are called.

    Attributes:
        columns: The operation table.
        qregs, cregs: Registers; their sizes sum to ``num_qubits`` and ``num_clbits``.
        parameters: Names of the parameters left open.
        conditions: Side table of distinct classical conditions.
        payloads: Side table of matrices for ``unitary`` and ``kraus`` rows.
        name: For people; not part of the content.
        metadata: For people; not part of the content.

    Raises:
        CircuitError: A column is inconsistent, an index is out of range, a number is not finite, or a matrix is not
            unitary (or a channel not trace preserving) to 1e-8.
    """

    num_qubits: int
    num_clbits: int
    columns: Columns
    qregs: tuple[Register, ...] = ()
    cregs: tuple[Register, ...] = ()
    parameters: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    payloads: tuple[tuple[ComplexMatrix, ...], ...] = ()
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.qregs and self.num_qubits:
            object.__setattr__(self, "qregs", (Register("q", self.num_qubits),))
        if not self.cregs and self.num_clbits:
            object.__setattr__(self, "cregs", (Register("c", self.num_clbits),))
        validate_columns(self)
        for array in self.columns:
            array.flags.writeable = False

    @staticmethod
    def builder(num_qubits: int = 0, num_clbits: int = 0, *, name: str = "") -> CircuitBuilder:
        """An empty `CircuitBuilder` with one quantum register ``q`` and one classical register ``c``."""
        return CircuitBuilder(num_qubits, num_clbits, name=name)

    def empty_builder(self) -> CircuitBuilder:
        """A builder with this circuit's name, qubits and classical bits, and no operations."""
        builder = CircuitBuilder(name=self.name)
        for register in self.qregs:
            builder.add_qubits(register.name, register.size)
        for register in self.cregs:
            builder.add_clbits(register.name, register.size)
        return builder

    def __len__(self) -> int:
        return len(self.columns.ops)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<Circuit{name}: {self.num_qubits} qubits, {self.num_clbits} classical bits, {len(self)} operations>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Circuit) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def rows(self) -> Iterator[tuple[int, list[int], list[float]]]:
        """The fast way through a circuit: ``(op code, qubits, numbers)`` per operation, as plain Python objects.

        Open parameters appear as their coefficients, so `bind` first.
        """
        c = self.columns
        qubits, params = c.qubits.tolist(), c.params.tolist()
        q_off, p_off = c.qubit_offsets.tolist(), c.param_offsets.tolist()
        for i, op in enumerate(c.ops.tolist()):
            yield op, qubits[q_off[i] : q_off[i + 1]], params[p_off[i] : p_off[i + 1]]

    def __iter__(self) -> Iterator[Instruction]:
        c = self.columns
        refs, p_off = c.param_refs.tolist(), c.param_offsets.tolist()
        side = zip(c.clbits.tolist(), c.conditions.tolist(), c.payloads.tolist(), strict=True)
        for i, ((op, qubits, params), (clbit, condition, payload)) in enumerate(zip(self.rows(), side, strict=True)):
            values: tuple[float | Parameter, ...] = tuple(params)
            if self.parameters:
                values = tuple(
                    v if r < 0 else Parameter(self.parameters[r], v)
                    for v, r in zip(params, refs[p_off[i] : p_off[i + 1]], strict=True)
                )
            yield Instruction(
                Op(op),
                tuple(qubits),
                values,
                clbit,
                self.conditions[condition] if condition >= 0 else None,
                self.payloads[payload] if payload >= 0 else (),
            )

    def bind(self, values: Mapping[str, float]) -> Circuit:
        """The circuit with every open parameter given a value.

        Raises:
            UsageError: A parameter has no value, or a value has no parameter, or a value is not a finite number.
        """
        unknown = sorted(set(values) - set(self.parameters))
        missing = sorted(set(self.parameters) - set(values))
        if unknown or missing:
            told = f"no parameter is called {', '.join(unknown)}" if unknown else f"no value for {', '.join(missing)}"
            raise UsageError(f"cannot bind: {told}", hint=f"the parameters are: {', '.join(self.parameters) or 'none'}")
        if not self.parameters:
            return self
        table = np.array([float(values[p]) for p in self.parameters])
        if not np.isfinite(table).all():
            raise UsageError("cannot bind: a value is not a finite number")
        c = self.columns
        open_ = c.param_refs >= 0
        params = np.where(open_, c.params * table[c.param_refs], c.params)
        columns = c._replace(params=params, param_refs=np.full_like(c.param_refs, -1))
        return replace(self, columns=columns, parameters=())

    def select(self, keep: npt.NDArray[np.bool_]) -> Circuit:
        """The circuit with only the rows where ``keep`` (bool, shape (m,)) is true; registers stay as they are."""
        c = self.columns
        q_len, p_len = np.diff(c.qubit_offsets), np.diff(c.param_offsets)
        p_keep = np.repeat(keep, p_len)
        columns = Columns(
            c.ops[keep],
            _offsets(q_len[keep]),
            c.qubits[np.repeat(keep, q_len)],
            _offsets(p_len[keep]),
            c.params[p_keep],
            c.param_refs[p_keep],
            c.clbits[keep],
            c.conditions[keep],
            c.payloads[keep],
        )
        return replace(self, columns=columns)

    @cached_property
    def final_measurements(self) -> tuple[tuple[int, int], ...]:
        """``(qubit, classical bit)`` of the measurements after which nothing touches that qubit or reads that bit."""
        mask, c = self.final_mask, self.columns
        qubits = c.qubits[c.qubit_offsets[:-1][mask]].tolist()
        return tuple(zip(qubits, c.clbits[mask].tolist(), strict=True))

    def without_final_measurements(self) -> Circuit:
        """The circuit up to its final measurements: what a statevector or expectation value describes."""
        return self.select(~self.final_mask) if self.final_mask.any() else self

    @cached_property
    def final_mask(self) -> npt.NDArray[np.bool_]:
        """Which rows are the measurements of `final_measurements`, bool, shape (m,)."""
        c = self.columns
        mask = np.zeros(len(self), dtype=np.bool_)
        if not (c.ops == Op.MEASURE).any():
            mask.flags.writeable = False
            return mask
        touched: set[int] = set()
        read: set[int] = set()
        written: set[int] = set()
        q_off, qubits = c.qubit_offsets.tolist(), c.qubits.tolist()
        clbits, conditions = c.clbits.tolist(), c.conditions.tolist()
        ops = c.ops.tolist()
        for i in range(len(ops) - 1, -1, -1):
            op, where = ops[i], qubits[q_off[i] : q_off[i + 1]]
            if op == Op.BARRIER:
                continue
            if op == Op.MEASURE:
                # A bit written again later, or read later, keeps the earlier measurement in the middle.
                free = where[0] not in touched and clbits[i] not in read and clbits[i] not in written
                mask[i] = free and conditions[i] < 0
                written.add(clbits[i])
            if conditions[i] >= 0:
                read.update(self.conditions[conditions[i]].clbits)
            touched.update(where)
        mask.flags.writeable = False
        return mask

    @property
    def has_noise(self) -> bool:
        """Whether any operation is a noise channel."""
        return bool(np.isin(self.columns.ops, sorted(CHANNELS)).any())

    @cached_property
    def is_dynamic(self) -> bool:
        """Whether the circuit has a condition, a reset, or a measurement that is not final."""
        c = self.columns
        middle = (c.ops == Op.MEASURE) & ~self.final_mask
        return bool((c.conditions >= 0).any() or (c.ops == Op.RESET).any() or middle.any())

    @cached_property
    def depth(self) -> int:
        """Length of the longest chain of operations that share a qubit or classical bit; barriers do not count."""
        level = [0] * (self.num_qubits + self.num_clbits)
        clbits, conditions = self.columns.clbits.tolist(), self.columns.conditions.tolist()
        for i, (op, qubits, _) in enumerate(self.rows()):
            wires = list(qubits)
            if clbits[i] >= 0:
                wires.append(self.num_qubits + clbits[i])
            if conditions[i] >= 0:
                wires.extend(self.num_qubits + bit for bit in self.conditions[conditions[i]].clbits)
            top = max((level[w] for w in wires), default=0) + (op != Op.BARRIER)
            for wire in wires:
                level[wire] = top
        return max(level, default=0)

    def count_ops(self) -> dict[str, int]:
        """How often each operation occurs, by name, most frequent first."""
        codes, counts = np.unique(self.columns.ops, return_counts=True)
        pairs = sorted(zip(codes.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        return {OPERATIONS[Op(code)].name: count for code, count in pairs}

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the content, in hexadecimal: operations, bits and parameters, without names and metadata."""
        digest = hashlib.sha256(f"proxima-circuit-1 {self.num_qubits} {self.num_clbits}".encode())
        for array in self.columns:
            digest.update(array.tobytes() + b"|")
        digest.update(repr((self.parameters, self.conditions)).encode())
        for matrices in self.payloads:
            digest.update(str([m.shape for m in matrices]).encode())
            for matrix in matrices:
                digest.update(np.ascontiguousarray(matrix).tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """The circuit as one buffer, for another process or for a file (see `circuit_bytes`)."""
        from proxima.contracts.circuit_bytes import to_bytes

        return to_bytes(self)

    @staticmethod
    def from_bytes(data: bytes | memoryview) -> Circuit:
        """The circuit that `to_bytes` wrote; everything in ``data`` is checked.

        Raises:
            CircuitError: The buffer is not a circuit, is cut short, or describes an inconsistent one.
        """
        from proxima.contracts.circuit_bytes import from_bytes

        return from_bytes(data)


def _offsets(lengths: npt.NDArray[Any]) -> IntColumn:
    out = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=out[1:])
    return out
