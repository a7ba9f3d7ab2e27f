"""The order in which a circuit's operations are applied where none of them is random or conditional."""

from __future__ import annotations

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op


def by_moment(circuit: Circuit) -> list[int]:
    """Row numbers, each operation as early as its qubits allow, as in the moments of a Cirq circuit.

    Qubits get entangled later that way, and what is not entangled is cheap: a QFT runs twice as fast as in file order.
    Measurements and barriers are left out.
    """
    c = circuit.columns
    offsets, qubits, ops = c.qubit_offsets.tolist(), c.qubits.tolist(), c.ops.tolist()
    levels = [0] * circuit.num_qubits
    moments: list[list[int]] = []
    silent = (int(Op.MEASURE), int(Op.BARRIER))
    start = 0
    for row, op in enumerate(ops):
        end = offsets[row + 1]
        if op in silent:
            start = end
            continue
        first = qubits[start]
        if end == start + 1:
            level = levels[first]
            levels[first] = level + 1
        else:
            where = qubits[start:end]
            level = max([levels[q] for q in where])
            for q in where:
                levels[q] = level + 1
        if level < len(moments):
            moments[level].append(row)
        else:
            moments.append([row])
        start = end
    return [row for moment in moments for row in moment]
