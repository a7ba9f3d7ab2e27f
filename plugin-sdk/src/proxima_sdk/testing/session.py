"""The kernel that all tests of one pytest run share: it finds contributions by name, and starts each worker once."""

from __future__ import annotations

from contextlib import ExitStack

from proxima.kernel import Kernel
from proxima_sdk.testing.kernel import open_kernel

_held = ExitStack()
_kernels: list[Kernel] = []
sandboxed: list[str] = []
"""Id of the plugin that runs in a worker, where pytest was told so by ``--proxima-sandboxed ID``."""


def kernel() -> Kernel:
    """The kernel; opened on first use. Plugins run in this process but the one that is `sandboxed`."""
    if not _kernels:
        settings = {"isolation.default": "in-process"}
        plugin = sandboxed[0] if sandboxed else None
        opened = open_kernel(plugin, sandboxed=bool(sandboxed), settings=settings)
        _kernels.append(_held.enter_context(opened))
    return _kernels[0]


def close() -> None:
    """Closes it; the next use opens another."""
    _kernels.clear()
    _held.close()
