"""Loaded by each worker process of a cluster on this machine (Dask's ``preload``): Ctrl-C is the client's to act on."""

from __future__ import annotations

import signal

from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Lets the terminal's interrupt pass: the client ends its workers itself, in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
