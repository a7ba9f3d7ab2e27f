"""What a sandboxed plugin may ask of the kernel, each request checked against what that plugin was granted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxima.errors import CancelledError, NotFoundError, ProximaError, StorageError, UsageError
from proxima.sandbox.filebroker import FileBroker
from proxima.sandbox.netbroker import NetworkBroker
from proxima.sandbox.policy import SandboxPolicy
from proxima.sandbox.rpc import Call, Peer, WithFds

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.execution import Comparison, Execution, RunOptions
    from proxima.contracts.llm import ChatChunk, ChatMessage
    from proxima.contracts.records import RecordSummary, ResultStore, RunRecord
    from proxima.contracts.result import RunResult
    from proxima.contracts.tool import ToolDefinition
    from proxima.kernel import Kernel

MAX_LISTED = 1000
MAX_CHUNKS = 100_000

# Method to the type of its arguments, as `codec.decode` expects it; whatever else comes ends the conversation.
_METHODS: dict[str, Any] = {
    "network.connect": tuple[str, int, float | None],
    "files.open": tuple[str, str],
    "execution.load": tuple[str, bytes],
    "execution.run": tuple["Circuit", "RunOptions"],
    "execution.compare": tuple["Circuit", tuple[str, ...], "RunOptions"],
    "results.list": tuple[int, str | None],
    "results.get": tuple[str],
    "llm.models": tuple[str],
    "llm.chat": tuple[str, str, tuple["ChatMessage", ...], tuple["ToolDefinition", ...]],
    "secrets.get": tuple[str],
}


class Brokers:
    """The brokers of one kernel.

    Args:
        kernel: Whose permissions, services and contributions they use.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._network = NetworkBroker(kernel.permissions)
        self._files = FileBroker(kernel.permissions, kernel.paths)

    def serve(self, peer: Peer, policy: SandboxPolicy) -> None:
        """Serve a new worker; its requests count as those of the policy's plugin, whatever they say."""
        plugin = policy.plugin
        self._network.open(plugin)
        for method, takes in _METHODS.items():
            peer.serve(method, self._answering(plugin, method), takes=takes)

    def ended(self, plugin: str) -> None:
        """End what a worker left open, and write down what it did that was only counted."""
        self._network.close(plugin)
        try:
            self._kernel.permissions.audit.settle()
        except StorageError as error:
            self._kernel.warn(f"what {plugin} used last could not be recorded: {error}")

    def _answering(self, plugin: str, method: str) -> Callable[[tuple[Any, ...], Call], Any]:
        function = getattr(self, "_" + method.replace(".", "_"))
        return lambda arguments, call: function(plugin, call, *arguments)

    def _network_connect(self, plugin: str, call: Call, host: str, port: int, seconds: float | None) -> WithFds:
        return WithFds(None, [self._network.connect(plugin, host, port, seconds=seconds)])

    def _files_open(self, plugin: str, call: Call, path: str, mode: str) -> WithFds:
        try:
            return WithFds(None, [self._files.open(plugin, path, mode)])
        except ProximaError:
            raise
        except FileNotFoundError:
            raise NotFoundError(f"{path} does not exist") from None
        except FileExistsError:
            raise UsageError(f"{path} exists") from None
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from None

    def _execution_load(self, plugin: str, call: Call, source: str, data: bytes) -> Circuit:
        return self._execution(plugin, "load").load(source, data=data)

    def _execution_run(self, plugin: str, call: Call, circuit: Circuit, options: RunOptions) -> RunResult:
        execution = self._execution(plugin, "run")
        return execution.run(circuit, _unstored(options), cancel=call.cancel, progress=call.progress)

    def _execution_compare(
        self, plugin: str, call: Call, circuit: Circuit, backends: tuple[str, ...], options: RunOptions
    ) -> Comparison:
        execution = self._execution(plugin, "compare")
        return execution.compare(circuit, backends, _unstored(options), cancel=call.cancel, progress=call.progress)

    def _execution(self, plugin: str, what: str) -> Execution:
        from proxima.contracts.execution import Execution

        self._kernel.permissions.use(plugin, "execute_circuits", target=what)
        return self._kernel.services.require(Execution)

    def _results_list(self, plugin: str, call: Call, limit: int, backend: str | None) -> tuple[RecordSummary, ...]:
        results = self._results(plugin, "list")
        return tuple(results.list(limit=min(max(limit, 0), MAX_LISTED), backend=backend))

    def _results_get(self, plugin: str, call: Call, record_id: str) -> RunRecord:
        return self._results(plugin, record_id).get(record_id)

    def _results(self, plugin: str, what: str) -> ResultStore:
        from proxima.contracts.records import ResultStore

        self._kernel.permissions.use(plugin, "database", target=what)
        return self._kernel.services.require(ResultStore)

    def _llm_models(self, plugin: str, call: Call, provider: str) -> tuple[str, ...]:
        self._kernel.permissions.use(plugin, "llm", target=provider)
        return tuple(self._kernel.get("llm_providers", provider).models())

    def _llm_chat(
        self,
        plugin: str,
        call: Call,
        provider: str,
        model: str,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolDefinition],
    ) -> tuple[ChatChunk, ...]:
        import asyncio

        self._kernel.permissions.use(plugin, "llm", target=f"{provider} {model}")
        source = self._kernel.get("llm_providers", provider)

        async def collect() -> tuple[ChatChunk, ...]:
            chunks: list[ChatChunk] = []
            async for chunk in source.chat(model, messages, tools):
                if call.cancel.cancelled or len(chunks) >= MAX_CHUNKS:
                    raise CancelledError(f"the reply of {provider} was cut off")
                chunks.append(chunk)
            return tuple(chunks)

        return asyncio.run(collect())

    def _secrets_get(self, plugin: str, call: Call, name: str) -> str:
        self._kernel.permissions.use(plugin, f"secrets:{name}", target=name)
        return read_secret(name)


def _unstored(options: RunOptions) -> RunOptions:
    """What a plugin runs on the way to its own answer is not the user's to keep; checked, for it comes from outside."""
    options.check()
    return replace(options, store=False)


def read_secret(name: str) -> str:
    """A secret of the user's: the environment variable ``PROXIMA_SECRET_NAME``, else the keyring's entry.

    The keyring is that of the `keyring` package, where it is installed, with ``proxima`` as the service.

    Raises:
        NotFoundError: It is in neither.
    """
    if (value := os.environ.get(f"PROXIMA_SECRET_{name}")) is not None:
        return value
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("keyring") is not None:
        stored = import_module("keyring").get_password("proxima", name)
        if isinstance(stored, str):
            return stored
    raise NotFoundError(
        f"there is no secret {name}",
        hint=f"Set the environment variable PROXIMA_SECRET_{name}, or store it with `keyring set proxima {name}`.",
    )
