"""The conformance kit on qsim."""

from __future__ import annotations

from proxima_backend_qsim.backend import QsimBackend
from proxima_sdk.conformance import BackendConformance


class TestQsim(BackendConformance):
    backend = QsimBackend
    engine_module = "qsimcirq"
