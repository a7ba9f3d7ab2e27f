"""Directories of the store: each wheel is unpacked once, and a version's import root is made of links to such files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.errors import FetchError
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.pylock import Pinned
from proxima.store.wheel import WheelFile

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
_TICK = 0.005


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one wheel.

    Attributes:
        place: Where they belong, under ``wheels``.
        work: Where they lie until `Compiler.keep`; the same as ``place`` where they are there already.
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


class Compiler:
    """Compiles new trees to bytecode while something else is done: a worker may not write it, and would need it anew.

    In a process of its own, because a hostile file can bring a compiler down; a file that does not compile stays as
    it is. The bytecode is not compared with its source again, since neither is ever changed.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        self._new = [tree for tree in trees if tree.new]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins."""
        if not self._new:
            return
        several = ["-j", "0"] if len(self._new) > 1 else []
        command = [sys.executable, "-I", "-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"]
        self._process = subprocess.Popen(
            [*command, *several, "-x", r"/tests?/", *(tree.work for tree in self._new)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def keep(self, layout: Layout, site: str, job: Job) -> None:
        """Waits for it, links the bytecode into the site, and puts the trees where other plugins find them.

        Raises:
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        while self._process is not None and self._process.poll() is None:
            job.check("bytecode was compiled")
            time.sleep(_TICK)
        for tree in self._new:
            try:
                _link(tree.work, site)
                Paths.ensure(layout.wheels)
                if not os.path.exists(tree.place):  # else another transaction made the same while the user was asked
                    os.rename(tree.work, tree.place)
            except OSError as error:
                raise storage_error("make", tree.place, error) from error

    def discard(self) -> None:
        """Ends it, and removes the new trees where they were not kept."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for tree in self._new:
            shutil.rmtree(tree.work, ignore_errors=True)


def link_site(trees: Sequence[Tree], site: str) -> None:
    """Makes an import root of unpacked wheels; of files that two of them have, the first wheel's is taken.

    Raises:
        StorageError: The disk is full or read-only.
    """
    try:
        os.mkdir(site, 0o755)
        for tree in trees:
            _link(tree.work, site)
    except OSError as error:
        raise storage_error("make", site, error) from error


def _link(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path = f"{target}/{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(path, 0o755)
                else:
                    _link_file(entry.path, path)
            except FileExistsError:
                if os.path.isdir(path) != entry.is_dir(follow_symlinks=False):
                    raise
            if entry.is_dir(follow_symlinks=False):
                _link(entry.path, path)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)


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
