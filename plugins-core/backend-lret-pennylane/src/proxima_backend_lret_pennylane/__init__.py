"""Low-rank noisy simulation with gradients: a PennyLane device and a Proxima backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.backend import Backend


class Plugin:
    """Offers the backend to the kernel; PennyLane finds the device by itself."""

    @hookimpl
    def proxima_backends(self) -> list[Backend]:
        """``lret-pennylane``."""
        from proxima_backend_lret_pennylane.backend import LretPennyLaneBackend

        return [LretPennyLaneBackend()]


plugin = Plugin()
