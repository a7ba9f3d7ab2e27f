"""Qiskit's interfaces of the low-rank simulator: a `BackendV2` and the V2 primitives. Needs Qiskit 2.

Each takes the engine it runs on, any callable with the signature of `proxima_lret_core.run`, and those that only sample
another that may know how many shots are wanted.
"""

try:
    import qiskit as _qiskit  # noqa: F401
except ImportError as error:
    raise ImportError(f"this needs Qiskit ({error}): pip install 'proxima-lret-core[qiskit]'") from error

from proxima_lret_core.qiskit.backend import LowRankBackend
from proxima_lret_core.qiskit.convert import from_qiskit
from proxima_lret_core.qiskit.estimator import LowRankEstimator
from proxima_lret_core.qiskit.sampler import LowRankSampler

__all__ = ["LowRankBackend", "LowRankEstimator", "LowRankSampler", "from_qiskit"]
