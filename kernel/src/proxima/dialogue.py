"""Questions to a person on a terminal: what was typed before one was seen does not answer it, nor does silence."""

from __future__ import annotations

import math
import os
import time
from typing import TextIO

TIMEOUT_SECONDS = 300.0
"""How long a person has to answer what gives a plugin rights."""


class NoAnswerError(Exception):
    """There was nobody to ask, or no answer came; the message says which."""


class Dialogue:
    """Questions that are to be answered within a time.

    Args:
        stream_in: Where answers are read; anything but a terminal gives none. So does a Windows console, which cannot
            be waited for with a time limit.
        stream_out: Where questions are written.
        seconds: For all of them together.
    """

    def __init__(self, stream_in: TextIO, stream_out: TextIO, seconds: float = math.inf) -> None:
        self._in, self._out = stream_in, stream_out
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def ask(self, question: str) -> str:
        """What the person typed, in small letters and without spaces around it.

        Raises:
            NoAnswerError: There is no terminal, the input ended, or no answer came in time.
        """
        if os.name != "posix" or not self._in.isatty():
            raise NoAnswerError("no terminal to ask on")
        import select
        import termios

        termios.tcflush(self._in.fileno(), termios.TCIFLUSH)
        self._out.write(question)
        self._out.flush()
        left = None if self._seconds == math.inf else max(0.0, self._end - time.monotonic())
        if not select.select([self._in], [], [], left)[0]:
            raise NoAnswerError(f"no answer in {self._seconds:g} s")
        if not (line := self._in.readline()):
            raise NoAnswerError("the input ended")
        return line.strip().lower()
