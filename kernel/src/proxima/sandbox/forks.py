"""What Python's modules want done around a fork, kept back while there is nothing for it to do.

They put right the locks that another thread may have held, and reseed. The zygote has one thread and holds none, and a
worker reseeds when it loads its plugin; but running all of that writes to more of the memory that a worker shares with
the zygote than anything else it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_register = os.register_at_fork
_kept: list[dict[str, Callable[[], Any]]] = []


def keep() -> None:
    """Keeps back what is registered from now on."""
    os.register_at_fork = lambda **hooks: _kept.append(hooks)


def register() -> None:
    """Registers what was kept, and has what comes later registered at once."""
    os.register_at_fork = _register
    while _kept:
        _register(**_kept.pop(0))
