"""What the kernel's brokers offer, as a plugin in a worker meets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from proxima.errors import NotFoundError
from proxima.sandbox import worker_files, worker_network
from proxima.sandbox.rpc import Peer

if TYPE_CHECKING:
    from proxima.sandbox.remote import RemoteLLM

T = TypeVar("T")


def install(peer: Peer, files: Sequence[str]) -> None:
    """Have this process's sockets and files ask the kernel for what they may not have by themselves, for good.

    Args:
        peer: The conversation with the kernel.
        files: The places that it may open by itself.
    """

    def ask(method: str, arguments: tuple[object, ...]) -> int:
        _, (fd,) = peer.call_for_fds(method, arguments, 1, returns=None)
        return fd

    worker_network.install(ask)
    worker_files.install(ask, own=files)


class WorkerServices:
    """The kernel's services that a worker can reach, by contract."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def get(self, contract: type[T]) -> T | None:
        """The service, or None where it is not one that a worker can reach."""
        from proxima.sandbox.remote import REMOTE

        found = REMOTE.get(contract)
        return None if found is None else cast(T, found(self._peer))

    def require(self, contract: type[T]) -> T:
        """The service.

        Raises:
            NotFoundError: It is not one that a worker can reach.
        """
        service = self.get(contract)
        if service is None:
            raise NotFoundError(f"a plugin in a worker cannot reach the service {contract.__name__}")
        return service

    def llm(self, provider: str) -> RemoteLLM:
        """A language model provider by its contribution's name."""
        from proxima.sandbox.remote import RemoteLLM

        return RemoteLLM(self._peer, provider)

    def secret(self, name: str) -> str:
        """A secret of the user's; needs the permission ``secrets:NAME``.

        Raises:
            PermissionDeniedError: It is not granted.
            NotFoundError: The user has none of that name.
        """
        return cast(str, self._peer.call("secrets.get", (name,), returns=str))
