"""What is read off a state: samples of the computational basis, probabilities, expectation values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima_backend_qsim.engine import State
from proxima_backend_qsim.gates import Gate, pauli_gates

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_BLOCK = 128
_DIRECT = 2**13
_BLOCKS_AT_ONCE = 16384


def probabilities(state: State) -> Floats:
    """|amplitude|^2, normalised; float64, shape (2^n,)."""
    weights = (np.square(state.real) + np.square(state.imag)).astype(np.float64)
    weights /= weights.sum()
    return weights


def sample_state(state: State, shots: int, rng: np.random.Generator) -> Indices:
    """Basis states drawn from a statevector, which need not be normalised; int64, shape (shots,)."""
    parts = state.view(np.float32)
    if len(state) <= _DIRECT:
        return sample_weights(parts[::2] ** 2 + parts[1::2] ** 2, shots, rng)
    # Two steps: a block by its weight, then a place inside it. It reads the state once and makes no array of its size.
    blocks = parts.reshape(-1, 2 * _BLOCK)
    chosen = sample_weights(np.einsum("ij,ij->i", blocks, blocks), shots, rng)
    used, where = np.unique(chosen, return_inverse=True)
    drawn = rng.random(shots)
    places = np.empty(shots, dtype=np.int64)
    for start in range(0, len(used), _BLOCKS_AT_ONCE):
        some = np.square(blocks[used[start : start + _BLOCKS_AT_ONCE]])
        edges = np.cumsum(some[:, ::2] + some[:, 1::2], axis=1, dtype=np.float64)
        # Row k rises from k to k + 1, so that one search serves all rows.
        edges = edges / edges[:, -1:] + np.arange(len(some))[:, None]
        here = np.flatnonzero((where >= start) & (where < start + len(some)))
        rows = where[here] - start
        found = np.searchsorted(edges.ravel(), rows + drawn[here], side="right") - rows * _BLOCK
        places[here] = np.minimum(found, _BLOCK - 1)
    return chosen * _BLOCK + places


def sample_weights(weights: npt.NDArray[np.floating], shots: int, rng: np.random.Generator) -> Indices:
    """Indices drawn in proportion to weights, which need not sum to 1; int64, shape (shots,)."""
    edges = np.cumsum(weights, dtype=np.float64)
    drawn = np.searchsorted(edges, rng.random(shots) * edges[-1], side="right")
    indices: Indices = np.minimum(drawn, len(weights) - 1)
    return indices


def moments(
    observable: PauliSum, state: State, apply: Callable[[list[Gate], State], State], trace_of: int | None = None
) -> tuple[float, float]:
    """<H> and <H^2> of an observable.

    Args:
        observable: On as many qubits as the state describes.
        state: A statevector, or a density matrix column by column.
        apply: Applies gates to the state.
        trace_of: The dimension d of a density matrix of shape (d, d); ``None`` for a statevector.

    Returns:
        Divided by the norm (or trace) of the state, so that single precision does not bias them.
    """
    product = _product(observable, state, apply)
    if trace_of is None:
        norm = _dot(state, state)
        return _dot(state, product) / norm, _dot(product, product) / norm
    norm = _trace(state, trace_of)
    return _trace(product, trace_of) / norm, _trace(_product(observable, product, apply), trace_of) / norm


def _product(observable: PauliSum, state: State, apply: Callable[[list[Gate], State], State]) -> State:
    out = np.zeros_like(state)
    for coefficient, letters in observable.terms:
        gates = pauli_gates(letters)
        out += np.float32(coefficient) * (apply(gates, state) if gates else state)
    return out


def _dot(a: State, b: State) -> float:
    """Re <a|b>, summed in blocks so that single precision loses nothing to the length."""
    x, y = a.view(np.float32), b.view(np.float32)
    if len(a) <= _BLOCK:
        return float(np.einsum("i,i->", x, y, dtype=np.float64))
    parts = np.einsum("ij,ij->i", x.reshape(-1, 2 * _BLOCK), y.reshape(-1, 2 * _BLOCK))
    return float(parts.sum(dtype=np.float64))


def _trace(matrix: State, dimension: int) -> float:
    return float(matrix[:: dimension + 1].real.sum(dtype=np.float64))
