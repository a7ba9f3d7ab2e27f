"""The backend passes the conformance kit."""

import pytest

from proxima_sdk.conformance import BackendConformance

pytest.importorskip("stim", reason="stim has no wheel for this platform")


class TestStimConformance(BackendConformance):
    backend = "stim"
    engine_module = "stim"
