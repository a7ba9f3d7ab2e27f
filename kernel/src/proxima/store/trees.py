"""Directories of the store: each wheel is unpacked once, and a version's import root is made of links to such files."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.errors import FetchError, StoreError
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.pylock import Pinned
from proxima.store.wheel import WheelFile

_TICK = 0.05  # seconds between two looks at whether the job goes on
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one wheel.

    Attributes:
        place: Where they belong, under ``wheels``.
        work: Where they lie until `Assembly.keep`; the same as ``place`` where they are there already.
    """

    place: str
    work: str

    @property
    def new(self) -> bool:
        """Whether no plugin needed it before."""
        return self.work != self.place


def unpack_once(layout: Layout, room: str, pin: Pinned, path: str, job: Job) -> Tree:
    """The files of a wheel: unpacked now, where no plugin needed it before.

    Args:
        layout: The store, which the caller holds.
        room: The directory to unpack it to.
        pin: What the wheel has to be.
        path: Where it lies.
        job: Told how far it is.

    Raises:
        WheelError: It is refused.
        FetchError: It is not the file that was asked for.
        StorageError: The disk is full or read-only.
    """
    place = os.path.join(layout.wheels, pin.sha256)
    if os.path.isdir(place):
        return Tree(place, place)
    check_hash(pin, path)
    work = os.path.join(room, pin.sha256)
    shutil.rmtree(work, ignore_errors=True)

    def told(done: int, of: int) -> None:
        job.check(f"{pin.name} was unpacked")
        job.progress(done / of if of else None, f"unpacking {pin.name} {pin.version}")

    with WheelFile.open(path) as wheel:
        if (wheel.name, wheel.version) != (pin.name, pin.version):
            raise FetchError(f"{path} is {wheel.name} {wheel.version}, not {pin.name} {pin.version}")
        wheel.unpack(work, told)
    return Tree(place, work)


class Assembly:
    """A version's import root while `assembly` makes it of the trees.

    Args:
        trees: Of files that two of them have, the first one's is taken.
        site: What is made; empty where it is there already.
    """

    def __init__(self, trees: Sequence[Tree], site: str) -> None:
        self._trees, self._site = trees, site
        self._new = [tree for tree in trees if tree.new]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins.

        Raises:
            StoreError: No process could be started.
        """
        if not self._site:
            return
        program = os.path.join(os.path.dirname(__file__), "assembly.py")
        trees = [("+" if tree.new else "") + tree.work for tree in self._trees]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-X", "utf8", program, self._site, *trees],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise StoreError(f"no process could be started that makes {self._site}: {error}") from error

    def wait(self, job: Job) -> None:
        """Waits until every link is there; what is new is compiled after that.

        Raises:
            StorageError: The disk is full or read-only.
            StoreError: It ended without saying why.
            CancelledError, DeadlineExceededError: As the job says.
        """
        if self._process is None:
            return
        said = self._said(job, "an import root was made of links").decode(errors="replace")
        if said == "\n":
            return
        number, _, path = said.strip().partition(" ")
        if not number.isdigit():
            raise StoreError(f"the process that makes {self._site} ended before it was done")
        cause = OSError(int(number), os.strerror(int(number)))
        raise storage_error("make", path, cause) from cause

    def keep(self, layout: Layout, job: Job) -> None:
        """Waits for the bytecode, and puts the trees where other plugins find them.

        Raises:
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        if self._process is not None:
            while self._said(job, "bytecode was compiled"):
                continue
            self._end()
        for tree in self._new:
            Paths.ensure(layout.wheels)
            try:
                if not os.path.exists(tree.place):  # else another transaction made the same while the user was asked
                    os.rename(tree.work, tree.place)
            except OSError as error:
                raise storage_error("make", tree.place, error) from error

    def discard(self) -> None:
        """Ends it, and removes the new trees where they were not kept."""
        self._end()
        for tree in self._new:
            shutil.rmtree(tree.work, ignore_errors=True)

    def _said(self, job: Job, doing: str) -> bytes:
        """What it says next; nothing once it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            job.check(doing)
            if select.select([self._process.stdout], [], [], _TICK)[0]:
                return os.read(self._process.stdout.fileno(), _MOST)

    def _end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None


def check_hash(pin: Pinned, path: str) -> None:
    """Makes sure that a file of the cache is what it was when it was fetched.

    Raises:
        FetchError: It is not, and was removed.
        StorageError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error("read", path, error) from error
    if found != pin.sha256:
        os.unlink(path)
        raise FetchError(f"{path} was damaged since it was fetched", hint="It was removed; try again.")
