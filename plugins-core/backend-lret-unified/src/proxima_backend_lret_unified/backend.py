"""The backend `lret-unified`."""

from __future__ import annotations

from proxima_lret_core.backend import LretBackend
from proxima_lret_core.costs import METHODS


class UnifiedBackend(LretBackend):
    """Circuits with and without noise, by the method that suits."""

    name = "lret-unified"
    plugin = "backend-lret-unified"
    methods = METHODS
