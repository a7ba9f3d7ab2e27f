"""The conformance kit on the backend, the format and the command."""

from __future__ import annotations

import pytest

from proxima_sdk.conformance import BackendConformance, CommandConformance, FormatConformance

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")


class TestLretCirq(BackendConformance):
    backend = "lret-cirq"
    engine_module = "proxima_lret_core._native"


class TestCirqJson(FormatConformance):
    format = "cirq-json"


class TestScalability(CommandConformance):
    command = "bench lret-scalability"
    lines = ("--json --qubits 3 --depths 1 --noise 0.01 --repeats 1",)
