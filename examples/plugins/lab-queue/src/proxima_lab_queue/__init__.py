"""Proxima tool: how many jobs wait at a laboratory's job server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.tool import Tool


class Plugin:
    """Offers the tool to the kernel."""

    @hookimpl
    def proxima_tools(self) -> list[Tool]:
        """The one tool of this package."""
        from proxima_lab_queue.queue import QueueLength

        return [QueueLength()]


plugin = Plugin()
