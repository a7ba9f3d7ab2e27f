"""The hooks: the public contract between the kernel and its plugins.

A plugin is an object with methods marked `hookimpl`, named by one entry point in the group ``proxima.plugins``. There
is one hook per contribution kind: it returns a list of typed objects, one for each entry of that kind in the plugin's
manifest. It is called once, when the first of them is used. A hook implementation takes ``kernel`` only if it needs it.
A marked method that is no hook, or that takes other arguments, is refused when the plugin is activated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from proxima.contracts.agent import Agent
    from proxima.contracts.algorithm import Algorithm
    from proxima.contracts.backend import Backend
    from proxima.contracts.codegen import CodeGenerator
    from proxima.contracts.command import Command
    from proxima.contracts.formats import CircuitFormat
    from proxima.contracts.llm import LLMProvider
    from proxima.contracts.mcp_server import MCPServer
    from proxima.contracts.result import RunResult
    from proxima.contracts.screen import Screen
    from proxima.contracts.service import Service
    from proxima.contracts.theme import Theme
    from proxima.contracts.tool import Tool
    from proxima.contracts.view import View
    from proxima.contracts.visualization import Visualization
    from proxima.kernel import Kernel

PROJECT = "proxima"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a method as the implementation of the hook of the same name."""


@hookspec
def proxima_backends(kernel: Kernel) -> list[Backend]:  # type: ignore[empty-body]
    """Simulators and devices that run circuits.

    Example::

        class Plugin:
            @hookimpl
            def proxima_backends(self) -> list[Backend]:
                from proxima_backend_qsim.backend import QsimBackend  # not before somebody asks

                return [QsimBackend()]

        plugin = Plugin()
    """


@hookspec
def proxima_formats(kernel: Kernel) -> list[CircuitFormat]:  # type: ignore[empty-body]
    """File formats that circuits are read from and written to.

    Example::

        class Plugin:
            @hookimpl
            def proxima_formats(self) -> list[CircuitFormat]:
                return [OpenQasm2()]
    """


@hookspec
def proxima_algorithms(kernel: Kernel) -> list[Algorithm]:  # type: ignore[empty-body]
    """Algorithms that run circuits many times, such as VQE.

    Example::

        class Plugin:
            @hookimpl
            def proxima_algorithms(self, kernel: Kernel) -> list[Algorithm]:
                return [Vqe(execution=kernel.services.require(Execution))]
    """


@hookspec
def proxima_visualizations(kernel: Kernel) -> list[Visualization]:  # type: ignore[empty-body]
    """Pictures of results, states and circuits.

    Example::

        class Plugin:
            @hookimpl
            def proxima_visualizations(self) -> list[Visualization]:
                return [BlochSphere()]
    """


@hookspec
def proxima_codegens(kernel: Kernel) -> list[CodeGenerator]:  # type: ignore[empty-body]
    """Writers of a circuit as source code of some library.

    Example::

        class Plugin:
            @hookimpl
            def proxima_codegens(self) -> list[CodeGenerator]:
                return [QiskitCode(), CirqCode()]
    """


@hookspec
def proxima_tools(kernel: Kernel) -> list[Tool]:  # type: ignore[empty-body]
    """Functions that an agent, or a user, may call.

    Example::

        class Plugin:
            @hookimpl
            def proxima_tools(self, kernel: Kernel) -> list[Tool]:
                return [RunCircuit(kernel)]
    """


@hookspec
def proxima_agents(kernel: Kernel) -> list[Agent]:  # type: ignore[empty-body]
    """Agents that reach a goal by calling tools.

    Example::

        class Plugin:
            @hookimpl
            def proxima_agents(self, kernel: Kernel) -> list[Agent]:
                return [CircuitReviewer(kernel)]
    """


@hookspec
def proxima_llm_providers(kernel: Kernel) -> list[LLMProvider]:  # type: ignore[empty-body]
    """Language models that agents talk to.

    Example::

        class Plugin:
            @hookimpl
            def proxima_llm_providers(self, kernel: Kernel) -> list[LLMProvider]:
                return [LocalModel(url=kernel.settings.get("plugins.local-model.url"))]
    """


@hookspec
def proxima_mcp_servers(kernel: Kernel) -> list[MCPServer]:  # type: ignore[empty-body]
    """Model Context Protocol servers to start and connect to.

    Example::

        class Plugin:
            @hookimpl
            def proxima_mcp_servers(self) -> list[MCPServer]:
                return [MCPServer(name="files", command=("mcp-files", "--root", "."))]
    """


@hookspec
def proxima_commands(kernel: Kernel) -> list[Command]:  # type: ignore[empty-body]
    """Subcommands of ``proxima``; a name of two words, such as ``bench run``, is a subcommand of a group.

    Example::

        class Plugin:
            @hookimpl
            def proxima_commands(self, kernel: Kernel) -> list[Command]:
                return [RunCommand()]
    """


@hookspec
def proxima_screens(kernel: Kernel) -> list[Screen]:  # type: ignore[empty-body]
    """Terminal screens; first-party or trusted plugins only.

    Example::

        class Plugin:
            @hookimpl
            def proxima_screens(self) -> list[Screen]:
                return [ResultsScreen()]
    """


@hookspec
def proxima_views(kernel: Kernel) -> list[View]:  # type: ignore[empty-body]
    """Views as data, which the host draws; what a sandboxed plugin offers in place of a screen.

    Example::

        class Plugin:
            @hookimpl
            def proxima_views(self) -> list[View]:
                return [NoiseReport()]
    """


@hookspec
def proxima_themes(kernel: Kernel) -> list[Theme]:  # type: ignore[empty-body]
    """Colour themes.

    Example::

        class Plugin:
            @hookimpl
            def proxima_themes(self) -> list[Theme]:
                return [Theme(name="paper", dark=False, colours={"background": "#ffffff", "primary": "#1f4e79"})]
    """


@hookspec
def proxima_services(kernel: Kernel) -> list[Service]:  # type: ignore[empty-body]
    """Services that other plugins ask the kernel for by contract.

    Example::

        class Plugin:
            @hookimpl
            def proxima_services(self, kernel: Kernel) -> list[Service]:
                return [Service(ResultStore, SqliteResultStore(kernel.paths.data))]
    """


@hookspec
def proxima_run_finished(result: RunResult) -> None:
    """Called after a circuit was run and its result stored. An implementation that raises does not spoil the run.

    A plugin in a worker is called with the permission `database` alone.

    Example::

        class Plugin:
            @hookimpl
            def proxima_run_finished(self, result: RunResult) -> None:
                log.info("%s took %.3f s", result.backend, result.timings["total"])
    """


@hookspec
def proxima_kernel_closing() -> None:
    """Called on every activated plugin when the kernel closes, the last activated first.

    Example::

        class Plugin:
            @hookimpl
            def proxima_kernel_closing(self) -> None:
                self.connection.close()
    """
