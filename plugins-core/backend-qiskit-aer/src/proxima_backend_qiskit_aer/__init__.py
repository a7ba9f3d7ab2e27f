"""Proxima backend: Qiskit Aer, by statevector, density matrix, stabilizer tableau or matrix product state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.backend import Backend


class Plugin:
    """Offers the backend to the kernel."""

    @hookimpl
    def proxima_backends(self) -> list[Backend]:
        """The backend ``qiskit-aer``."""
        from proxima_backend_qiskit_aer.backend import QiskitAerBackend

        return [QiskitAerBackend()]


plugin = Plugin()
