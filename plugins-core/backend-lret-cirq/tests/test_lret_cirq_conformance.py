"""The conformance kit on the backend and the format."""

from __future__ import annotations

import pytest

from proxima_sdk.conformance import BackendConformance, FormatConformance

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")


class TestLretCirq(BackendConformance):
    backend = "lret-cirq"
    engine_module = "proxima_lret_core._native"


class TestCirqJson(FormatConformance):
    format = "cirq-json"
