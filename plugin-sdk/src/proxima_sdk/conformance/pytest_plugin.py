"""The pytest plugin: the kernel that tests share, and a summary of what the conformance kits checked and skipped."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from proxima_sdk.conformance import CONFORMANCE_VERSION

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_PROPERTY = "proxima_conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that `proxima plugin test` gives."""
    group = parser.getgroup("proxima")
    group.addoption("--proxima-sandboxed", metavar="ID", help="run this plugin in a worker wherever a kernel is used")


def pytest_configure(config: pytest.Config) -> None:
    """Remembers the option."""
    if plugin := config.getoption("--proxima-sandboxed"):
        from proxima_sdk.testing import session

        session.sandboxed[:] = [plugin]


def pytest_unconfigure() -> None:
    """Closes the kernel that tests shared, if one was opened."""
    if session := sys.modules.get("proxima_sdk.testing.session"):
        session.close()
        session.sandboxed.clear()


@pytest.fixture(scope="session")
def proxima_kernel() -> Kernel:
    """A real kernel on a temporary home, with the plugin under test in this process or, as told, in a worker."""
    from proxima_sdk.testing import session

    return session.kernel()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves a generated kit out where the author's tests hold the same kit for the same contribution.

    One that is given an object, not a name, checks that object here, also where the plugin is to be in a worker.
    """
    sandboxed = config.getoption("--proxima-sandboxed") is not None
    own = {_checked(item) for item in items if not _generated(item) and (_by_name(item) or not sandboxed)}
    twice = [item for item in items if _generated(item) and _checked(item) in own]
    if twice:
        config.hook.pytest_deselected(items=twice)
        items[:] = [item for item in items if item not in set(twice)]


def _by_name(item: pytest.Item) -> bool:
    case: Any = getattr(item, "cls", None)
    return hasattr(case, "conformance_version") and isinstance(case.source(), str)


def _generated(item: pytest.Item) -> bool:
    return bool(getattr(getattr(item, "cls", None), "generated", False))


def _checked(item: pytest.Item) -> tuple[str, str] | None:
    """Kind and name of the contribution that a kit's check is about; ``None`` for any other test."""
    case: Any = getattr(item, "cls", None)
    return case.about() if hasattr(case, "conformance_version") else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Marks the kit's own checks with the name of the class that subclasses it."""
    case = getattr(item, "cls", None)
    if case is not None and hasattr(case, "conformance_version"):
        item.user_properties.append((_PROPERTY, case.__name__))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Per kit: how many checks passed, failed and were skipped, and every reason for skipping."""
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
