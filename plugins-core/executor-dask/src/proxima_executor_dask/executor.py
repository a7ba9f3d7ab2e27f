"""Executors on Dask clusters: one that runs already, or one of processes on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from proxima.contracts.executor import Executor
from proxima.errors import UnavailableError, UsageError
from proxima_executor_dask.mapping import DaskExecutor

if TYPE_CHECKING:
    from distributed import Client

    from proxima.kernel import Kernel

_ADDRESS = re.compile(r"dask://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_CONNECT_SECONDS = 10.0
_SETTINGS = {
    # Dask listens for HTTP whatever one asks, without TLS: what it tells there of tasks and workers is left out.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # What is measured for a dashboard takes about 2 % of a processor in each process.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
}


class DaskKind:
    """Opens ``dask``, a cluster on this machine's loopback interface, and ``dask://HOST:PORT``, a scheduler.

    Args:
        kernel: Whose settings ``plugins.executor-dask`` hold.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @contextmanager
    def open(self, address: str) -> Iterator[Executor]:
        """The executor; a cluster on this machine ends with the context.

        Raises:
            UsageError: The address is neither of the two.
            UnavailableError: No Dask scheduler answers there.
        """
        found = _ADDRESS.fullmatch(address)
        if address != "dask" and (found is None or not 0 < int(found["port"]) < 65536):
            raise UsageError(
                f"{address!r} is no address of a Dask cluster",
                hint="dask is a cluster on this machine, dask://HOST:PORT one whose scheduler listens there",
            )
        seconds = self._kernel.settings.get("plugins.executor-dask.worker_seconds")
        assert isinstance(seconds, int | float)  # the manifest's config_schema says so
        with _quiet():
            opened = self._local() if found is None else _remote(f"tcp://{found['host']}:{found['port']}")
            with opened as client:
                yield DaskExecutor(client, address, seconds)

    @contextmanager
    def _local(self) -> Iterator[Client]:
        """A cluster whose certificate, made for it and kept in memory, none but its processes and this client has."""
        import dask
        from distributed import Client, LocalCluster, Security

        workers = self._kernel.settings.get("plugins.executor-dask.workers")
        assert isinstance(workers, int)
        with dask.config.set(_SETTINGS):
            cluster = LocalCluster(
                n_workers=workers or _processors(),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=Security.temporary(),
                dashboard_address="127.0.0.1:0",  # without one Dask takes port 8787
                scheduler_kwargs={"dashboard": False},
                preload=["proxima_executor_dask.interrupts"],
                memory_limit=0,  # backends say what they need, and are refused beforehand where it is not there
                silence_logs=logging.CRITICAL,
            )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Dask's log from the terminal: what matters of it becomes an error of ours."""
    from distributed.utils import silence_logging_cmgr

    logger = logging.getLogger("distributed")
    before, logger.propagate = logger.propagate, False
    try:
        with silence_logging_cmgr(logging.CRITICAL):
            yield
    finally:
        logger.propagate = before


async def _greet(address: str) -> None:
    """Raises `OSError` where nothing answers as Dask does; a client would wait for ever for what is silent."""
    from distributed.comm.core import connect

    comm = await asyncio.wait_for(connect(address, timeout=_CONNECT_SECONDS), 2 * _CONNECT_SECONDS)
    comm.abort()


@contextmanager
def _remote(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        asyncio.run(_greet(address))
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise UnavailableError(
            f"no Dask scheduler answers at {address}: {error}",
            hint="start one with `dask scheduler`, and workers with `dask worker`, or leave the address out: dask",
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError):  # of a scheduler that is gone
            client.close(timeout=2)
