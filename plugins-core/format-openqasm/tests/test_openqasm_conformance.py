"""The conformance kit on both versions, with circuits in every gate that OpenQASM can write."""

from __future__ import annotations

from proxima_sdk.conformance import FormatConformance


class TestOpenQasm2(FormatConformance):
    format = "openqasm2"


class TestOpenQasm3(FormatConformance):
    format = "openqasm3"
