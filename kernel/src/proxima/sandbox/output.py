"""What workers print, as events with the plugin's name: read as fast as it comes, told only as fast as is useful."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from proxima.events import ErrorLine, Event, OutputLine

MAX_LINE = 4096
"""Bytes of a line that are kept; the rest of it is dropped."""

LINES_PER_SECOND = 500
BURST = 2000
_CHUNK = 64 << 10


@dataclass(slots=True)
class _Stream:
    plugin: str
    pid: int
    kind: type[OutputLine] | type[ErrorLine]
    begun: bytearray = field(default_factory=bytearray)
    cut: bool = False
    allowance: float = BURST
    counted: float = field(default_factory=time.monotonic)
    dropped: int = 0
    keep: Callable[[str], object] | None = None


class OutputPump:
    """One thread that reads the standard streams of all workers.

    A worker that prints faster than `LINES_PER_SECOND` has the surplus lines dropped and counted; a line longer than
    `MAX_LINE` is cut. So memory stays bounded, and the kernel's own threads never wait; what
    a slow listener holds up is the workers' printing.

    Args:
        publish: Where the events go.
    """

    def __init__(self, publish: Callable[[Event], object]) -> None:
        self._publish = publish
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._added: list[tuple[int, _Stream]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="proxima-worker-output", daemon=True)
        self._thread.start()

    def add(
        self,
        fd: int,
        plugin: str,
        pid: int,
        kind: type[OutputLine] | type[ErrorLine],
        keep: Callable[[str], object] | None = None,
    ) -> None:
        """Takes over the reading end of a worker's stream, until its other end is closed.

        Args:
            fd: Taken over.
            plugin: The events' source.
            pid: The worker's.
            kind: Of the events.
            keep: Called with each line too.
        """
        os.set_blocking(fd, False)
        with self._lock:
            if self._closing:
                os.close(fd)
                return
            self._added.append((fd, _Stream(plugin, pid, kind, keep=keep)))
            os.write(self._wake_write, b"\0")

    def close(self) -> None:
        """Reads what there is, then stops. May be called twice."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            os.write(self._wake_write, b"\0")
        self._thread.join()

    def _run(self) -> None:
        buffer = bytearray(_CHUNK)
        while not self._closing:
            for key, _ in self._selector.select():
                if key.fd == self._wake_read:
                    os.read(self._wake_read, _CHUNK)
                    self._take_added()
                else:
                    self._read(key.fd, key.data, buffer)
        self._take_added()
        for key in list(self._selector.get_map().values()):
            if key.fd != self._wake_read:
                self._read(key.fd, key.data, buffer)
                if key.fd in self._selector.get_map():
                    self._end(key.fd, key.data)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _take_added(self) -> None:
        with self._lock:
            added, self._added = self._added, []
        for fd, stream in added:
            self._selector.register(fd, selectors.EVENT_READ, stream)

    def _read(self, fd: int, stream: _Stream, buffer: bytearray) -> None:
        try:
            count = os.readv(fd, [buffer])
        except BlockingIOError:
            return
        if count == 0:
            self._end(fd, stream)
            return
        now = time.monotonic()
        stream.allowance = min(stream.allowance + (now - stream.counted) * LINES_PER_SECOND, BURST)
        stream.counted = now
        view = memoryview(buffer)[:count]
        at = 0
        while at < count:
            if stream.allowance < 1 and (stream.dropped or not stream.begun):
                # Over the limit: what comes is counted, not taken apart.
                stream.dropped += buffer.count(b"\n", at, count)
                last = buffer.rfind(b"\n", at, count)
                stream.cut = last < count - 1
                stream.begun.clear()
                return
            newline = buffer.find(b"\n", at, count)
            end = count if newline < 0 else newline
            room = MAX_LINE - len(stream.begun)
            if not stream.cut:
                stream.begun += view[at : min(end, at + room)]
                stream.cut = end - at > room
            if newline >= 0:
                self._tell(stream)
            at = end + 1

    def _end(self, fd: int, stream: _Stream) -> None:
        if stream.begun:
            self._tell(stream)
        self._tell_dropped(stream)
        self._selector.unregister(fd)
        os.close(fd)

    def _tell(self, stream: _Stream) -> None:
        self._tell_dropped(stream)
        line = bytes(stream.begun).decode(errors="backslashreplace")
        stream.begun.clear()
        stream.cut = False
        stream.allowance -= 1
        if stream.keep is not None and line.strip():
            stream.keep(line)
        self._publish(stream.kind(source=stream.plugin, process_id=stream.pid, text=line))

    def _tell_dropped(self, stream: _Stream) -> None:
        if stream.dropped:
            text = f"[{stream.dropped} more lines came too fast and were dropped]"
            stream.dropped = 0
            self._publish(stream.kind(source=stream.plugin, process_id=stream.pid, text=text))
