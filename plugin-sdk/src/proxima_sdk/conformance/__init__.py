"""The conformance kit: subclass `BackendConformance`, name your backend, run pytest.

from proxima_sdk.conformance import BackendConformance

class TestQsim(BackendConformance):
    backend = "qsim"
    engine_module = "qsimcirq"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxima_sdk.conformance.backend import BackendConformance as BackendConformance

# Raised whenever a check is added or becomes stricter, so that "passes version 1" keeps its meaning.
CONFORMANCE_VERSION = 1

__all__ = ["CONFORMANCE_VERSION", "BackendConformance"]


# Lazily, because every pytest run in the environment imports this package for the plugin beside it.
def __getattr__(name: str) -> Any:
    if name == "BackendConformance":
        from proxima_sdk.conformance.backend import BackendConformance

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
