"""Fetches wheels into the cache: within a deadline and a size, and only if the hash is the one that was asked for."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, NamedTuple, Protocol

from proxima.errors import ProximaError
from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.addresses import shown
from proxima.store.errors import FetchError
from proxima.store.job import Job
from proxima.store.layout import TEMPORARY, names_in
from proxima.store.pylock import Pinned

MAX_BYTES = 4 << 30
STALL_SECONDS = 30.0
"""A server that sends nothing for so long is given up."""

_CHUNK = 1 << 18


class Fetcher(NamedTuple):
    """Fetches to a directory of the cache, ``SHA256/FILE NAME``.

    Attributes:
        directory: The cache.
        indexes: Addresses whose user name and password also hold for files on the same host.
        max_bytes: The most that one wheel may have.
        stall_seconds: How long a server may send nothing.
    """

    directory: str
    indexes: Sequence[str] = ()
    max_bytes: int = MAX_BYTES
    stall_seconds: float = STALL_SECONDS

    def fetch(self, pins: Sequence[Pinned], job: Job) -> list[tuple[Pinned, str]]:
        """The wheels with their hashes, and where each lies.

        Raises:
            FetchError: A server did not send it, or sent something else than it said.
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        found = []
        for number, pin in enumerate(pins):
            job.progress(number / len(pins), f"fetching {pin.name} {pin.version}")
            found.append(self.fetch_one(pin, job))
        return found

    def has(self, pin: Pinned) -> bool:
        """Whether a wheel is in the cache."""
        return bool(pin.sha256) and os.path.exists(self._place(pin))

    def fetch_one(self, pin: Pinned, job: Job) -> tuple[Pinned, str]:
        """One wheel; see `fetch`."""
        if self.has(pin):
            return pin, self._place(pin)
        Paths.ensure(self.directory)
        try:
            with self._new_file() as file:
                sha256 = self._copy(pin, file, job)
                file.flush()
                path = os.path.join(Paths.ensure(os.path.join(self.directory, sha256)), pin.file_name)
                os.replace(file.name, path)
        except OSError as error:
            if isinstance(error, ProximaError):
                raise
            raise storage_error("write a wheel to", self.directory, error) from error
        return replace(pin, sha256=sha256), path

    @contextmanager
    def _new_file(self) -> Iterator[IO[bytes]]:
        """A file that `sweep` leaves alone while it is open; where that ends with an error, it is gone."""
        while True:
            with tempfile.NamedTemporaryFile(dir=self.directory, prefix=TEMPORARY, delete=False) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not os.fstat(file.fileno()).st_nlink:
                    continue  # it was swept before it was locked
                try:
                    yield file
                except BaseException:
                    os.unlink(file.name)
                    raise
                return

    def _place(self, pin: Pinned) -> str:
        return os.path.join(self.directory, pin.sha256, pin.file_name)

    def _copy(self, pin: Pinned, file: IO[bytes], job: Job) -> str:
        """Writes the wheel to a file; gives its hash."""
        what = f"{pin.file_name} from {shown(pin.url)}"
        digest, size = hashlib.sha256(), 0
        with self._opened(pin, job) as (source, length):
            while chunk := source.read1(_CHUNK):
                size += len(chunk)
                if size > self.max_bytes:
                    raise FetchError(f"{what} is larger than {self.max_bytes:,} bytes", hint=_TOO_LARGE)
                digest.update(chunk)
                file.write(chunk)
                job.check(f"{pin.file_name} was fetched ({size:,} bytes so far)")
        if length is not None and size != length:
            raise FetchError(f"{what} ended after {size:,} of {length:,} bytes", hint=AGAIN)
        if pin.sha256 and digest.hexdigest() != pin.sha256:
            raise FetchError(
                f"{what} is not the file that was asked for: its sha256 is {digest.hexdigest()}, not {pin.sha256}",
                hint="Nothing of it was used. Either the index or what lies between is wrong, or somebody changed it.",
            )
        return digest.hexdigest()

    @contextmanager
    def _opened(self, pin: Pinned, job: Job) -> Iterator[tuple[Readable, int | None]]:
        if pin.path:
            try:
                source = open(pin.path, "rb")  # noqa: SIM115 - closed below
            except OSError as error:
                raise FetchError(f"cannot read {pin.path}: {error.strerror}") from error
            with source:
                yield source, None
            return
        from proxima.store.download import open_address

        with open_address(pin.url, self.indexes, job.left(self.stall_seconds)) as opened:
            yield opened


def sweep(directory: str) -> None:
    """Removes from a cache what killed processes had not fetched to its end.

    Raises:
        StorageError: It cannot be removed.
    """
    for name in names_in(directory):
        if not name.startswith(TEMPORARY):
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, "rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
        except (BlockingIOError, FileNotFoundError):
            continue  # it is being fetched, or was fetched by now
        except OSError as error:
            raise storage_error("remove", path, error) from error


class Readable(Protocol):
    """A file or an answer that is read as it comes in, so that a slow server cannot hold up the deadline."""

    def read1(self, size: int, /) -> bytes:
        """What is there, at least a byte; empty at the end.

        Raises:
            FetchError: A server broke off.
        """
        ...


AGAIN = "Try again; what was fetched completely is kept."
_TOO_LARGE = "store.max_wheel_bytes sets how large a wheel may be."
