"""The conformance kit on the service."""

from __future__ import annotations

from proxima_sdk.conformance import ServiceConformance


class TestDask(ServiceConformance):
    service = "dask"
