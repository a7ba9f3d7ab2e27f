"""The conformance kit on the command, with lines that users type."""

from __future__ import annotations

from proxima_sdk.conformance import CommandConformance


class TestUse(CommandConformance):
    command = "use"
    lines = ("", "--json", "tool --json")
