"""Work for the tests, in a module that workers import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from proxima.errors import CancelledError, RunError, UsageError


@dataclass(frozen=True)
class Squares:
    def open(self, kernel):
        return lambda items, cancel: (item**2 for item in items)


@dataclass(frozen=True)
class Slow:
    """Waits, and leaves in the folder who began an item, and which were cancelled."""

    folder: Path
    seconds: float

    def open(self, kernel):
        def wait(item, cancel):
            (self.folder / f"began-{item}-{os.getpid()}").touch()
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                if cancel.cancelled:
                    (self.folder / f"cancelled-{item}").touch()
                    raise CancelledError("stopped")
                time.sleep(0.02)
            return item

        return lambda items, cancel: (wait(item, cancel) for item in items)


@dataclass(frozen=True)
class Failing:
    """Item 3 fails: the first ``times`` times as an engine does, or for good by ``error``."""

    folder: Path
    times: int = 0
    error: str = ""

    def open(self, kernel):
        def do(item):
            if item == 3:
                tried = self.folder / "tried"
                count = tried.stat().st_size if tried.exists() else 0
                with tried.open("a") as file:
                    file.write(".")
                if self.error == "usage":
                    raise UsageError("item 3 is wrong", hint="leave it out", plugin="works")
                if self.error == "bug":
                    raise ZeroDivisionError("by item 3")
                if self.error == "death":
                    os.kill(os.getpid(), signal.SIGKILL)
                if count < self.times:
                    raise RunError("the engine failed")
            return item

        return lambda items, cancel: (do(item) for item in items)
