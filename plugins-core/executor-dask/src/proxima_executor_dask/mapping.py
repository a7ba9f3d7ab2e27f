"""`DaskExecutor`: tasks on a cluster, and what can go wrong with it on the way."""

from __future__ import annotations

import math
import queue
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from proxima.contracts.backend import CancelToken
from proxima.contracts.execution import Progress
from proxima.contracts.executor import Executor, Work
from proxima.errors import CancelledError, ProximaError, RunError, UnavailableError

if TYPE_CHECKING:
    from distributed import Client, Future

_TASK_SECONDS = 0.5  # of work in a task, which costs some 10 ms of processor time on the way
_AHEAD = 4  # tasks on their way for each thread of the cluster
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
        """See `Executor.map`; in the order in which they are done.

        A task takes several items, about `_TASK_SECONDS` of work.
        """
        from proxima_executor_dask.worker import Done, OpenedWork, do_task, task_key

        if not items:
            return
        token = cancel or CancelToken()
        name = f"proxima-{secrets.token_hex(8)}"
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        running: dict[str, tuple[range, Future[Any]]] = {}  # by key
        begun = had = 0
        seconds = math.inf  # of an item
        workers = max(1, self._threads())
        try:
            self._register(OpenedWork(work), name)
            while had < len(items):
                if progress is not None:
                    progress(had / len(items), f"{had} of {len(items)} done")
                if begun < len(items) and len(running) <= _AHEAD * workers // 2:
                    workers = max(1, self._threads())
                    tasks = _tasks(begun, len(items), seconds, _AHEAD * workers, len(running))
                    begun = tasks[-1].stop
                    keys = [task_key(name, task.start) for task in tasks]
                    parts = [items[task.start : task.stop] for task in tasks]
                    do = partial(do_task, name, retries)
                    futures = self._client.map(do, [task.start for task in tasks], parts, key=keys)
                    running.update(zip(keys, zip(tasks, futures, strict=True), strict=True))
                    for future in futures:
                        future.add_done_callback(done.put)
                ready = self._wait(done, token, had, len(items))
                good = [future for future in ready if future.status == "finished"]
                for future, ended in zip(good, self._gather(good, running), strict=True):
                    assert isinstance(ended, Done)
                    task, _ = running.pop(str(future.key))
                    for number, answer in zip(task, ended.answers, strict=ended.error is None):
                        had += 1
                        yield number, answer
                    if ended.error is not None:
                        raise ended.error
                    seconds = max(ended.seconds / len(task), 1e-9)
                for future in ready:
                    if str(future.key) not in running:
                        continue
                    if future.status in ("error", "cancelled"):
                        raise self._failure(future, running[str(future.key)][0])
                    future.add_done_callback(done.put)  # its worker died with the answer, and another does it anew
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

    def _gather(self, futures: list[Future[Any]], running: Mapping[str, tuple[range, Future[Any]]]) -> list[Any]:
        from distributed.scheduler import KilledWorker

        if not futures:
            return []
        try:
            return list(self._client.gather(futures))
        except KilledWorker as error:  # what had its answer died before it was fetched, and those that ran it again
            raise self._told(error, running[str(error.task)][0]) from error
        except Exception as error:
            raise self._lost() from error

    def _failure(self, future: Future[Any], task: range) -> ProximaError:
        """What the user is told of a task that did not end well."""
        if future.status != "error":
            return self._lost()
        return self._told(future.exception(), task)

    def _told(self, error: BaseException, task: range) -> ProximaError:
        from distributed.scheduler import KilledWorker

        if isinstance(error, ProximaError):
            return error
        if isinstance(error, KilledWorker):
            which = f"item {task.start}" if len(task) == 1 else f"items {task.start} to {task[-1]}"
            return RunError(
                f"{which}: given up, for every worker that was at it died",
                hint="it may need more memory than they have; a worker's log says more",
            )
        failed = RunError(f"items from {task.start} on failed: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed

    def _lost(self) -> RunError:
        self._gone = True
        return RunError(
            f"the connection to the Dask scheduler of {self._address} was lost",
            hint="start it and run this again; a sweep with --output goes on where it ended",
        )


def _tasks(begun: int, total: int, seconds: float, most: int, running: int) -> list[range]:
    """The items of the next tasks, at least one, up to ``most`` with those that run; the last ones are small."""
    tasks: list[range] = []
    while not tasks or (begun < total and running + len(tasks) < most):
        size = int(min(_TASK_SECONDS / seconds, 2 * (total - begun) / most))
        tasks.append(range(begun, begun + max(1, size)))
        begun = tasks[-1].stop
    return tasks
