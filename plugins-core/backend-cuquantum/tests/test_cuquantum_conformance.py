"""The conformance kit on cuStateVec; what needs a GPU is skipped with the probe's reason where there is none."""

from __future__ import annotations

from proxima_sdk.conformance import BackendConformance


class TestCuQuantum(BackendConformance):
    backend = "cuquantum"
    engine_module = ("cuquantum", "cupy")
