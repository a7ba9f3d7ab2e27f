"""Pauli sums acting on arrays, without a matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum

Array = npt.NDArray[Any]


def act(observable: PauliSum, array: Array, check: Callable[[], None]) -> Array:
    """A Pauli sum on the first axis of an array.

    A Pauli string takes |i> to i^y (-1)^|i & z| |i ^ x>, where x and z are the masks of its bit flips and its signs and
    y is its number of Y. Strings with the same flips are summed before the amplitudes are moved.

    Args:
        observable: On n qubits, the leftmost letter on the highest.
        array: Shape (2^n, ...), qubit 0 the least significant bit.
        check: Called before every string.
    """
    flips: dict[int, list[tuple[int, complex]]] = defaultdict(list)
    for coefficient, letters in observable.terms:
        x = int("0" + "".join("1" if letter in "XY" else "0" for letter in letters), 2)
        z = int("0" + "".join("1" if letter in "ZY" else "0" for letter in letters), 2)
        flips[x].append((z, coefficient * 1j ** letters.count("Y")))
    index = np.arange(len(array), dtype=np.int64)
    out = np.zeros_like(array)
    column = (-1,) + (1,) * (array.ndim - 1)
    for x, signs in flips.items():
        # Of the source |i ^ x>, by its target |i>; real where every string has an even number of Y.
        source = index ^ x
        weights = np.zeros(len(array), dtype=array.dtype)
        for z, weight in signs:
            check()
            weights += array.dtype.type(weight) * (1 - 2 * (np.bitwise_count(source & z) & 1).astype(np.int8))
        out += weights.reshape(column) * (array[source] if x else array)
    return out
