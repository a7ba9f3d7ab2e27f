"""Expectation values of Pauli sums in dense states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima_backend_cirq.states import DensityMatrix, Statevector

Tensor = npt.NDArray[Any]

_FACTORS = {"X": None, "Y": (-1j, 1j), "Z": (1, -1)}


def moments(state: Any, observable: PauliSum, check: Callable[[], None]) -> tuple[float, float]:
    """<H> and <H^2> in a `Statevector`, a `DensityMatrix` or a `Stabilizer`; ``check`` is called at every step."""
    if isinstance(state, Statevector):
        psi = state.tensor()
        image = _apply(observable, psi, check)
        norm = _inner(psi, psi)
        return _inner(psi, image) / norm, _inner(image, image) / norm
    if isinstance(state, DensityMatrix):
        rho = state.tensor()
        trace, image = _trace(rho), _apply(observable, rho, check)
        return _trace(image) / trace, _trace(_apply(observable, image, check)) / trace
    exact: tuple[float, float] = state.moments(observable)
    return exact


def _apply(observable: PauliSum, tensor: Tensor, check: Callable[[], None]) -> Tensor:
    """H times a tensor whose leading axes are the qubits, the highest first, as the letters are written."""
    out = np.zeros_like(tensor, order="C")
    for coefficient, letters in observable.terms:
        check()
        flips = tuple(slice(None, None, -1) if letter in "XY" else slice(None) for letter in letters)
        term = tensor[flips] * tensor.dtype.type(coefficient)
        for axis, letter in enumerate(letters):
            factor = _FACTORS.get(letter)
            if factor is not None:
                check()
                shape = [1] * tensor.ndim
                shape[axis] = 2
                term *= np.array(factor, dtype=tensor.dtype).reshape(shape)
        out += term
    return out


def _inner(a: Tensor, b: Tensor) -> float:
    """Re <a|b>, summed in double precision without a large copy."""
    rows_a, rows_b = a.reshape(-1, min(a.size, 1024)), b.reshape(-1, min(b.size, 1024))
    return float(np.einsum("ij,ij->i", rows_a.conj(), rows_b).real.sum(dtype=np.float64))


def _trace(tensor: Tensor) -> float:
    side = round(tensor.size**0.5)
    return float(np.einsum("ii->i", tensor.reshape(side, side)).real.sum(dtype=np.float64))
