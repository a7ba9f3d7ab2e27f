"""Clusters of two worker processes on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxima
from proxima_executor_dask.executor import DaskKind

WORK = Path(__file__).parent / "work"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Proxima home and a path that this process and its workers share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROXIMA_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(WORK), *filter(None, sys.path)]))
        yield


@pytest.fixture(scope="session")
def kernel(environment: None) -> Iterator[proxima.Kernel]:
    with proxima.open(flags={"plugins.executor-dask.workers": 2}) as opened:
        yield opened


@pytest.fixture(scope="module")
def local(kernel: proxima.Kernel):
    """The executor ``dask``."""
    with DaskKind(kernel).open("dask") as executor:
        yield executor


class Cluster:
    """A scheduler and workers in processes of their own, as an administrator starts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scheduler, self.address = self._start_scheduler()
        self.workers: list[subprocess.Popen[str]] = []

    def _start_scheduler(self) -> tuple[subprocess.Popen[str], str]:
        process = self._dask("scheduler", "--host", "127.0.0.1", "--port", "0")
        assert process.stderr is not None
        for line in process.stderr:
            if "Scheduler at:" in line:
                return process, line.rsplit("tcp://", 1)[1].strip()
        raise AssertionError("the scheduler did not start")

    def add_worker(self) -> None:
        words = ("--nthreads", "1", "--no-nanny", "--death-timeout", "30", "--local-directory", str(self._folder))
        self.workers.append(self._dask("worker", f"tcp://{self.address}", "--host", "127.0.0.1", *words))

    def _dask(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.communicate()


@pytest.fixture
def cluster(environment: None, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler that has no worker yet."""
    made = Cluster(tmp_path)
    yield made
    made.close()
