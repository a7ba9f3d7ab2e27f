"""Leaving out what no measurement can tell of, so that the last measurement of a qubit is its end."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import CHANNELS, Op


def measured_part(circuit: Circuit) -> Circuit:
    """What decides the outcomes of the measurements; everything is trace preserving, so nothing else does."""
    return _without(circuit, set(), None)


def without_noise_afterwards(circuit: Circuit) -> Circuit:
    """The circuit without the channels on qubits that are measured and not used again."""
    c = circuit.columns
    measured = set(c.qubits[c.qubit_offsets[:-1][c.ops == Op.MEASURE]].tolist())
    return _without(circuit, set(range(circuit.num_qubits)) - measured, CHANNELS)


def _without(circuit: Circuit, needed: set[int], droppable: Collection[Op] | None) -> Circuit:
    """The circuit without operations, of the droppable kinds, on qubits that nothing kept later needs."""
    keep = np.ones(len(circuit), dtype=np.bool_)
    for row, (op, qubits, _) in reversed(list(enumerate(circuit.rows()))):
        wanted = op == Op.MEASURE or not needed.isdisjoint(qubits)
        keep[row] = wanted or (droppable is not None and op not in droppable)
        if keep[row]:
            needed.update(qubits)
    return circuit if keep.all() else circuit.select(keep)
