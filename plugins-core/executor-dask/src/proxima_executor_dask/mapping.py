"""`DaskExecutor`: tasks on a cluster, and what can go wrong with it on the way."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from proxima.contracts.backend import CancelToken
from proxima.contracts.execution import Progress
from proxima.contracts.executor import Executor, Work
from proxima.errors import CancelledError, ProximaError, RunError, UnavailableError

if TYPE_CHECKING:
    from distributed import Client, Future

_MOST = 256  # tasks that the scheduler holds at a time, on a small cluster
_POLL_SECONDS = 0.2
_ASK_SECONDS = 2.0  # how often a silent cluster is asked whether it has workers


class DaskExecutor(Executor):
    """Runs tasks on the workers of a cluster, each with one thread.

    Args:
        client: Connected.
        address: What the user calls the cluster.
        worker_seconds: How long to wait for a cluster that has no worker.
    """

    def __init__(self, client: Client, address: str, worker_seconds: float) -> None:
        self._client = client
        self._address = address
        self._worker_seconds = worker_seconds
        self.threads = 1
        self._gone = False

    def map(
        self,
        work: Work[Any, Any],
        items: Sequence[Any],
        *,
        retries: int = 2,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, Any], None, None]:
        """See `Executor.map`; in the order in which they are done."""
        from proxima_executor_dask.worker import OpenedWork, do_task, task_key

        if not items:
            return
        token = cancel or CancelToken()
        name = f"proxima-{secrets.token_hex(8)}"
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        running: dict[str, tuple[int, Future[Any]]] = {}  # by key
        begun = had = 0
        try:
            self._register(OpenedWork(work), name)
            most = max(_MOST, 4 * self._threads())
            while had < len(items):
                if progress is not None:
                    progress(had / len(items), f"{had} of {len(items)} done")
                if begun < len(items) and len(running) <= most // 2:
                    numbers = range(begun, min(begun + most - len(running), len(items)))
                    begun = numbers.stop
                    keys = [task_key(name, i) for i in numbers]
                    asked = ([name] * len(numbers), numbers, items[numbers.start : numbers.stop])
                    futures = self._client.map(do_task, *asked, key=keys, retries=retries)
                    running.update(zip(keys, zip(numbers, futures, strict=True), strict=True))
                    for future in futures:
                        future.add_done_callback(done.put)
                ready = self._wait(done, token, had, len(items))
                good = [future for future in ready if future.status == "finished"]
                for future, answer in zip(good, self._gather(good), strict=True):
                    sound = _sound(answer)
                    had += 1
                    yield running.pop(str(future.key))[0], sound
                for future in ready:
                    if future.status != "finished":
                        raise self._failure(future, running[str(future.key)][0])
        finally:
            if not self._gone and self._client.status == "running":
                with suppress(OSError):  # of a scheduler that ends meanwhile, and with it the tasks
                    self._client.cancel([future for _, future in running.values()], force=True)
                    self._client.unregister_worker_plugin(name)

    def _register(self, opened: Any, name: str) -> None:
        try:
            self._client.register_plugin(opened, name=name)
        except Exception as error:
            raise UnavailableError(
                f"the workers of {self._address} cannot take the work: {type(error).__name__}: {error}",
                hint="install Proxima with the same plugins, proxima-executor-dask among them, on every worker",
            ) from error

    def _wait(
        self, done: queue.SimpleQueue[Future[Any]], cancel: CancelToken, had: int, total: int
    ) -> list[Future[Any]]:
        """The tasks that have ended, at least one."""
        now = time.monotonic()
        seen, ask = now, now + _ASK_SECONDS
        while True:
            if cancel.cancelled:
                raise CancelledError(f"cancelled; {had} of {total} were done")
            try:
                ready = [done.get(timeout=_POLL_SECONDS)]
            except queue.Empty:
                if self._client.status != "running":
                    raise self._lost() from None
                now = time.monotonic()
                if now >= ask:
                    ask = now + _ASK_SECONDS
                    if self._threads():
                        seen = now
                    elif now - seen > self._worker_seconds:
                        raise RunError(
                            f"the cluster {self._address} has had no worker for {self._worker_seconds:g} s",
                            hint="start workers, then run it again; a sweep with --output goes on where it ended",
                        ) from None
                continue
            while True:
                try:
                    ready.append(done.get_nowait())
                except queue.Empty:
                    return ready

    def _threads(self) -> int:
        """Of all workers."""
        try:
            return sum(self._client.nthreads().values())
        except Exception as error:
            raise self._lost() from error

    def _gather(self, futures: list[Future[Any]]) -> list[Any]:
        if not futures:
            return []
        try:
            return list(self._client.gather(futures))
        except Exception as error:
            raise self._lost() from error

    def _failure(self, future: Future[Any], number: int) -> ProximaError:
        """What the user is told of a task that did not end well."""
        from distributed.scheduler import KilledWorker

        if future.status != "error":
            return self._lost()
        error = future.exception()
        if isinstance(error, ProximaError):
            return error
        if isinstance(error, KilledWorker):
            return RunError(
                f"task {number} was given up: every worker that ran it died",
                hint="it may need more memory than they have; a worker's log says more",
            )
        failed = RunError(f"task {number} failed: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed

    def _lost(self) -> RunError:
        self._gone = True
        return RunError(
            f"the connection to the Dask scheduler of {self._address} was lost",
            hint="start it and run this again; a sweep with --output goes on where it ended",
        )


def _sound(answer: Any) -> Any:
    from proxima_executor_dask.worker import Failure

    if isinstance(answer, Failure):
        raise answer.error
    return answer
