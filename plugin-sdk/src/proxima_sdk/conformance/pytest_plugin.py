"""The pytest plugin: says in the summary what the conformance kit checked, and why it skipped what it skipped."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxima_sdk.conformance import CONFORMANCE_VERSION

_PROPERTY = "proxima_conformance"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Marks the kit's own checks with the name of the class that subclasses it."""
    case = getattr(item, "cls", None)
    if case is not None and hasattr(case, "conformance_version"):
        item.user_properties.append((_PROPERTY, case.__name__))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Per backend: how many checks passed, failed and were skipped, and every reason for skipping."""
    outcomes: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            case = dict(getattr(report, "user_properties", ())).get(_PROPERTY)
            if case is None:
                continue
            outcomes.setdefault(case, Counter())[outcome] += 1
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons.setdefault(case, Counter())[report.longrepr[2].removeprefix("Skipped: ")] += 1
    if not outcomes:
        return
    terminalreporter.section(f"Proxima conformance kit, version {CONFORMANCE_VERSION}")
    for case, counted in sorted(outcomes.items()):
        told = ", ".join(f"{number} {outcome}" for outcome, number in counted.items())
        terminalreporter.write_line(f"{case}: {told}")
        for reason, number in sorted(reasons.get(case, Counter()).items()):
            terminalreporter.write_line(f"  skipped {number}: {reason}")
