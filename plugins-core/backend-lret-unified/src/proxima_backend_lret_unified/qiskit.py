"""Qiskit's `BackendV2` and V2 primitives on the low-rank simulator; needs the extra ``qiskit``."""

from proxima_lret_core.qiskit import LowRankBackend, LowRankEstimator, LowRankSampler, from_qiskit

__all__ = ["LowRankBackend", "LowRankEstimator", "LowRankSampler", "from_qiskit"]
