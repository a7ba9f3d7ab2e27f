"""Proxima backend: PennyLane's simulators lightning.qubit and default.mixed, with adjoint gradients."""

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
        from proxima_backend_pennylane.backend import PennyLaneBackend

        return [PennyLaneBackend()]


plugin = Plugin()
