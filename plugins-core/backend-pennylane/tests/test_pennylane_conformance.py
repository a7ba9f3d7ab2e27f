"""The conformance kit on PennyLane's simulators."""

from __future__ import annotations

from proxima_sdk.conformance import BackendConformance


class TestPennyLane(BackendConformance):
    backend = "pennylane"
    engine_module = "pennylane_lightning"
