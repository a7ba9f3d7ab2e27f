"""The tests of the native library; where no compiler built it they are skipped."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # lret_circuits, which the files share

BUILT = importlib.util.find_spec("proxima_lret_core") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not BUILT and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="lret-core is not built: there was no C++ compiler"))


if not BUILT:
    collect_ignore_glob = ["test_lret_*.py"]
