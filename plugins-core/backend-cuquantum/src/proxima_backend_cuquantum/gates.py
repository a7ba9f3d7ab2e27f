"""Gates as cuStateVec takes them: a matrix on target bits, where control bits are 1.

cuStateVec's index bits are ours: bit 0 is the least significant, and the first target is the least significant bit of
the matrix index. Nothing here touches a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Instruction
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import Op
from proxima_trajectories import Row

Matrix = npt.NDArray[np.complex128]

FUSED_QUBITS = 4
"""Gates are fused into matrices of at most so many qubits: one pass over the state then does the work of several."""

_CONTROLS = {
    **dict.fromkeys((Op.CX, Op.CY, Op.CZ, Op.CH, Op.CSX, Op.CRX, Op.CRY, Op.CRZ, Op.CP, Op.CU, Op.CSWAP), 1),
    **dict.fromkeys((Op.CCX, Op.CCZ), 2),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A matrix on some bits of the index.

    Attributes:
        matrix: complex128, shape (2^k, 2^k), row by row; the first target is the least significant index bit.
        targets, controls: Index bits.
    """

    matrix: Matrix
    targets: tuple[int, ...]
    controls: tuple[int, ...] = ()


def gate_of(instruction: Instruction) -> Gate:
    """A gate with numbers for angles."""
    op, qubits = instruction.op, instruction.qubits
    if op is Op.UNITARY:
        return Gate(np.ascontiguousarray(instruction.matrices[0], dtype=np.complex128), qubits)
    whole = unitary(op, [float(p) for p in instruction.params])  # type: ignore[arg-type]  # bound
    controls = _CONTROLS.get(op, 0)
    # A controlled gate lists its controls first: they are the low bits of the matrix index, and 1 where it acts.
    first, step = (1 << controls) - 1, 1 << controls
    return Gate(np.ascontiguousarray(whole[first::step, first::step]), qubits[controls:], qubits[:controls])


def applied(matrix: Matrix, bits: Sequence[int], array: Matrix) -> Matrix:
    """A matrix on some bits of the first index of an array of shape (2^n, ...)."""
    n, k = len(array).bit_length() - 1, len(bits)
    axes = [n - 1 - bit for bit in reversed(bits)]
    tensor = array.reshape((2,) * n + array.shape[1:])
    out = np.tensordot(matrix.reshape((2,) * (2 * k)), tensor, axes=(range(k, 2 * k), axes))
    return np.ascontiguousarray(np.moveaxis(out, range(k), axes)).reshape(array.shape)


def dense(gate: Gate) -> Gate:
    """The same gate without controls: its targets, then its controls, as targets."""
    if not gate.controls:
        return gate
    size = len(gate.matrix)
    whole = np.eye(size << len(gate.controls), dtype=np.complex128)
    whole[-size:, -size:] = gate.matrix
    return Gate(whole, (*gate.targets, *gate.controls))


def fused(gates: Sequence[Gate], most: int = FUSED_QUBITS) -> list[Gate]:
    """Fewer gates that do the same, each on at most ``most`` qubits, or as large as it was.

    A gate joins the last of the groups that touch its qubits, which no later one does, if that has room; the others
    that nothing has followed come along where they fit.
    """
    groups: list[Gate | None] = []
    last: dict[int, int] = {}
    for gate in gates:
        bits = {*gate.targets, *gate.controls}
        touching = sorted({last[bit] for bit in bits if bit in last}, reverse=True)
        home = next(iter(touching), None)
        group = None if home is None else groups[home]
        if home is None or group is None or group.controls or len(bits.union(group.targets)) > most:
            if len(bits) <= most:
                gate = dense(gate)
            home, group = len(groups), None
            groups.append(gate)
        if group is not None:
            groups[home] = _joined(group, dense(gate))
        joined = groups[home]
        assert joined is not None
        for other in touching:
            loose = groups[other]
            if other == home or loose is None or joined.controls or loose.controls:
                continue
            free = all(last[bit] == other for bit in loose.targets)
            if free and len({*loose.targets, *joined.targets}) <= most:
                joined = groups[home] = _joined(loose, joined)
                groups[other] = None
        for bit in (*joined.targets, *joined.controls):
            last[bit] = max(home, last.get(bit, home))  # another bit of an older group may have gone on without it
    return [group for group in groups if group is not None]


def _joined(first: Gate, second: Gate) -> Gate:
    """Two gates, the first and then the second, as one."""
    bits = (*first.targets, *(bit for bit in second.targets if bit not in first.targets))
    place = {bit: i for i, bit in enumerate(bits)}
    matrix: Matrix = np.eye(1 << len(bits), dtype=np.complex128)
    for gate in (first, second):
        matrix = applied(gate.matrix, [place[bit] for bit in gate.targets], matrix)
    return Gate(matrix, bits)


def fused_rows(rows: Sequence[Row], most: int = FUSED_QUBITS) -> list[Row]:
    """Rows whose runs of unconditional gates are fused."""
    out: list[Row] = []
    run: list[Gate] = []
    for row in (*rows, None):
        if row is not None and isinstance(row.operation, Gate) and row.condition is None:
            run.append(row.operation)
            continue
        out += [Row(gate) for gate in fused(run, most)]
        run = []
        if row is not None:
            out.append(row)
    return out
