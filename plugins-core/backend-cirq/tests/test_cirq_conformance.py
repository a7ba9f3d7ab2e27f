"""The conformance kit on Cirq, with each method left to the backend and with each one named."""

from __future__ import annotations

from proxima_sdk.conformance import BackendConformance


class TestCirq(BackendConformance):
    backend = "cirq"
    engine_module = "cirq"
