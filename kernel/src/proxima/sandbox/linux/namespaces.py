"""Tier A: namespaces of its own and a root directory in which nothing but the policy's places exists.

Source: `clone(2)`, `namespaces(7)`, `user_namespaces(7)`, `pivot_root(2)`, `mount_setattr(2)`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxima.sandbox.linux import limits
from proxima.sandbox.linux.clone import clone
from proxima.sandbox.linux.syscalls import call, open_without_links
from proxima.sandbox.linux.view import STAND, Place
from proxima.sandbox.policy import MAX_ENTRIES

NAMESPACES = ("user", "net", "ipc", "mnt", "uts", "cgroup", "pid")

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_ALL_BUT_USER = _NEWNS | _NEWCGROUP | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET

_OPEN_TREE_CLONE, _MOVE_MOUNT_FROM_EMPTY_PATH = 1, 4
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _IDMAP = 1, 2, 4, 8, 0x100000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
_MNT_DETACH = 2
_SMALL = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Birth:
    """What came of `fork`.

    Attributes:
        pid: The child's; 0 in the child.
        ids: The user and group id of who forked.
        user_namespace: A descriptor, in both, of the namespace that a child of root enters later; -1 for others.
    """

    pid: int
    ids: tuple[int, int]
    user_namespace: int

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.user_namespace >= 0:
            os.close(self.user_namespace)


def fork() -> Birth:
    """Fork a child into new namespaces of every kind, in which it is process 1; no process waits in between.

    A child of root keeps its user namespace for now, since it needs root's rights to build its root directory.

    Raises:
        OSError: this host does not let this user have them.
    """
    as_root = limits.is_root()
    user_namespace = new_user_namespace() if as_root else -1
    ids = os.getuid(), os.getgid()
    try:
        return Birth(clone(_ALL_BUT_USER | (0 if as_root else _NEWUSER)), ids, user_namespace)
    except OSError:
        if user_namespace >= 0:
            os.close(user_namespace)
        raise


def keep_ids(uid: int, gid: int) -> None:
    """Have the ids of an ordinary user mean the same in the user namespace that this process was forked into.

    Raises:
        OSError: the kernel refused.
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        _write(f"/proc/self/{name}", text)


def new_user_namespace() -> int:
    """Make a user namespace as root, in which root is the unprivileged id outside.

    Mounts that are mapped through it show root's files as the worker's.

    Returns:
        A descriptor of it.

    Raises:
        OSError: this host does not let root have one.
    """
    waiting, go = os.pipe()
    child = call("clone", _NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os.close(go)
        os.read(waiting, 1)
        os._exit(0)
    try:
        os.close(waiting)
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{child}/{name}", f"0 {limits.UNPRIVILEGED} 1")
        user_namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(go)
        os.waitpid(child, 0)
    return user_namespace


def enter_user_namespace(descriptor: int) -> None:
    """Join the namespace that `new_user_namespace` made, and become the only id in it.

    Raises:
        OSError: the kernel refused.
    """
    os.setgroups([])
    call("setns", descriptor, _NEWUSER)
    os.close(descriptor)
    limits.become(0, 0)


class Root:
    """A root directory in the making, in which only the places given to it exist.

    Everything is mounted nosuid; nodev but for devices; read-only unless writable; noexec unless read-only. Until it is
    entered, this process goes on in the old one, but without a `STAND`.

    Args:
        places: Path without symbolic links to place, parents first.
        links: Symbolic links to make, to their targets.
        user_namespace: Descriptor of a namespace through which to map the policy's places, or -1.

    Raises:
        OSError: a place is missing or has a symbolic link in it, or the kernel refused a mount.
    """

    def __init__(self, places: Mapping[str, Place], links: Mapping[str, str], user_namespace: int) -> None:
        self._user_namespace = user_namespace
        call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
        call("sethostname", b"proxima", 7)
        trees = self._clone(places)
        call("mount", b"proxima", STAND.encode(), b"tmpfs", _SMALL, b"size=1m,nr_inodes=4096,mode=755")
        self.descriptor = os.open(STAND, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._attach(trees, links)

    def add(self, places: Mapping[str, Place], links: Mapping[str, str]) -> None:
        """Show more places, none of which has one beneath it that is shown already.

        Raises:
            OSError: as at the beginning.
        """
        self._attach(self._clone(places), links)

    def enter(self, scratch: str, scratch_bytes: int) -> None:
        """Make this the root directory, for good, and let go of the old one.

        Args:
            scratch: The directory that the worker has for itself: a file system in memory.
            scratch_bytes: How much it holds.

        Raises:
            OSError: the kernel refused.
        """
        root, self.descriptor = self.descriptor, -1
        with _umask(0o022):
            _make_target(root, scratch[1:], is_directory=True)
        os.fchdir(root)
        inodes = min(scratch_bytes // 4096 + 16, MAX_ENTRIES)
        owner = limits.UNPRIVILEGED if self._user_namespace >= 0 else 0
        options = f"size={scratch_bytes},nr_inodes={inodes},mode=700" + f",uid={owner},gid={owner}" * (owner > 0)
        call("mount", b"proxima", os.fsencode(scratch[1:]), b"tmpfs", _SMALL, options.encode())
        call("mount_setattr", root, b"", _AT_EMPTY_PATH, _MountAttr(_RDONLY), ctypes.sizeof(_MountAttr))
        os.close(root)
        call("pivot_root", b".", b".")
        call("umount2", b".", _MNT_DETACH)
        os.chdir("/")

    def _clone(self, places: Mapping[str, Place]) -> dict[str, int]:
        return {path: _clone(path, place, self._user_namespace) for path, place in places.items()}

    def _attach(self, trees: Mapping[str, int], links: Mapping[str, str]) -> None:
        root = self.descriptor
        with _umask(0o022):  # a worker of root is another user and must get through the directories made here
            for path, tree in trees.items():
                name = path[1:]
                _make_target(root, name, is_directory=stat.S_ISDIR(os.fstat(tree).st_mode))
                call("move_mount", tree, b"", root, os.fsencode(name), _MOVE_MOUNT_FROM_EMPTY_PATH)
                os.close(tree)
            for link, target in links.items():
                if not _exists(root, link[1:]):
                    _make_directories(root, os.path.dirname(link[1:]))
                    os.symlink(target, link[1:], dir_fd=root)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _clone(path: str, place: Place, user_namespace: int) -> int:
    """A detached copy of the mounts at a path with the place's flags."""
    source = open_without_links(path)
    try:
        tree = call("open_tree", source, b"", _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE)
    finally:
        os.close(source)
    flags = _NOSUID | (0 if place.device else _NODEV | (_NOEXEC if place.writable else _RDONLY))
    call("mount_setattr", tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, _MountAttr(flags), ctypes.sizeof(_MountAttr))
    if place.owned and user_namespace >= 0:
        mapped = _MountAttr(_IDMAP, 0, 0, user_namespace)
        try:
            call("mount_setattr", tree, b"", _AT_EMPTY_PATH, mapped, ctypes.sizeof(mapped))
        except OSError as error:
            # A file system without mapped mounts shows its own ids; the lock checks that the worker can reach it.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    return tree


def _make_target(root: int, name: str, *, is_directory: bool) -> None:
    if _exists(root, name):  # beneath another place
        return
    _make_directories(root, name if is_directory else os.path.dirname(name))
    if not is_directory:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444, dir_fd=root))


def _make_directories(root: int, name: str) -> None:
    if name and not _exists(root, name):
        _make_directories(root, os.path.dirname(name))
        os.mkdir(name, 0o755, dir_fd=root)


def _exists(root: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
