"""The execution plugin: reads a circuit, chooses a backend, runs it, compares backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.command import Command
    from proxima.contracts.service import Service
    from proxima.kernel import Kernel


class ExecutionPlugin:
    """What the entry point hands to the kernel."""

    @hookimpl
    def proxima_services(self, kernel: Kernel) -> list[Service]:
        """The service that runs circuits in this process."""
        from proxima.contracts.execution import Execution
        from proxima.contracts.service import Service
        from proxima_execution.service import LocalExecution

        return [Service(Execution, LocalExecution(kernel))]

    @hookimpl
    def proxima_commands(self) -> list[Command]:
        """``proxima run``, ``compare``, ``backends``, ``calibrate`` and ``circuit``."""
        from proxima_execution.commands.backends import BackendsCommand
        from proxima_execution.commands.calibrate import CalibrateCommand
        from proxima_execution.commands.circuit import CircuitCommand
        from proxima_execution.commands.compare import CompareCommand
        from proxima_execution.commands.run import RunCommand

        return [RunCommand(), CompareCommand(), BackendsCommand(), CalibrateCommand(), CircuitCommand()]


plugin = ExecutionPlugin()
