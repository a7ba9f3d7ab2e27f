"""The contract of what spreads tasks over processes and machines.

`ExecutorKind` is a service; its name in the manifest is the scheme of the addresses it opens: the service ``dask``
opens ``dask`` and ``dask://HOST:PORT``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from proxima.contracts.backend import CancelToken
from proxima.contracts.execution import Progress
from proxima.errors import DeadlineExceededError, RunError

if TYPE_CHECKING:
    from proxima.kernel import Kernel

Item = TypeVar("Item", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


class Work(Protocol[Item, Answer]):
    """What is done to each item; it is pickled, once for each process, and importable where it is opened."""

    @abstractmethod
    def open(self, kernel: Kernel) -> Callable[[Sequence[Item], CancelToken], Iterator[Answer]]:
        """What does it in a process with this kernel; called once there, its answer from several threads perhaps.

        It yields an answer to each item in their order; several may be done at once. An answer depends on the work and
        the item alone, not on the process, on what was done there before, nor on the other items.
        """


class Executor(Protocol):
    """Does work on items, somewhere.

    Attributes:
        threads: How many threads an item takes that says nothing of it; ``None``: as many as there are.
    """

    threads: int | None

    @abstractmethod
    def map(
        self,
        work: Work[Any, Any],
        items: Sequence[Any],
        *,
        retries: int = 2,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, Any], None, None]:
        """Yields each item's number and answer exactly once, as they come, in any order.

        An item is tried again, at most ``retries`` times, where `may_pass` says so (see `answers`); where its worker is
        lost, as often as the executor itself allows. Closing the iterator stops what is left.

        Raises:
            CancelledError: The token was set; within a second of it, tasks that run included.
            RunError: An item failed for good, or the executor was lost. What was yielded before is sound.
            ProximaError: What else the work raised.
        """


class ExecutorKind(Protocol):
    """Opens executors of one kind."""

    @abstractmethod
    def open(self, address: str) -> AbstractContextManager[Executor]:
        """The executor at an address, for as long as the context lasts.

        Raises:
            UsageError: The address is not one of this kind.
            UnavailableError: Nothing answers there.
        """


def answers(
    do: Callable[[Sequence[Any], CancelToken], Iterator[Any]], items: Sequence[Any], cancel: CancelToken, retries: int
) -> Generator[Any, None, None]:
    """What opened work answers to the items, in their order.

    Where it fails and `may_pass` says so, it is asked again from the first item without an answer on, at most
    ``retries`` times from the same one.
    """
    done, left = 0, retries
    while done < len(items):
        try:
            for answer in do(items[done:], cancel):
                yield answer
                done, left = done + 1, retries
            return
        except RunError as error:
            if not left or not may_pass(error):
                raise
            left -= 1


def may_pass(error: Exception) -> bool:
    """Whether what failed may succeed when it is tried again."""
    return isinstance(error, RunError) and not isinstance(error, DeadlineExceededError)
