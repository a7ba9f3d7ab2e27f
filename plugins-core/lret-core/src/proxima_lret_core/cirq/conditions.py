"""Classical controls: Cirq's conditions on measurement keys as conditions on classical bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cirq

from proxima.contracts.circuit import Condition
from proxima.errors import UnsupportedError, UsageError

MAX_BITS = 10  # a condition of any kind is tried on each of their values


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement under a key.

    Attributes:
        clbits: The classical bit of each measured qubit, in the order of the measurement's qubits.
        inverted: Whether what is told of each is the opposite of what the bit holds.
        confusion: By positions among the qubits the matrix whose row i has the chances of what is told for i, the first
            position being the most significant bit; it acts before the inversion.
    """

    clbits: tuple[int, ...]
    inverted: tuple[bool, ...]
    confusion: tuple[tuple[tuple[int, ...], tuple[tuple[float, ...], ...]], ...] = ()


def alternatives(
    controls: Sequence[cirq.Condition], record_of: Callable[[cirq.MeasurementKey, int], Record]
) -> tuple[Condition | None, ...]:
    """Conditions of which at most one holds, and one does where all of Cirq's hold; ``None`` for always.

    Args:
        controls: All of which must hold.
        record_of: The measurement under a key, by its number, -1 for the latest.

    Raises:
        UsageError: A key was not measured before.
        UnsupportedError: More than 10 bits are read, or bits that are told wrong by a confusion matrix.
    """
    read = [(control, key, _record(control, key, record_of)) for control in controls for key in control.keys]
    clbits = sorted({bit for _, _, record in read for bit in record.clbits})
    if len(clbits) > MAX_BITS:
        raise UnsupportedError(
            f"a classical control reads {len(clbits)} bits; at most {MAX_BITS} are offered",
            hint="control the operation by fewer measurements",
        )
    holding = [v for v in range(2 ** len(clbits)) if _all_hold(controls, read, clbits, v)]
    if len(holding) == 2 ** len(clbits):
        return (None,)
    if len(holding) == 2 ** len(clbits) - 1 and len(holding) > 1:
        (missing,) = set(range(2 ** len(clbits))) - set(holding)
        return (Condition(tuple(clbits), missing, negated=True),)
    return tuple(Condition(tuple(clbits), value) for value in holding)


def _record(
    control: cirq.Condition, key: cirq.MeasurementKey, record_of: Callable[[cirq.MeasurementKey, int], Record]
) -> Record:
    record = record_of(key, getattr(control, "index", -1))
    if record.confusion:
        raise UnsupportedError(f"the measurement {key} has a confusion map, and a classical control reads it")
    return record


def _all_hold(
    controls: Sequence[cirq.Condition],
    read: Sequence[tuple[cirq.Condition, cirq.MeasurementKey, Record]],
    clbits: Sequence[int],
    value: int,
) -> bool:
    for control in controls:
        store = cirq.ClassicalDataDictionaryStore()
        for reader, key, record in read:
            if reader is control:
                told = [(value >> clbits.index(b) & 1) ^ i for b, i in zip(record.clbits, record.inverted, strict=True)]
                # A control reads one measurement of a key, whichever its number is.
                for _ in range(max(getattr(control, "index", -1), 0) + 1):
                    store.record_measurement(key, told, cirq.LineQubit.range(len(told)))
        try:
            if not control.resolve(store):
                return False
        except (ValueError, TypeError, IndexError) as error:
            raise UsageError(f"the classical control {control} cannot be evaluated: {error}") from None
    return True


def numbered(records: Sequence[Record], key: cirq.MeasurementKey, number: int) -> Record:
    """One of the measurements made under a key so far.

    Raises:
        UsageError: There is none of that number.
    """
    try:
        return records[number]
    except IndexError:
        told = f"{len(records)} times" if records else "not"
        raise UsageError(
            f"a classical control reads the measurement {key}[{number}], and {key} was measured {told} before it",
            hint="measure into the key first",
        ) from None
