"""Executors: the one of this process, and those that plugins open by address."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from proxima.contracts.backend import CancelToken
from proxima.contracts.execution import Progress
from proxima.contracts.executor import Executor, ExecutorKind, Work, answers
from proxima.errors import CancelledError, NotFoundError

if TYPE_CHECKING:
    from proxima.kernel import Kernel

LOCAL = "local"


class LocalExecutor(Executor):
    """Does the work in the calling thread; each item may use every core."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.threads = None

    def map(
        self,
        work: Work[Any, Any],
        items: Sequence[Any],
        *,
        retries: int = 2,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, Any], None, None]:
        """See `Executor.map`; in the order of the items."""
        token = cancel or CancelToken()
        answered = answers(work.open(self._kernel), items, token, retries)
        for number in range(len(items)):
            if token.cancelled:
                raise CancelledError(f"cancelled; {number} of {len(items)} were done")
            if progress is not None:
                progress(number / len(items), f"{number} of {len(items)} done")
            yield number, next(answered)


def open_executor(kernel: Kernel, address: str) -> AbstractContextManager[Executor]:
    """The executor at an address: ``local``, or one whose scheme is the name of a plugin's service.

    Raises:
        NotFoundError: No installed plugin opens it; the hint says which there are.
        UsageError, UnavailableError: Its plugin cannot open it.
    """
    if address == LOCAL:
        return nullcontext(LocalExecutor(kernel))
    contract = f"{ExecutorKind.__module__}.{ExecutorKind.__qualname__}"
    kinds = [c.name for c in kernel.contributions("services") if c.data.get("contract") == contract]
    scheme = address.partition(":")[0]
    if scheme not in kinds:
        raise NotFoundError(
            f"there is no executor {address!r}",
            hint=f"there is {', '.join([LOCAL, *kinds])}"
            + ("" if "dask" in kinds else "; `pip install proxima-executor-dask` brings dask"),
        )
    kind: ExecutorKind = kernel.get("services", scheme).provider
    return kind.open(address)
