"""``proxima bench lret-scalability``: how the low-rank simulator scales against Cirq's density matrix simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.command import Command


class Plugin:
    """Offers the command to the kernel."""

    @hookimpl
    def proxima_commands(self) -> list[Command]:
        """``proxima bench lret-scalability``."""
        from proxima_bench_lret.command import ScalabilityCommand

        return [ScalabilityCommand()]


plugin = Plugin()
