"""What the engine runs of one request have answered so far, and Aer's hexadecimal bit strings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(slots=True)
class Outcome:
    """Collects answers from several engine runs.

    Attributes:
        means: Per observable, the expectation values of it and of its square, where they are exact.
        values: Per observable, its expectation value in every shot's state.
    """

    counts: Counter[str] = field(default_factory=Counter)
    samples: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    statevector: npt.NDArray[Any] | None = None
    density_matrix: npt.NDArray[Any] | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    means: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    values: dict[int, list[float]] = field(default_factory=dict)
    double: bool = False
    execute: float = 0.0
    sample: float = 0.0
    convert: float = 0.0


def counts_of_hex(counts: Mapping[str, int], width: int) -> dict[str, int]:
    """Counts by bit string of a given width, from Aer's counts by hexadecimal number."""
    form = f"0{width}b"
    return {format(int(key, 16), form): number for key, number in counts.items()}


def samples_of_hex(memory: Sequence[str], width: int) -> npt.NDArray[np.uint8]:
    """Samples, shape (shots, width), from Aer's hexadecimal numbers; bits from ``width`` on are left out."""
    size = (max((len(text) for text in memory), default=2) - 1) // 2
    data = b"".join(int(text, 16).to_bytes(size, "little") for text in memory)
    bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(len(memory), size), axis=1, bitorder="little")
    out = np.zeros((len(memory), width), np.uint8)
    out[:, : bits.shape[1]] = bits[:, :width]
    return out
