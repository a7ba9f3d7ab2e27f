"""numpy under its usual names, imported when something of it is first used.

Whoever only passes contracts on, such as the kernel that installs a plugin, then goes without its tenth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["np", "npt"]

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:

    class _Lazy:
        """A module's attributes, each looked up there once."""

        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> object:
            from importlib import import_module

            value = getattr(import_module(self._module), name)
            setattr(self, name, value)
            return value

    np, npt = _Lazy("numpy"), _Lazy("numpy.typing")
