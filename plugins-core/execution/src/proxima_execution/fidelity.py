"""How near two states are to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def nearness(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[float, float]:
    """The fidelity of two states, each scaled to weight one, and their trace distance.

    Args:
        x: Of shape (2^n,) or (2^n, 2^n), and of positive weight.
        y: Likewise, of the same shape.

    Returns:
        |<x|y>|^2, or (tr sqrt(sqrt(x) y sqrt(x)))^2; and half the trace norm of the difference.
    """
    x, y = x.astype(np.complex128), y.astype(np.complex128)
    if x.ndim == 1:
        x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
        overlap = np.vdot(x, y)
        phase = overlap / abs(overlap) if abs(overlap) > 0 else 1.0
        # sqrt(1 - F) would lose half of the digits; d^2 = 2 - 2 |<x|y>|.
        d2 = float(np.linalg.norm(x * phase - y)) ** 2
        return min(float(abs(overlap)) ** 2, 1.0), float(np.sqrt(max(d2 - d2 * d2 / 4, 0.0)))
    x, y = x / np.trace(x).real, y / np.trace(y).real
    overlap = np.linalg.svd(_root(x) @ _root(y), compute_uv=False).sum()
    return min(float(overlap) ** 2, 1.0), float(np.abs(np.linalg.eigvalsh(x - y)).sum()) / 2


def _root(rho: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    values, vectors = np.linalg.eigh((rho + rho.conj().T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T)
