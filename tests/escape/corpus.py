"""The corpus: every way out that is tried, and those that are not."""

from __future__ import annotations

from row import Row
from rows_calls import CALLS, PATHS
from rows_kernel import BROKERS, OUTSIDE_THE_WORKER, WIRE
from rows_lock import LOCK

ROWS: tuple[Row, ...] = (*LOCK, *PATHS, *CALLS, *BROKERS, *WIRE, *OUTSIDE_THE_WORKER)

OUTSIDE = {
    "a project whose directory is named to be installed": "its own code builds it, as whoever names it asks for",
    "HTML in results and logs": "there is no page that shows them yet",
    "graphics devices": "their drivers are outside the promise; they need the permission gpu",
    "Spectre, timing, bugs of the Linux kernel": "outside the promise",
    "false results": "nothing can prevent them",
}
"""What is not tried, and why."""
