"""Qiskit's `BackendV2` and V2 primitives, which take the method that suits; needs the extra ``qiskit``."""

from __future__ import annotations

from typing import Any

from proxima_backend_lret_unified.engine import state
from proxima_lret_core import simulate
from proxima_lret_core.qiskit import LowRankBackend, LowRankEstimator, LowRankSampler, from_qiskit

__all__ = ["UnifiedEstimator", "UnifiedQiskitBackend", "UnifiedSampler", "from_qiskit"]


class UnifiedQiskitBackend(LowRankBackend):
    """`LowRankBackend` by low rank, a density matrix or trajectories; ``options`` as for that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(state, sampling=simulate, name="proxima_lret_unified", **options)


class UnifiedSampler(LowRankSampler):
    """`LowRankSampler` by low rank, a density matrix or trajectories; ``options`` as for that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(state, sampling=simulate, **options)


class UnifiedEstimator(LowRankEstimator):
    """`LowRankEstimator` by low rank or a density matrix; ``options`` as for that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(state, **options)
