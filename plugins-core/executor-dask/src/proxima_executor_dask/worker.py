"""What a Dask worker does: opens the work with a kernel of its own, and runs tasks until they are cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distributed import Worker, WorkerPlugin, get_worker

from proxima.contracts.backend import CancelToken
from proxima.contracts.executor import Work, may_pass
from proxima.errors import CancelledError, ProximaError

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
        self._do: Callable[[Any, CancelToken], Any] | None = None
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

    def run(self, key: str, item: Any) -> Any:
        """The answer to the item."""
        token = CancelToken()
        with self._lock:
            if self._ended:
                raise CancelledError("the work was called off")
            self._running[key] = token
        try:
            return self._opened()(item, token)
        finally:
            with self._lock:
                del self._running[key]
                self._close_if_idle()

    def _opened(self) -> Callable[[Any, CancelToken], Any]:
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


class Failure:
    """An error that trying again would not mend, as a task's answer: what a task raises, Dask tries again."""

    def __init__(self, error: ProximaError) -> None:
        self.error = error


def task_key(name: str, number: int) -> str:
    """The key of a task of the work of that name."""
    return f"{name}-{number}"


def do_task(name: str, number: int, item: Any) -> Any:
    """A task: the answer to the item, or a `Failure`.

    Raises:
        RunError: It may succeed when it is tried again.
    """
    opened = get_worker().plugins[name]
    assert isinstance(opened, OpenedWork)
    try:
        return opened.run(task_key(name, number), item)
    except ProximaError as error:
        if may_pass(error):
            raise
        return Failure(error)
