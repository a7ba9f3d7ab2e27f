"""The execution plugin: reads a circuit, chooses a backend, runs it, compares backends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.command import Command
    from proxima.contracts.service import Service
    from proxima.kernel import Kernel
    from proxima_execution.service import LocalExecution


class ExecutionPlugin:
    """What the entry point hands to the kernel."""

    def __init__(self) -> None:
        self._services: WeakSet[LocalExecution] = WeakSet()

    @hookimpl
    def proxima_services(self, kernel: Kernel) -> list[Service]:
        """The service that runs circuits in this process."""
        from proxima.contracts.execution import Execution
        from proxima.contracts.service import Service
        from proxima_execution.service import LocalExecution

        execution = LocalExecution(kernel)
        self._services.add(execution)
        return [Service(Execution, execution)]

    @hookimpl
    def proxima_commands(self) -> list[Command]:
        """The subcommands of ``proxima`` that read, run and time circuits."""
        from proxima_execution.commands.backends import BackendsCommand
        from proxima_execution.commands.bench_run import BenchRunCommand
        from proxima_execution.commands.calibrate import CalibrateCommand
        from proxima_execution.commands.circuit import CircuitCommand
        from proxima_execution.commands.compare import CompareCommand
        from proxima_execution.commands.explain import ExplainCommand
        from proxima_execution.commands.run import RunCommand
        from proxima_execution.commands.sweep import SweepCommand
        from proxima_execution.commands.verify import VerifyCommand

        return [
            RunCommand(),
            SweepCommand(),
            CompareCommand(),
            VerifyCommand(),
            ExplainCommand(),
            BackendsCommand(),
            CalibrateCommand(),
            BenchRunCommand(),
            CircuitCommand(),
        ]

    @hookimpl
    def proxima_kernel_closing(self) -> None:
        """Closes the databases; one that another kernel still uses opens again by itself."""
        for execution in list(self._services):
            execution.observations.close()


plugin = ExecutionPlugin()
