"""Samples from a stabilizer state: its outcomes are uniform over an affine space over GF(2).

Aer sweeps a copy of its tableau for every shot, n^3 bit operations each; one elimination answers for all shots.
Source: Dehaene and De Moor, Phys. Rev. A 68, 042318 (2003).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Support:
    """The outcomes of measuring every qubit, all equally likely.

    Attributes:
        offset: Shape (n,): one outcome.
        directions: Shape (r, n): linearly independent; their combinations added to the offset give all others.
    """

    offset: Bits
    directions: Bits

    def sample(self, qubits: Sequence[int], shots: int, rng: np.random.Generator) -> Bits:
        """Samples of some qubits, shape (shots, len(qubits))."""
        chosen = rng.integers(0, 2, (shots, len(self.directions))).astype(np.float32)
        columns = list(qubits)
        # Sums stay far below 2^24, where single precision is exact.
        mixed = (chosen @ self.directions[:, columns].astype(np.float32)).astype(np.int64)
        return ((mixed & 1) ^ self.offset[columns]).astype(np.uint8)


def support(generators: Sequence[str], check: Callable[[], None]) -> Support:
    """The support of a stabilizer state.

    Args:
        generators: Signed Pauli strings such as ``-XZI``, the highest qubit leftmost.
        check: Called now and then; may raise to stop.
    """
    n = len(generators)
    letters = np.frombuffer("".join(generators).encode(), np.uint8).reshape(n, n + 1)
    paulis = letters[:, :0:-1]
    y = paulis == ord("Y")
    x = ((paulis == ord("X")) | y).astype(np.uint8)
    z = ((paulis == ord("Z")) | y).astype(np.uint8)
    # A generator is i^power X^x Z^z, and Y = i X Z.
    power = y.sum(axis=1, dtype=np.int64) + 2 * (letters[:, 0] == ord("-"))
    rank = 0
    for column in range(n):
        if column % 64 == 0:
            check()
        hits = np.flatnonzero(x[rank:, column]) + rank
        if not len(hits):
            continue
        for rows in (x, z, power):
            rows[[rank, hits[0]]] = rows[[hits[0], rank]]
        others = hits[1:]
        # X^a Z^b X^c Z^d = (-1)^(b.c) X^(a+c) Z^(b+d)
        power[others] += power[rank] + 2 * (z[others] & x[rank]).sum(axis=1, dtype=np.int64)
        x[others] ^= x[rank]
        z[others] ^= z[rank]
        rank += 1
    return Support(_solve(z[rank:], ((power[rank:] // 2) & 1).astype(np.uint8), check), x[:rank])


def _solve(rows: Bits, values: Bits, check: Callable[[], None]) -> Bits:
    """One solution b of rows b = values over GF(2); the rows are linearly independent."""
    system = np.column_stack([rows, values])
    out = np.zeros(rows.shape[1], np.uint8)
    pivots: list[int] = []
    for row in range(len(system)):
        if row % 64 == 0:
            check()
        pivot = int(np.argmax(system[row, :-1]))
        hits = np.flatnonzero(system[:, pivot])
        system[hits[hits != row]] ^= system[row]
        pivots.append(pivot)
    out[pivots] = system[:, -1]
    return out
