"""The plugin behind ``proxima use``: what plugins contribute, used from a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.command import Command


class UsePlugin:
    """What the entry point hands to the kernel."""

    @hookimpl
    def proxima_commands(self) -> list[Command]:
        """``proxima use``."""
        from proxima_use.command import UseCommand

        return [UseCommand()]


plugin = UsePlugin()
