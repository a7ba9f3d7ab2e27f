"""Channels on density matrices, as the sparse superoperator that they are.

Cirq multiplies by every Kraus operator from both sides in turn; for two-qubit depolarising noise that is 32 passes over
the matrix. Summing the operators first leaves a 16 x 16 superoperator with 28 entries, and one pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.matrices import reverse_qubits

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Superoperator:
    """rho -> sum_k K_k rho K_k^dagger on given qubits.

    Attributes:
        rows: For each changed block of the matrix the blocks it is made of, with their factors. A block is named by the
            row bits and then the column bits of the qubits, in the order of ``qubits``.
    """

    qubits: tuple[int, ...]
    rows: tuple[tuple[Index, tuple[tuple[complex, Index], ...]], ...]


def superoperator(operators: Sequence[npt.NDArray[np.complex128]], qubits: Sequence[int]) -> Superoperator:
    """The superoperator of a channel given by Kraus operators in our qubit order."""
    stack = np.array([reverse_qubits(k) for k in operators])
    side = stack.shape[1]
    whole = np.einsum("kac,kbd->abcd", stack, stack.conj()).reshape(side**2, side**2)
    whole[np.abs(whole) < 1e-15] = 0
    names = list(itertools.product((0, 1), repeat=2 * len(qubits)))
    rows = []
    for out, values in zip(names, whole, strict=True):
        terms = tuple((_plain(v), names[j]) for j, v in enumerate(values.tolist()) if v != 0)
        if terms != ((1.0, out),):
            rows.append((out, terms))
    return Superoperator(tuple(qubits), tuple(rows))


def apply_blocks(channel: Superoperator, blocks: npt.NDArray[Any]) -> None:
    """Applies the channel in place to a view whose leading axes are its row and column bits."""
    real = blocks.real.dtype.type
    fresh = []
    for _, terms in channel.rows:
        total = np.zeros(blocks.shape[2 * len(channel.qubits) :], dtype=blocks.dtype)
        for value, block in terms:
            # A real factor costs half of what a complex one does.
            total += blocks[block] * (real(value) if isinstance(value, float) else blocks.dtype.type(value))
        fresh.append(total)
    for (out, _), total in zip(channel.rows, fresh, strict=True):
        blocks[out] = total


def _plain(value: complex) -> complex:
    return value.real if value.imag == 0 else value
