"""Samples of basis states from amplitudes or probabilities, without collapsing anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 1024


def sample_indices(values: npt.NDArray[Any], shots: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draws indices of basis states.

    A first pass sums the weights of blocks, and only the blocks that are hit are looked at more closely: no array of
    the state's size is made.

    Args:
        values: Shape (2^k,): complex amplitudes, or real probabilities; they need not be normalised.
        shots: How many.
        rng: The source of randomness.

    Returns:
        int64, shape (shots,), in random order.
    """
    block = min(_BLOCK, values.size)
    blocks = values.reshape(-1, block)
    totals = np.cumsum(_block_weights(blocks))
    # Kept just below the total, so that rounding never picks a state of zero weight.
    target = np.minimum(rng.random(shots) * totals[-1], np.nextafter(totals[-1], 0.0))
    hit = np.searchsorted(totals, target, side="right")
    below = np.where(hit > 0, totals[hit - 1], 0.0)
    chosen, which = np.unique(hit, return_inverse=True)
    inner = np.cumsum(_weights(blocks[chosen]), axis=1)
    # Block number j of those hit covers the interval [j, j+1): one sorted array serves every sample.
    edges = (inner / inner[:, -1:] + np.arange(len(chosen))[:, None]).reshape(-1)
    key = np.minimum(which + (target - below) / (totals[hit] - below), np.nextafter(which + 1.0, 0.0))
    found = np.searchsorted(edges, key, side="right")
    indices: npt.NDArray[np.int64] = (chosen[which] * block + found - which * block).astype(np.int64, copy=False)
    return indices


def bits_of(indices: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The bits of each index at the given positions: uint8, shape (len(indices), len(positions))."""
    return ((indices[:, None] >> positions[None, :]) & 1).astype(np.uint8)


def _weights(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    weights: npt.NDArray[np.float64]
    if np.iscomplexobj(values):
        weights = values.real.astype(np.float64) ** 2 + values.imag.astype(np.float64) ** 2
    else:
        weights = np.maximum(values, 0.0).astype(np.float64)
    return weights


def _block_weights(blocks: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    sums: npt.NDArray[np.float64]
    if np.iscomplexobj(blocks):
        real = np.ascontiguousarray(blocks).view(blocks.real.dtype)
        # A block of single-precision squares is summed in single precision, the blocks in double.
        sums = np.einsum("ij,ij->i", real, real).astype(np.float64)
    else:
        sums = _weights(blocks).sum(axis=1)
    return sums
