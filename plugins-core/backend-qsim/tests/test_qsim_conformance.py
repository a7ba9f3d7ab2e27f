"""The conformance kit on qsim."""

from __future__ import annotations

from proxima_sdk.conformance import BackendConformance


class TestQsim(BackendConformance):
    backend = "qsim"
    engine_module = "qsimcirq"
