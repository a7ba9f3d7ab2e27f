"""The conformance kits on the command and the service."""

from __future__ import annotations

from proxima_sdk.conformance import CommandConformance, ServiceConformance


class TestResultsCommand(CommandConformance):
    command = "results"
    lines = ("list", "list --json")


class TestResultsService(ServiceConformance):
    service = "results"
