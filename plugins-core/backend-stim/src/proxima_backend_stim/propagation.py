"""Exact expectation values of Pauli strings under Pauli noise, measurement, reset and feedback.

The strings are followed backwards through the circuit. A gate makes another string of each, a Pauli channel shrinks its
coefficient, a measurement or reset removes strings that do not commute with it. Where a condition reads a classical
bit, a string also carries the parity of bits that its sign depends on; the measurement that wrote a bit turns this into
a Z on the measured qubit. A condition on k bits is a sum of 2^k such parities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import Op
from proxima.errors import ResourceError, UnsupportedError
from proxima_backend_stim.recognise import MEASURED, RESET, Kind, Table

MAX_BYTES = 1 << 30
MAX_CONDITION_BITS = 10
_NEGLIGIBLE = 1e-15
_MERGE_FROM = 4096
_CHECK_EACH = 1 << 22


@dataclass(slots=True)
class Strings:
    """Pauli strings with coefficients.

    Attributes:
        codes: uint8, shape (n, t): on each qubit I, X, Z, Y as 0, 1, 2, 3.
        parity: bool, shape (m, t): which of the classical bits that conditions read turn the sign.
        values: float64, shape (t,).
        origin: int64, shape (t,): which of the strings asked for it comes from.
    """

    codes: npt.NDArray[np.uint8]
    parity: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]
    origin: npt.NDArray[np.int64]

    def part(self, chosen: npt.NDArray[np.bool_]) -> Strings:
        """Those chosen, as copies."""
        return Strings(self.codes[:, chosen], self.parity[:, chosen], self.values[chosen], self.origin[chosen])


def expectations(
    circuit: Circuit, kinds: Sequence[Kind | None], codes: npt.NDArray[np.uint8], context: RunContext
) -> npt.NDArray[np.float64]:
    """Expectation values of Pauli strings in the state that a circuit leaves, averaged over what is random.

    Args:
        circuit: Of Clifford gates, Pauli channels, measurements, resets and conditions.
        kinds: What each of its rows is.
        codes: uint8, shape (n, t): on each qubit I, X, Z, Y as 0, 1, 2, 3.
        context: Checked on the way.

    Returns:
        float64, shape (t,).

    Raises:
        ResourceError: Conditions split the strings into too many.
        UnsupportedError: A measurement stands under a condition.
    """
    c = circuit.columns
    read = sorted({bit for i in set(c.conditions.tolist()) if i >= 0 for bit in circuit.conditions[i].clbits})
    place = {bit: i for i, bit in enumerate(read)}
    count = codes.shape[1]
    strings = Strings(codes.copy(), np.zeros((len(read), count), np.bool_), np.ones(count), np.arange(count))
    ops, qubits, offsets = c.ops.tolist(), c.qubits.tolist(), c.qubit_offsets.tolist()
    clbits, conditions = c.clbits.tolist(), c.conditions.tolist()
    first_written: dict[int, int] = {}
    for row in np.flatnonzero(c.ops == Op.MEASURE).tolist():
        first_written.setdefault(clbits[row], row)
    done, merged = 0, count
    for row in range(len(ops) - 1, -1, -1):
        done += len(strings.values) + 1000
        if done > _CHECK_EACH:
            context.check()
            context.progress(None, "Pauli strings")
            done = 0
        op, where = ops[row], qubits[offsets[row] : offsets[row + 1]]
        if op in (Op.BARRIER, Op.ID):
            continue
        kind = kinds[row]
        table = kind.table if kind is not None else RESET if op == Op.RESET else MEASURED
        if conditions[row] < 0:
            _apply(strings, table, where)
            if op == Op.MEASURE and clbits[row] in place:
                written = strings.parity[place[clbits[row]]]
                strings.codes[where[0]] ^= 2 * written.astype(np.uint8)
                written[:] = False
            continue
        if op == Op.MEASURE:
            raise UnsupportedError(
                f"operation {row}, measure under a condition: stim's states and expectation values cannot follow it",
                hint="ask for counts",
            )
        condition = circuit.conditions[conditions[row]]
        # A bit that nothing has written yet is 0.
        places = [place[bit] if first_written.get(bit, row) < row else -1 for bit in condition.clbits]
        strings = _split(strings, table, where, _parities(condition, places))
        if len(strings.values) > max(2 * merged, _MERGE_FROM):
            strings = _merged(strings)
            merged = len(strings.values)
            _refuse_too_many(strings)
    # |0...0> and classical bits of 0 are left: strings of I and Z alone have the value 1.
    kept = ~(strings.codes & 1).any(axis=0)
    return np.bincount(strings.origin[kept], strings.values[kept], minlength=count).astype(np.float64)


def _apply(strings: Strings, table: Table, where: Sequence[int]) -> None:
    index = _index(strings, where)
    strings.values *= table.factors[index]
    for qubit, codes in zip(where, table.codes, strict=True):
        strings.codes[qubit] = codes[index]


def _index(strings: Strings, where: Sequence[int]) -> npt.NDArray[np.intp]:
    index: npt.NDArray[np.intp] = strings.codes[where[0]].astype(np.intp)
    for i, qubit in enumerate(where[1:], 1):
        index += strings.codes[qubit].astype(np.intp) << 2 * i
    return index


def _split(
    strings: Strings, table: Table, where: Sequence[int], parities: Sequence[tuple[tuple[int, ...], float]]
) -> Strings:
    """A step M under a condition C, a sum of parities, makes F - C F + C M(F) of a string F."""
    index = _index(strings, where)
    moved = np.zeros(len(index), np.bool_)
    for qubit, codes in zip(where, table.codes, strict=True):
        moved |= codes[index] != strings.codes[qubit]
    factors = table.factors[index]
    touched = moved | (factors != 1.0)
    parts = [strings.part(~touched)]
    stays, goes = strings.part(touched), strings.part(touched)
    _apply(goes, table, where)
    moved, factors = moved[touched], factors[touched]
    for bits, weight in parities:
        # Where the string stays itself the two terms are one.
        share = (not bits) + weight * np.where(moved, -1.0, factors - 1.0)
        for found, amount in ((stays, share), (goes, np.where(moved, weight, 0.0))):
            kept = np.abs(amount * found.values) > _NEGLIGIBLE
            part = found.part(kept)
            part.values *= amount[kept]
            part.parity[list(bits)] ^= True
            parts.append(part)
    return _joined(parts)


def _parities(condition: Condition, places: Sequence[int]) -> list[tuple[tuple[int, ...], float]]:
    """A condition as a sum of parities: the bits of each, by place, and its weight. A place of -1 is a bit of 0."""
    bits = sorted(set(places) - {-1})
    k = len(bits)
    if k > MAX_CONDITION_BITS:
        raise ResourceError(
            f"a condition reads {k} measured bits; expectation values can follow {MAX_CONDITION_BITS}",
            hint="ask for counts, or use another backend",
        )
    total = np.zeros(2**k)
    for value in range(2**k):
        number = sum((value >> bits.index(p) & 1) << i for i, p in enumerate(places) if p >= 0)
        total[value] = (number == condition.value) is not condition.negated
    weights = hadamard(total) / 2**k
    return [
        (tuple(bit for i, bit in enumerate(bits) if chosen >> i & 1), float(weight))
        for chosen, weight in enumerate(weights)
        if weight or not chosen
    ]


def _joined(parts: Sequence[Strings]) -> Strings:
    return Strings(
        np.concatenate([part.codes for part in parts], axis=1),
        np.concatenate([part.parity for part in parts], axis=1),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.origin for part in parts]),
    )


def _merged(strings: Strings) -> Strings:
    """Equal strings as one."""
    origin = np.ascontiguousarray(strings.origin[:, None]).view(np.uint8)
    keys = np.ascontiguousarray(np.concatenate([strings.codes.T, strings.parity.T.view(np.uint8), origin], axis=1))
    _, first, inverse = np.unique(keys.view(f"V{keys.shape[1]}").ravel(), return_index=True, return_inverse=True)
    values = np.bincount(inverse, strings.values, minlength=len(first)).astype(np.float64)
    return Strings(strings.codes[:, first], strings.parity[:, first], values, strings.origin[first])


def _refuse_too_many(strings: Strings) -> None:
    count, each = len(strings.values), len(strings.codes) + len(strings.parity) + 16
    if count * each > MAX_BYTES:
        raise ResourceError(
            f"the conditions split the observable into {count:,} Pauli strings",
            hint="ask for counts, or use another backend",
        )


def hadamard(values: npt.NDArray[np.float64 | np.complex128]) -> npt.NDArray[np.float64 | np.complex128]:
    """The unnormalised Walsh-Hadamard transform along the first axis, whose length is a power of two."""
    out = values.copy()
    half = 1
    while half < len(out):
        view = out.reshape(-1, 2, half, *out.shape[1:])
        low, high = view[:, 0].copy(), view[:, 1].copy()
        view[:, 0], view[:, 1] = low + high, low - high
        half *= 2
    return out
