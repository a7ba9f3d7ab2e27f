"""Proxima backend: low-rank simulation for those who write Cirq."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.backend import Backend
    from proxima.contracts.formats import CircuitFormat


class Plugin:
    """Offers a backend and a circuit format to the kernel."""

    @hookimpl
    def proxima_backends(self) -> list[Backend]:
        """``lret-cirq``."""
        from proxima_backend_lret_cirq.backend import LretCirqBackend

        return [LretCirqBackend()]

    @hookimpl
    def proxima_formats(self) -> list[CircuitFormat]:
        """``cirq-json``."""
        from proxima_backend_lret_cirq.formats import CirqJson

        return [CirqJson()]


plugin = Plugin()
