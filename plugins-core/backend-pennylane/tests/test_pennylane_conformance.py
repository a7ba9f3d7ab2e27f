"""The conformance kit on PennyLane's simulators."""

from __future__ import annotations

from typing import Any, ClassVar

from proxima_sdk.conformance import BackendConformance


class TestPennyLane(BackendConformance):
    backend = "pennylane"
    engine_module = "pennylane_lightning"


class TestTrajectories(BackendConformance):
    """Noise that is drawn, a trajectory for each shot; the rest is tested above."""

    backend = "pennylane"
    options: ClassVar[dict[str, Any]] = {"method": "trajectories"}
    capabilities: ClassVar[dict[str, Any]] = {
        "wants": ["counts", "samples", "expectation"],
        "precisions": ["single", "double"],
        "noise": True,
        "dynamic": True,
    }
