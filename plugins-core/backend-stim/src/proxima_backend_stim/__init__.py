"""Proxima backend: stim, Clifford circuits of thousands of qubits with Pauli noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.backend import Backend


class Plugin:
    """Offers the backend to the kernel."""

    @hookimpl
    def proxima_backends(self) -> list[Backend]:
        """The one backend of this package."""
        from proxima_backend_stim.backend import StimBackend

        return [StimBackend()]


plugin = Plugin()
