"""The backend: `proxima_lret_core`'s, under this plugin's name."""

from __future__ import annotations

from proxima_lret_core.backend import LretBackend


class LretCirqBackend(LretBackend):
    """Circuits with and without noise as a few columns L of rho = L L^dagger, with a certified bound."""

    name = "lret-cirq"
    plugin = "backend-lret-cirq"
