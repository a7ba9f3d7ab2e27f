"""What a Dask worker does: opens the work with a kernel of its own, and runs tasks until they are cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import Worker, WorkerPlugin, get_worker

from proxima.contracts.backend import CancelToken
from proxima.contracts.executor import Work, answers
from proxima.errors import CancelledError, ProximaError, RunError

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_STOPPED = ("cancelled", "released", "forgotten")


class OpenedWork(WorkerPlugin):
    """The work of one `map` in a worker; Dask brings it to each worker once, to those that come later too."""

    def __init__(self, work: Work[Any, Any]) -> None:
        self._work = work

    def setup(self, worker: Worker) -> None:
        """Called in the worker; the kernel is opened by the first task, so that its errors are the task's."""
        self._lock = threading.Lock()
        self._running: dict[str, CancelToken] = {}
        self._kernel: Kernel | None = None
        self._do: Callable[[Sequence[Any], CancelToken], Iterator[Any]] | None = None
        self._ended = False

    def teardown(self, worker: Worker) -> None:
        """Stops what runs; the last to end closes the kernel."""
        with self._lock:
            self._ended = True
            for token in self._running.values():
                token.cancel()
            self._close_if_idle()

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Stops a running task that nobody waits for any more: it was cancelled, or its client is gone."""
        if finish in _STOPPED and (token := self._running.get(key)) is not None:
            token.cancel()

    def run(self, key: str, items: Sequence[Any], retries: int) -> Iterator[Any]:
        """The answers to the items of a task, in their order."""
        token = CancelToken()
        with self._lock:
            if self._ended:
                raise CancelledError("the work was called off")
            self._running[key] = token
        try:
            yield from answers(self._opened(), items, token, retries)
        finally:
            with self._lock:
                del self._running[key]
                self._close_if_idle()

    def _opened(self) -> Callable[[Sequence[Any], CancelToken], Iterator[Any]]:
        from proxima.kernel import Kernel

        with self._lock:
            if self._do is None:
                self._kernel = self._kernel or Kernel()
                self._do = self._work.open(self._kernel)
            return self._do

    def _close_if_idle(self) -> None:
        if self._ended and not self._running and self._kernel is not None:
            self._kernel.close()
            self._kernel = None


@dataclass(frozen=True, slots=True)
class Done:
    """What a task came to.

    Attributes:
        answers: To its items, in their order.
        seconds: How long they took.
        error: What ended it before the last item.
    """

    answers: list[Any]
    seconds: float
    error: ProximaError | None = None


def task_key(name: str, first: int) -> str:
    """The key of a task of the work of that name, which begins with that item."""
    return f"{name}-{first}"


def do_task(name: str, retries: int, first: int, items: Sequence[Any]) -> Done:
    """A task: the answers to some items, of which the first has that number.

    Raises:
        RunError: There is a bug in the work.
    """
    opened = get_worker().plugins[name]
    assert isinstance(opened, OpenedWork)
    answered: list[Any] = []
    began = time.perf_counter()
    try:
        for answer in opened.run(task_key(name, first), items, retries):
            answered.append(answer)  # noqa: PERF402  # what came is kept when the next does not
    except ProximaError as error:
        return Done(answered, time.perf_counter() - began, error)
    except Exception as error:
        raise RunError(f"item {first + len(answered)} failed: {type(error).__name__}: {error}") from error
    return Done(answered, time.perf_counter() - began)
