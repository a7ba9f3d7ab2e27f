"""`translate`: from a circuit of Cirq to one of the contract, with its measurement keys.

Cirq's qubits keep their order: the first is qubit 0, which is the least significant bit here and the most significant
one in Cirq, so matrices are turned round. Measured bits are told in the order of the measurement's qubits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cirq
import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.matrices import reverse_qubits
from proxima.contracts.operations import Op
from proxima.errors import CircuitError, UnsupportedError, UsageError
from proxima_lret_core.cirq.conditions import Record, alternatives, numbered
from proxima_lret_core.cirq.gates import Params, known

Measuring = Literal["records", "bits", "dephasing"]
_SMALL = 2  # qubits up to which a matrix is taken before a decomposition is tried
_MAX_UNITARY, _MAX_KRAUS = 10, 4


@dataclass(frozen=True, slots=True)
class Translation:
    """A circuit of the contract, and what of Cirq's it stands for.

    Attributes:
        qubits: Cirq's qubits, in the order of the circuit's.
        records: By measurement key what was measured under it, in order.
    """

    circuit: Circuit
    qubits: tuple[cirq.Qid, ...]
    records: Mapping[str, tuple[Record, ...]]


def translate(
    circuit: cirq.AbstractCircuit,
    *,
    qubit_order: cirq.QubitOrderOrList = cirq.QubitOrder.DEFAULT,
    noise: cirq.NOISE_MODEL_LIKE = None,
    measuring: Measuring = "records",
) -> Translation:
    """The circuit of the contract that does the same.

    Args:
        circuit: With gates and channels that have a name in the vocabulary, a unitary, a decomposition or Kraus
            operators; measurements, resets, classical controls and subcircuits. Symbols become open parameters where
            an angle is a multiple of one.
        qubit_order: Of Cirq's qubits; those it lists and no operation touches are kept.
        noise: Applied to the moments first.
        measuring: ``records`` leaves inversion and confusion of measured bits to `Translation.records`; ``bits``
            inverts by gates, so that the classical bits are what Cirq tells; ``dephasing`` forgets what is measured and
            read by no classical control, so that the state is the average over the outcomes.

    Raises:
        UnsupportedError: An operation cannot be simulated; the message names it.
        UsageError: A control reads a key that was not measured; a qubit is not in the order.
        CircuitError: A number is not finite, a matrix not unitary, a channel not trace preserving.
    """
    qubits = cirq.QubitOrder.as_qubit_order(qubit_order).order_for(circuit.all_qubits())
    if big := [q for q in qubits if q.dimension != 2]:
        raise UnsupportedError(f"{big[0]!r} has {big[0].dimension} levels; only qubits are simulated")
    model = cirq.NoiseModel.from_noise_model_like(noise)
    moments = model.noisy_moments(circuit, sorted(circuit.all_qubits())) if len(circuit) else []
    operations = list(_unrolled(cirq.flatten_to_ops(moments)))
    read = frozenset(str(key) for each in operations for key in cirq.control_keys(each))
    return _Translator(qubits, measuring, read).translate(operations)


def _unrolled(operations: Iterable[cirq.Operation]) -> Iterator[cirq.Operation]:
    """The operations with subcircuits replaced by what is in them."""
    for operation in operations:
        inner = operation.untagged
        if not isinstance(inner, cirq.CircuitOperation):
            yield operation
        elif inner.repeat_until is not None:
            raise UnsupportedError("a subcircuit repeated until a condition holds is not simulated", hint="unroll it")
        else:
            yield from _unrolled(cirq.decompose_once(inner))


class _Translator:
    def __init__(self, qubits: Sequence[cirq.Qid], measuring: Measuring, read: frozenset[str]) -> None:
        self._qubits = tuple(qubits)
        self._index = {qubit: i for i, qubit in enumerate(qubits)}
        self._measuring = measuring
        self._read = read
        self._builder = Circuit.builder()
        self._builder.add_qubits("q", len(self._qubits))
        self._records: dict[str, list[Record]] = {}
        self._numbered: range | None = None  # the classical bits, where the keys number them
        self._undoing: dict[int, int] = {}  # the row that inverts a qubit again, after its measurement: which qubit

    def translate(self, operations: Sequence[cirq.Operation]) -> Translation:
        if self._measuring == "bits" and (size := _numbered_bits(operations)):
            self._numbered = self._builder.add_clbits("c", size)
        for operation in operations:
            self._add(operation, ())
        circuit = _without_last(self._builder.build(), self._undoing)
        return Translation(circuit, self._qubits, {key: tuple(records) for key, records in self._records.items()})

    def _at(self, qubit: cirq.Qid) -> int:
        try:
            return self._index[qubit]
        except KeyError:
            raise UsageError(f"the circuit acts on {qubit!r}, which its qubits do not include") from None

    def _add(self, operation: cirq.Operation, outer: tuple[cirq.Condition, ...]) -> None:
        """Adds an operation that further controls hold for, once for each value of the bits that fits."""
        whole, operation = operation, operation.untagged
        controls = (*outer, *sorted(operation.classical_controls, key=str))
        operation = operation.without_classical_controls().untagged
        conditions = alternatives(controls, self._record_of) if controls else (None,)
        gate, qubits = operation.gate, [self._at(q) for q in operation.qubits]
        if isinstance(gate, cirq.MeasurementGate):
            self._measure(gate, qubits, conditions)
        elif isinstance(gate, cirq.IdentityGate | cirq.WaitGate):
            for qubit in qubits:
                self._append(Op.ID, [qubit], conditions)
        elif isinstance(gate, cirq.GlobalPhaseGate):
            return
        elif isinstance(gate, cirq.ResetChannel):
            self._append(Op.RESET, qubits, conditions)
        elif gate is not None and (found := known(gate)):
            self._append(found[0], qubits, conditions, params=found[1])
        else:
            self._add_unnamed(operation, whole, controls, conditions)

    def _add_unnamed(
        self,
        operation: cirq.Operation,
        whole: cirq.Operation,
        controls: tuple[cirq.Condition, ...],
        conditions: tuple[Condition | None, ...],
    ) -> None:
        """By a small matrix, else by a decomposition, else by a large matrix."""
        if cirq.is_parameterized(operation) and not isinstance(operation, cirq.CircuitOperation):
            names = ", ".join(sorted(cirq.parameter_names(operation)))
            raise UnsupportedError(
                f"{whole} has open symbols: {names}", hint="give them values first: cirq.resolve_parameters"
            )
        measures, width = bool(cirq.measurement_key_objs(operation)), len(operation.qubits)
        small = _MAX_UNITARY if isinstance(operation.gate, cirq.MatrixGate) else _SMALL
        if not measures and width <= small and self._add_matrix(operation, conditions, small, _SMALL):
            return
        parts: list[cirq.Operation] | None = cirq.decompose_once(operation, default=None)
        if parts is not None:
            for part in _unrolled(parts):
                self._add(part, controls)
            return
        if measures or not self._add_matrix(operation, conditions, _MAX_UNITARY, _MAX_KRAUS):
            raise UnsupportedError(
                f"{whole} cannot be simulated: it is no gate or channel of the vocabulary, and has no decomposition,"
                f" no unitary of up to {_MAX_UNITARY} qubits and no Kraus operators of up to {_MAX_KRAUS}"
                + (", or its outcome has a key" if measures else "")
            )

    def _add_matrix(
        self, operation: cirq.Operation, conditions: tuple[Condition | None, ...], unitary: int, kraus: int
    ) -> bool:
        qubits = [self._at(q) for q in operation.qubits]
        if len(qubits) <= unitary and (matrix := cirq.unitary(operation, None)) is not None:
            self._append(Op.UNITARY, qubits, conditions, matrices=[reverse_qubits(matrix)])
            return True
        if len(qubits) <= kraus and (operators := cirq.kraus(operation, None)) is not None:
            self._append(Op.KRAUS, qubits, conditions, matrices=[reverse_qubits(np.asarray(k)) for k in operators])
            return True
        return False

    def _append(
        self,
        op: Op,
        qubits: Sequence[int],
        conditions: tuple[Condition | None, ...],
        *,
        params: Params = (),
        matrices: Sequence[npt.NDArray[Any]] = (),
    ) -> None:
        for condition in conditions:
            self._builder.append(op, qubits, params, condition=condition, matrices=matrices)

    def _record_of(self, key: cirq.MeasurementKey, number: int) -> Record:
        return numbered(self._records.get(str(key), ()), key, number)

    def _measure(self, gate: cirq.MeasurementGate, qubits: list[int], conditions: tuple[Condition | None, ...]) -> None:
        if conditions != (None,):
            raise UnsupportedError(f"the measurement {gate.key} is classically controlled")
        if self._measuring == "dephasing" and gate.key not in self._read:
            for qubit in qubits:
                self._builder.append(Op.PHASE_FLIP, [qubit], (0.5,))
            return
        records = self._records.setdefault(gate.key, [])
        if records and len(records[0].clbits) != len(qubits):
            raise CircuitError(f"the key {gate.key} measures {len(records[0].clbits)} qubits, and then {len(qubits)}")
        if self._numbered is not None:
            clbits = self._numbered[int(gate.key[2:-1]) :][:1]
        else:
            name = gate.key if not records else f"{gate.key}_{len(records)}"
            clbits = self._builder.add_clbits(name, len(qubits))
        flips = gate.full_invert_mask()
        by_gates = self._measuring == "bits"
        if by_gates and gate.confusion_map:
            raise UnsupportedError(f"the measurement {gate.key} has a confusion map, which is not translated")
        for qubit, clbit, flip in zip(qubits, clbits, flips, strict=True):
            if by_gates and flip:
                self._builder.append(Op.X, [qubit])
            self._builder.measure(qubit, clbit)
            if by_gates and flip:
                self._undoing[len(self._builder.ops)] = qubit
                self._builder.append(Op.X, [qubit])
        records.append(Record(tuple(clbits), (False,) * len(flips) if by_gates else flips, tuple(_confusion(gate))))


def _numbered_bits(operations: Sequence[cirq.Operation]) -> int:
    """How many classical bits there are, where each is measured once under the key ``c[i]``; else 0."""
    measured = [each for each in operations if cirq.measurement_key_objs(each)]
    keys = [str(key) for each in measured for key in cirq.measurement_key_objs(each)]
    single = all(isinstance(each.gate, cirq.MeasurementGate) and len(each.qubits) == 1 for each in measured)
    return len(keys) if single and sorted(keys) == sorted(f"c[{i}]" for i in range(len(keys))) else 0


def _without_last(circuit: Circuit, rows: Mapping[int, int]) -> Circuit:
    """The circuit without those of the rows after which nothing touches their qubit."""
    last = {qubit: row for row, (_, qubits, _) in enumerate(circuit.rows()) for qubit in qubits}
    keep = np.ones(len(circuit), dtype=np.bool_)
    keep[[row for row, qubit in rows.items() if last[qubit] == row]] = False
    return circuit if keep.all() else circuit.select(keep)


def _confusion(gate: cirq.MeasurementGate) -> Iterator[tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]]:
    for positions, matrix in gate.confusion_map.items():
        rows = np.asarray(matrix, dtype=np.float64)
        size = 2 ** len(positions)
        if rows.shape != (size, size) or not (rows >= 0).all() or not np.allclose(rows.sum(axis=1), 1, atol=1e-8):
            raise CircuitError(
                f"the confusion map of the measurement {gate.key} on {positions} is no {size} x {size} matrix of"
                " probabilities whose rows sum to 1"
            )
        yield tuple(positions), tuple(map(tuple, rows.tolist()))
