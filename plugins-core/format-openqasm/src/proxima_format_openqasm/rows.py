"""`Rows`: operations on their way from a parser into a circuit's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Columns, Condition, Parameter, Register
from proxima.contracts.operations import OPERATIONS, Op

_ARITY = np.zeros(256, dtype=np.int64)
_PARAMS = np.zeros(256, dtype=np.int64)
for _op, _spec in OPERATIONS.items():
    _ARITY[_op] = _spec.num_qubits
    _PARAMS[_op] = len(_spec.params)


@dataclass(slots=True)
class Rows:
    """Columns without offsets: these follow from the operation codes, except where ``lengths`` says how many qubits.

    Half the memory and a third of the appends of `CircuitBuilder`; a parser fills ``ops``, ``qubits`` and ``params``
    directly.
    """

    ops: list[int] = field(default_factory=list)
    qubits: list[int] = field(default_factory=list)
    params: list[float] = field(default_factory=list)
    # Sparse: row (or position in params) -> value. Most rows have none of these.
    lengths: dict[int, int] = field(default_factory=dict)
    clbits: dict[int, int] = field(default_factory=dict)
    condition_of: dict[int, int] = field(default_factory=dict)
    param_refs: dict[int, int] = field(default_factory=dict)
    payload_of: dict[int, int] = field(default_factory=dict)
    conditions: dict[Condition, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    payloads: list[tuple[npt.NDArray[np.complex128], ...]] = field(default_factory=list)

    def append(
        self,
        op: int,
        qubits: Sequence[int],
        params: Sequence[float | Parameter] = (),
        *,
        clbit: int = -1,
        matrices: Sequence[npt.NDArray[np.complex128]] = (),
    ) -> None:
        """Adds one operation; the caller has checked how many qubits and parameters it takes."""
        row = len(self.ops)
        self.ops.append(op)
        self.qubits.extend(qubits)
        if not _ARITY[op]:
            self.lengths[row] = len(qubits)
        for param in params:
            if isinstance(param, Parameter):
                self.param_refs[len(self.params)] = self.parameters.setdefault(param.name, len(self.parameters))
                self.params.append(param.coefficient)
            else:
                self.params.append(param)
        if clbit >= 0:
            self.clbits[row] = clbit
        if matrices:
            self.payload_of[row] = len(self.payloads)
            self.payloads.append(tuple(matrices))

    def condition(self, first: int, condition: Condition) -> None:
        """Puts every row from ``first`` on under ``condition``; a barrier does nothing and needs none."""
        index = self.conditions.setdefault(condition, len(self.conditions))
        for row in range(first, len(self.ops)):
            if self.ops[row] != Op.BARRIER:
                self.condition_of[row] = index

    def circuit(
        self,
        qregs: Sequence[tuple[str, int]],
        cregs: Sequence[tuple[str, int]],
        *,
        name: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> Circuit:
        """The circuit over these registers."""
        ops = np.array(self.ops, dtype=np.uint8)
        lengths = _ARITY[ops]
        for row, length in self.lengths.items():
            lengths[row] = length
        columns = Columns(
            ops,
            _offsets(lengths),
            np.array(self.qubits, dtype=np.int32),
            _offsets(_PARAMS[ops]),
            np.array(self.params, dtype=np.float64),
            _dense(self.param_refs, len(self.params)),
            _dense(self.clbits, len(ops)),
            _dense(self.condition_of, len(ops)),
            _dense(self.payload_of, len(ops)),
        )
        return Circuit(
            sum(size for _, size in qregs),
            sum(size for _, size in cregs),
            columns,
            qregs=tuple(Register(name, size) for name, size in qregs),
            cregs=tuple(Register(name, size) for name, size in cregs),
            parameters=tuple(self.parameters),
            conditions=tuple(self.conditions),
            payloads=tuple(self.payloads),
            name=name,
            metadata=metadata or {},
        )


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    out = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=out[1:])
    return out


def _dense(sparse: dict[int, int], size: int) -> npt.NDArray[np.int32]:
    out = np.full(size, -1, dtype=np.int32)
    if sparse:
        out[np.fromiter(sparse.keys(), np.int64, len(sparse))] = np.fromiter(sparse.values(), np.int64, len(sparse))
    return out
