"""Services of the kernel's as objects in a worker: each call of them is a request that the kernel's brokers judge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from typing import Any, cast

from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Comparison, Execution, Progress, RunOptions
from proxima.contracts.llm import ChatChunk, ChatMessage
from proxima.contracts.records import RecordSummary, ResultStore, RunRecord
from proxima.contracts.result import RunResult
from proxima.contracts.tool import ToolDefinition
from proxima.errors import PermissionDeniedError, UsageError
from proxima.sandbox.rpc import Peer


class RemoteExecution(Execution):
    """Runs circuits on the user's backends; needs the permission `execute_circuits`. Nothing of it is stored."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def load(self, source: str, *, data: bytes | None = None) -> Circuit:
        """See `Execution.load`; a file is read here, under the plugin's own permissions."""
        if data is None:
            try:
                with open(source, "rb") as file:
                    data = file.read()
            except (FileNotFoundError, IsADirectoryError) as error:
                raise UsageError(f"{source}: {error.strerror}") from error
        return cast(Circuit, self._peer.call("execution.load", (source, data), returns=Circuit))

    def run(
        self,
        circuit: Circuit,
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        executor: str = "local",
    ) -> RunResult:
        """See `Execution.run`; other executors are out of reach."""
        if executor != "local":
            raise PermissionDeniedError(f"a plugin in a worker cannot use the executor {executor!r}")
        answer = self._peer.call(
            "execution.run", (circuit, options), returns=RunResult, cancel=cancel, progress=progress
        )
        return cast(RunResult, answer)

    def sweep(self, *arguments: Any, **options: Any) -> Generator[tuple[int, RunResult], None, None]:
        """Refused: a plugin in a worker runs one circuit at a time.

        Raises:
            PermissionDeniedError: Always.
        """
        raise PermissionDeniedError("a plugin in a worker cannot sweep; it may run each point by itself")

    def compare(
        self,
        circuit: Circuit,
        backends: Sequence[str],
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Comparison:
        """See `Execution.compare`."""
        arguments = (circuit, tuple(backends), options)
        answer = self._peer.call("execution.compare", arguments, returns=Comparison, cancel=cancel, progress=progress)
        return cast(Comparison, answer)


class RemoteResults(ResultStore):
    """The stored results, to read; needs the permission `database`."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def save(self, record: RunRecord) -> str:
        """Refused: a plugin in a worker only reads.

        Raises:
            PermissionDeniedError: Always.
        """
        raise PermissionDeniedError("a plugin in a worker cannot store results; no permission allows it")

    def list(self, *, limit: int = 50, backend: str | None = None) -> list[RecordSummary]:
        """The newest records first, at most 1000."""
        returns = tuple[RecordSummary, ...]
        return [*self._peer.call("results.list", (limit, backend), returns=returns)]

    def get(self, record_id: str) -> RunRecord:
        """See `ResultStore.get`."""
        return cast(RunRecord, self._peer.call("results.get", (record_id,), returns=RunRecord))

    def delete(self, record_id: str) -> None:
        """Refused: a plugin in a worker only reads.

        Raises:
            PermissionDeniedError: Always.
        """
        raise PermissionDeniedError("a plugin in a worker cannot remove results; no permission allows it")


class RemoteLLM:
    """A language model provider of the kernel's; needs the permission `llm`. A reply arrives whole."""

    def __init__(self, peer: Peer, name: str) -> None:
        self._peer = peer
        self.name = name

    def models(self) -> Sequence[str]:
        """The models it offers."""
        return cast(Sequence[str], self._peer.call("llm.models", (self.name,), returns=tuple[str, ...]))

    async def chat(
        self, model: str, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition] = ()
    ) -> AsyncIterator[ChatChunk]:
        """A reply to the conversation."""
        import asyncio

        arguments = (self.name, model, tuple(messages), tuple(tools))
        returns = tuple[ChatChunk, ...]
        for chunk in await asyncio.to_thread(self._peer.call, "llm.chat", arguments, returns=returns):
            yield chunk


REMOTE: Mapping[type[Any], Callable[[Peer], object]] = {Execution: RemoteExecution, ResultStore: RemoteResults}
"""By contract, what stands for the kernel's service."""
