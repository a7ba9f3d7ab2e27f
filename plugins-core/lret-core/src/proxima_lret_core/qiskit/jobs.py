"""Jobs that run in a thread of their own and stop within a second of being cancelled."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qiskit.primitives import BasePrimitiveJob
from qiskit.providers import JobStatus, JobV1

from proxima.contracts.backend import CancelToken, RunContext
from proxima.errors import CancelledError, UsageError

Work = Callable[[RunContext], Any]


class _Running:
    """One piece of work in a thread."""

    def __init__(self, work: Work, threads: int) -> None:
        self._cancel = CancelToken()
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="low-rank")
        self._future: Future[Any] = pool.submit(work, RunContext(threads=threads, cancel=self._cancel))
        pool.shutdown(wait=False)

    def result(self, timeout: float | None = None) -> Any:
        return self._future.result(timeout)

    def cancel(self) -> bool:
        if self._future.done():
            return False
        self._cancel.cancel()
        return True

    def status(self) -> JobStatus:
        if not self._future.done():
            return JobStatus.RUNNING
        error = self._future.exception()
        if error is None:
            return JobStatus.DONE
        return JobStatus.CANCELLED if isinstance(error, CancelledError) else JobStatus.ERROR


class BackendJob(JobV1):  # type: ignore[misc]  # Qiskit carries no types
    """A run of circuits on a backend; begins when it is made."""

    def __init__(self, backend: Any, job_id: str, work: Work, threads: int) -> None:
        super().__init__(backend, job_id)
        self._running = _Running(work, threads)

    def submit(self) -> None:
        """Refused: the job runs already.

        Raises:
            UsageError: Always.
        """
        raise UsageError("the job was submitted when it was made", hint="ask for its result()")

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the `qiskit.result.Result`, raising what the run raised."""
        return self._running.result(timeout)

    def cancel(self) -> bool:
        """Asks the run to stop; whether it was still going on."""
        return self._running.cancel()

    def status(self) -> JobStatus:
        """Running, done, cancelled or failed."""
        return self._running.status()


class PrimitiveJob(BasePrimitiveJob):  # type: ignore[misc]  # Qiskit carries no types
    """A run of a primitive's pubs; begins when it is made."""

    def __init__(self, work: Work, threads: int) -> None:
        super().__init__(str(uuid.uuid4()))
        self._running = _Running(work, threads)

    def result(self) -> Any:
        """Waits for the `PrimitiveResult`, raising what the run raised."""
        return self._running.result()

    def cancel(self) -> bool:
        """Asks the run to stop; whether it was still going on."""
        return self._running.cancel()

    def status(self) -> JobStatus:
        """Running, done, cancelled or failed."""
        return self._running.status()

    def done(self) -> bool:
        """Whether there is a result."""
        return bool(self.status() == JobStatus.DONE)

    def running(self) -> bool:
        """Whether it goes on."""
        return bool(self.status() == JobStatus.RUNNING)

    def cancelled(self) -> bool:
        """Whether it was stopped."""
        return bool(self.status() == JobStatus.CANCELLED)

    def in_final_state(self) -> bool:
        """Whether it is over."""
        return not self.running()
