"""The backend passes the conformance kit."""

from proxima_sdk.conformance import BackendConformance


class TestStimConformance(BackendConformance):
    backend = "stim"
    engine_module = "stim"
