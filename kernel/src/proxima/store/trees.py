"""Directories of the store: each wheel is unpacked once, and import roots are made of links to such files."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from proxima.paths import Paths
from proxima.plugins.scan import DEPENDENCIES
from proxima.sandbox.launching import yield_to_others
from proxima.storage import storage_error
from proxima.store.disk import remove
from proxima.store.errors import FetchError, StoreError
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.pylock import Pinned, digest
from proxima.store.wheel import WheelFile

_TICK = 0.05  # seconds between two looks at whether the job goes on
_MOST = 1 << 16


class Tree(NamedTuple):
    """The files of one wheel, or of all that a plugin depends on.

    Attributes:
        place: Where they belong, under ``wheels`` or ``roots``.
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


def shared_root(layout: Layout, room: str, pins: Sequence[Pinned], trees: Sequence[Tree]) -> Tree:
    """The import root of what a plugin depends on, which every version has that depends on the same.

    Args:
        layout: The store, which the caller holds.
        room: The directory to make it in.
        pins: The wheels, without the plugin's own.
        trees: Theirs.
    """
    name = digest(pins)[:32]
    place = os.path.join(layout.roots, name)
    return Tree(place, place if _is_whole(place, trees) else os.path.join(room, name))


def _is_whole(root: str, trees: Sequence[Tree]) -> bool:
    """Whether a shared root has at its top what these have there; more would take time."""
    try:
        return set(os.listdir(root)) >= {name for tree in trees for name in os.listdir(tree.work)}
    except OSError:
        return False


def can_be_apart(own: Tree, others: Sequence[Tree]) -> bool:
    """Whether a wheel need not lie in one directory with those it depends on.

    Machine code may look for libraries by a path from its own directory, and a package of which two wheels have parts
    is found in one directory only.
    """
    names = set(os.listdir(own.work)) - {"__pycache__"}
    if any(not names.isdisjoint(os.listdir(each.work)) for each in others):
        return False
    suffixes = (".so", ".pyd", ".dll", ".dylib")
    return not any(name.endswith(suffixes) or ".so." in name for _, _, files in os.walk(own.work) for name in files)


def link_dependencies(version: str, root: str) -> None:
    """Has a version's directory lead to the import root of what it depends on.

    Raises:
        OSError: This file system has no symbolic links, or the disk is full or read-only.
    """
    link = os.path.join(version, DEPENDENCIES)
    with suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(root, link)


class Assembly:
    """Import roots while `assembly` makes them of the trees.

    Args:
        roots: What is made of which trees; of files that two of them have, the first one's is taken.
        shared: One of them that other versions may have as well, or will have.
        version: The directory of the version that leads to that one.
    """

    def __init__(
        self, roots: Mapping[str, Sequence[Tree]] | None = None, shared: Tree | None = None, version: str = ""
    ) -> None:
        self._roots, self._shared, self._version = roots or {}, shared, version
        self._new = [tree for trees in self._roots.values() for tree in trees if tree.new]
        if shared is not None and shared.new:
            self._new.append(shared)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins.

        Raises:
            StoreError: No process could be started.
        """
        if not self._roots:
            return
        program = os.path.join(os.path.dirname(__file__), "assembly.py")
        arguments = []
        for root, trees in self._roots.items():
            arguments += [f"={root}", *(("+" if tree.new else "-") + tree.work for tree in trees)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-X", "utf8", program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise StoreError(f"no process could be started that makes {next(iter(self._roots))}: {error}") from error
        yield_to_others(self._process.pid)

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
            raise StoreError(f"the process that makes {next(iter(self._roots))} ended before it was done")
        cause = OSError(int(number), os.strerror(int(number)))
        raise storage_error("make", path, cause) from cause

    def keep(self, layout: Layout, job: Job) -> None:
        """Waits for the bytecode, and puts what is new where other plugins find it.

        Raises:
            StorageError: The disk is full or read-only.
            CancelledError, DeadlineExceededError: As the job says.
        """
        if self._process is not None:
            while self._said(job, "bytecode was compiled"):
                continue
            self._end()
        for tree in self._new:
            if tree is self._shared and not _is_whole(tree.place, [tree]):
                remove(layout, tree.place)
            Paths.ensure(os.path.dirname(tree.place))
            try:
                if not os.path.exists(tree.place):  # else another transaction made the same while the user was asked
                    os.rename(tree.work, tree.place)
            except OSError as error:
                raise storage_error("make", tree.place, error) from error
        if self._shared is not None:
            try:
                link_dependencies(self._version, os.path.relpath(self._shared.place, layout.version("ID", "VERSION")))
            except OSError as error:
                raise storage_error("link", self._version, error) from error

    def discard(self) -> None:
        """Ends it, and removes what is new where it was not kept."""
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
