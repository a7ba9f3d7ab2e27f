"""Pauli sums: their squares, and their expectation values in an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima.errors import UsageError

# Squaring a sum of t terms makes up to t^2/2 strings; beyond this the variance is left out.
MAX_TERMS_SQUARED = 64
_CHUNK = 1 << 20


def check_width(observable: PauliSum, num_qubits: int) -> None:
    """Raises `UsageError` unless the observable spans exactly the circuit's qubits."""
    if observable.num_qubits != num_qubits:
        raise UsageError(
            f"the observable {observable} spans {observable.num_qubits} qubits, the circuit has {num_qubits}",
            hint="write one letter per qubit, the highest qubit leftmost, I where nothing acts",
        )


def masks(letters: str) -> tuple[int, int]:
    """The qubits where a Pauli string holds X or Y, and those where it holds Z or Y, as bit masks."""
    x = int("".join("1" if p in "XY" else "0" for p in letters), 2)
    z = int("".join("1" if p in "ZY" else "0" for p in letters), 2)
    return x, z


def squared(observable: PauliSum) -> PauliSum | None:
    """The square of a Pauli sum as a Pauli sum, ``None`` where it has too many terms."""
    if len(observable.terms) > MAX_TERMS_SQUARED:
        return None
    n = observable.num_qubits
    terms = [(c, *masks(p)) for c, p in observable.terms]
    total: dict[tuple[int, int], float] = {(0, 0): sum(c * c for c, _, _ in terms)}
    for i, (c1, x1, z1) in enumerate(terms):
        for c2, x2, z2 in terms[i + 1 :]:
            if ((x1 & z2).bit_count() + (z1 & x2).bit_count()) % 2:
                continue  # the two anticommute, so PQ + QP = 0
            # P = i^|x&z| X^x Z^z for a string with |x&z| letters Y, so the product's phase is a power of i.
            x, z = x1 ^ x2, z1 ^ z2
            phase = (x1 & z1).bit_count() + (x2 & z2).bit_count() - (x & z).bit_count() + 2 * (z1 & x2).bit_count()
            sign = 1 if phase % 4 == 0 else -1
            total[x, z] = total.get((x, z), 0.0) + 2 * c1 * c2 * sign
    return PauliSum(tuple((c, _letters(x, z, n)) for (x, z), c in total.items()))


def _letters(x: int, z: int, n: int) -> str:
    return "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(n)))


def expectation(state: npt.NDArray[Any], observable: PauliSum) -> float:
    """The expectation value in a statevector, shape (2^n,), or density matrix, shape (2^n, 2^n)."""
    total = 0.0
    size = len(state)
    for coefficient, letters in observable.terms:
        x, z = masks(letters)
        factor = (-1j) ** ((x & z).bit_count() % 4)
        value = 0j
        for start in range(0, size, _CHUNK):
            index = np.arange(start, min(start + _CHUNK, size))
            signs = 1 - 2.0 * (np.bitwise_count(index & z) & 1)
            # <psi|P|psi> = sum over j of conj(psi_(j^x)) P_(j^x, j) psi_j
            if state.ndim == 1:
                value += complex(np.sum(signs * state[index ^ x].conj() * state[index]))
            else:
                value += complex(np.sum(signs * state[index, index ^ x]))
        total += coefficient * (factor.conjugate() * value).real
    return total
