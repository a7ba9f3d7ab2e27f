"""What the package exports, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys


def answer(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_no_module_takes_the_place_of_an_export() -> None:
    code = """
import pkgutil, importlib, types, proxima_lret_core as lret
names = [each.name for each in pkgutil.iter_modules(lret.__path__)]
for name in names:
    if name not in ("cirq", "qiskit", "pennylane"):  # their libraries take seconds
        importlib.import_module(f"proxima_lret_core.{name}")
print([name for name in lret.__all__ if isinstance(getattr(lret, name), types.ModuleType)])
"""
    assert answer(code) == "[]"


def test_costs_and_backend_load_no_native_code() -> None:
    code = """
import sys, proxima_lret_core.backend, proxima_lret_core.costs
print("proxima_lret_core._native" in sys.modules)
"""
    assert answer(code) == "False"
