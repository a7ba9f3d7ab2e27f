"""Directories of the store: each wheel is unpacked once, and a version's import root is made of links to such files."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store import linking
from proxima.store.errors import FetchError
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.pylock import Pinned
from proxima.store.wheel import WheelFile
from proxima.values import dataclass

_TICK = 0.005


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one wheel.

    Attributes:
        place: Where they belong, under ``wheels``.
        work: Where they lie until `Linker.keep`; the same as ``place`` where they are there already.
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


class Linker:
    """Links trees to an import root, and compiles those that are new, while something else is done.

    Bytecode is made here because a worker may not write it, and would need it anew. It takes a process of its own:
    see `proxima.store.linking`.

    Args:
        trees: Of files that two of them have, the first one's is taken.
        site: The import root, whose parent is there; empty where one is kept that was made of the same.
    """

    def __init__(self, trees: Sequence[Tree], site: str) -> None:
        self._trees, self._site = trees, site
        self._new = [tree for tree in trees if tree.new]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins."""
        if not self._site and not self._new:
            return
        trees, new = [tree.work for tree in self._trees], [tree.work for tree in self._new]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", linking.__file__, self._site, *trees, "--", *new],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def linked(self, job: Job) -> None:
        """Waits until the import root is made.

        Raises:
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        if self._process is None:
            return
        pipe = self._process.stdout
        assert pipe is not None
        while not select.select([pipe], [], [], _TICK)[0]:
            job.check("files were linked")
        said = os.read(pipe.fileno(), 8192)  # what it says it says at once, and goes on to compile
        pipe.close()
        if said != linking.LINKED:
            number, _, path = said.decode(errors="replace").partition(" ")
            wrong = OSError(int(number), os.strerror(int(number))) if number else OSError(0, "its process was ended")
            raise storage_error("make", path or self._site, wrong)

    def keep(self, layout: Layout, site: str, job: Job) -> None:
        """Waits for the bytecode, links it into the site, and puts the trees where other plugins find them.

        Raises:
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        while self._process is not None and self._process.poll() is None:
            job.check("bytecode was compiled")
            time.sleep(_TICK)
        for tree in self._new:
            try:
                linking.link(tree.work, site)
                Paths.ensure(layout.wheels)
                if not os.path.exists(tree.place):  # else another transaction made the same while the user was asked
                    os.rename(tree.work, tree.place)
            except OSError as error:
                raise storage_error("make", tree.place, error) from error

    def discard(self) -> None:
        """Ends it, and removes the new trees where they were not kept."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
        for tree in self._new:
            shutil.rmtree(tree.work, ignore_errors=True)


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
