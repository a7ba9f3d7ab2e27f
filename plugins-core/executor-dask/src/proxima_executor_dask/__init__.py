"""The executor dask: spreads runs over the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.service import Service
    from proxima.kernel import Kernel


class DaskPlugin:
    """What the entry point hands to the kernel."""

    @hookimpl
    def proxima_services(self, kernel: Kernel) -> list[Service]:
        """What opens executors on Dask clusters."""
        from proxima.contracts.executor import ExecutorKind
        from proxima.contracts.service import Service
        from proxima_executor_dask.executor import DaskKind

        return [Service(ExecutorKind, DaskKind(kernel))]


plugin = DaskPlugin()
