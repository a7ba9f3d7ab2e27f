"""Cirq's simulator interfaces over the engine that takes the method that suits; needs the extra ``cirq``."""

from __future__ import annotations

import cirq
import numpy as np

from proxima.contracts.backend import RunContext
from proxima_backend_lret_unified.engine import state
from proxima_lret_core import simulate
from proxima_lret_core.cirq import LowRankSimulator

__all__ = ["UnifiedSimulator"]


class UnifiedSimulator(LowRankSimulator):
    """`LowRankSimulator` by low rank or a density matrix, and by trajectories where it only samples."""

    def __init__(
        self,
        *,
        dtype: type[np.complexfloating] = np.complex64,
        noise: cirq.NOISE_MODEL_LIKE = None,
        seed: cirq.RANDOM_STATE_OR_SEED_LIKE = None,
        tolerance: float = 5e-3,
        memory: int | None = None,
        context: RunContext | None = None,
    ) -> None:
        """A simulator; see `LowRankSimulator`."""
        super().__init__(
            dtype=dtype,
            noise=noise,
            seed=seed,
            tolerance=tolerance,
            engine=state,
            sampling=simulate,
            memory=memory,
            context=context,
        )
