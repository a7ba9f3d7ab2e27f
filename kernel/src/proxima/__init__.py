"""Proxima: a plugin-first microkernel for quantum computing.

>>> import proxima
>>> with proxima.open() as px:
...     result = px.run("bell.qasm", shots=1024)
>>> result.counts
{'00': 510, '11': 514}
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs two thirds of a bare interpreter start

if TYPE_CHECKING:
    from typing import Any

    from proxima.contracts.circuit import Circuit as Circuit
    from proxima.contracts.circuit import CircuitBuilder as CircuitBuilder
    from proxima.contracts.result import RunResult as RunResult
    from proxima.kernel import Kernel as Kernel
    from proxima.kernel import open as open

__version__ = "0.1.0"

# Loaded on first use: `proxima --version` must not pay for numpy.
_EXPORTS = {
    "Circuit": "proxima.contracts.circuit",
    "CircuitBuilder": "proxima.contracts.circuit",
    "Kernel": "proxima.kernel",
    "RunResult": "proxima.contracts.result",
    "open": "proxima.kernel",
}

__all__ = ["Circuit", "CircuitBuilder", "Kernel", "RunResult", "__version__", "open"]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module 'proxima' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
