"""The backend contract."""

from __future__ import annotations

import pytest

from proxima_sdk.conformance import BackendConformance

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")


class TestLretPennyLane(BackendConformance):
    backend = "lret-pennylane"
    engine_module = "proxima_lret_core._native"
