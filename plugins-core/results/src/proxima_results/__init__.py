"""The results plugin: keeps every run, exports it, runs it again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.command import Command
    from proxima.contracts.service import Service
    from proxima.kernel import Kernel
    from proxima_results.store import SqliteResultStore


class ResultsPlugin:
    """What the entry point hands to the kernel."""

    def __init__(self) -> None:
        self._stores: WeakSet[SqliteResultStore] = WeakSet()

    @hookimpl
    def proxima_services(self, kernel: Kernel) -> list[Service]:
        """The result store."""
        from proxima.contracts.records import ResultStore
        from proxima.contracts.service import Service
        from proxima_results.store import SqliteResultStore

        store = SqliteResultStore(kernel.paths.data, kernel.warn)
        self._stores.add(store)
        return [Service(ResultStore, store)]

    @hookimpl
    def proxima_commands(self) -> list[Command]:
        """``proxima results``."""
        from proxima_results.commands import ResultsCommand

        return [ResultsCommand()]

    @hookimpl
    def proxima_kernel_closing(self) -> None:
        """Closes the databases; one that another kernel still uses opens again by itself."""
        for store in list(self._stores):
            store.close()


plugin = ResultsPlugin()
