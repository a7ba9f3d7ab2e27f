"""The conformance kit on lret-unified."""

from __future__ import annotations

import pytest

from proxima_sdk.conformance import BackendConformance

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")


class TestLret(BackendConformance):
    backend = "lret-unified"
    engine_module = "proxima_lret_core._native"
