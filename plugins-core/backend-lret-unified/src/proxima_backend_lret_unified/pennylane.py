"""PennyLane's device ``proxima.lret.unified``, which takes the method that suits; needs the extra ``pennylane``."""

from proxima_backend_lret_unified.engine import state
from proxima_lret_core.pennylane import LowRankMixed

__all__ = ["UnifiedMixed"]


class UnifiedMixed(LowRankMixed):
    """`LowRankMixed` by low rank or a density matrix; gradients are by low rank."""

    device_name = "proxima.lret.unified"
    engine = staticmethod(state)
