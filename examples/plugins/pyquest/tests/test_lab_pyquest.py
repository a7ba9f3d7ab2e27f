"""The whole conformance kit."""

from proxima_sdk.conformance import BackendConformance


class TestConformance(BackendConformance):
    backend = "pyquest"
    engine_module = "pyquest"
