"""The conformance kit on the command."""

from __future__ import annotations

import pytest

from proxima_sdk.conformance import CommandConformance

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")


class TestScalability(CommandConformance):
    command = "bench lret-scalability"
    lines = ("--json --qubits 3 --depths 1 --noise 0.01 --repeats 1",)
