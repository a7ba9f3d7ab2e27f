"""PennyLane's device of the low-rank simulator. Needs PennyLane."""

try:
    import pennylane as _pennylane  # noqa: F401
except ImportError as error:
    raise ImportError(f"this needs PennyLane ({error}): pip install 'proxima-lret-core[pennylane]'") from error

from proxima_lret_core.pennylane.device import LowRankMixed

__all__ = ["LowRankMixed"]
