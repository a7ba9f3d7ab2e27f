"""Tier A: namespaces of its own and a root directory in which nothing but the policy's places exists.

Source: `clone(2)`, `namespaces(7)`, `user_namespaces(7)`, `pivot_root(2)`, `mount_setattr(2)`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Mapping
from typing import NamedTuple

from proxima.sandbox.linux import limits
from proxima.sandbox.linux.clone import clone, prepared
from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.syscalls import AT_FDCWD
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
_MOUNT_ATTR = struct.Struct("<QQQQ")  # to set, to clear, propagation, user namespace
_UMASK = 0o077
_ROOT_ALONE = f"0 {limits.UNPRIVILEGED} 1".encode()


class Birth(NamedTuple):
    """What came of `fork`.

    Attributes:
        pid: The child's; 0 in the child.
        ids: The user and group id of who forked.
        parent: A process descriptor, in both, of who forked.
        user_namespace: A descriptor, in both, of the namespace that a child of root enters later; -1 for others.
    """

    pid: int
    ids: tuple[int, int]
    parent: int
    user_namespace: int

    def close(self) -> None:
        """Let go of the descriptors."""
        os.close(self.parent)
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
    ids, parent = (os.getuid(), os.getgid()), os.pidfd_open(os.getpid())
    try:
        pid = clone(_ALL_BUT_USER | (0 if as_root else _NEWUSER))
    except OSError:
        Birth(0, ids, parent, user_namespace).close()
        raise
    return Birth(pid, ids, parent, user_namespace)


def keep_ids(script: Script, uid: int, gid: int) -> None:
    """Have the ids of an ordinary user mean the same in the user namespace that the process was forked into."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        content = text.encode()
        file = script.opens("openat", AT_FDCWD, f"/proc/self/{name}".encode(), os.O_WRONLY | os.O_CLOEXEC)
        script.call("write", file, content, len(content), wanted=(len(content),), about=name)
        script.close(file)


def new_user_namespace() -> int:
    """Make a user namespace as root, in which root is the unprivileged id outside.

    Mounts that are mapped through it show root's files as the worker's.

    Returns:
        A descriptor of it.

    Raises:
        OSError: this host does not let root have one.
    """
    waiting, go = os.pipe()
    child = prepared(_NEWUSER)()
    if child == 0:
        os.close(go)
        os.read(waiting, 1)
        os._exit(0)
    number = ctypes.get_errno()
    os.close(waiting)
    try:
        if child < 0:
            raise OSError(number, f"clone: {os.strerror(number)}")
        _write(f"/proc/{child}/uid_map", _ROOT_ALONE)
        _write(f"/proc/{child}/gid_map", _ROOT_ALONE)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(go)
        if child > 0:
            os.waitpid(child, 0)


def enter_user_namespace(script: Script, descriptor: int) -> None:
    """Join the namespace that `new_user_namespace` made, and become the only id in it."""
    script.call("setgroups", 0, None)
    script.call("setns", descriptor, _NEWUSER)
    script.close(descriptor)
    limits.become(script, 0, 0)


def new_root(script: Script, places: Mapping[str, Place], links: Mapping[str, str], user_namespace: int) -> int:
    """Make a root directory in which only the places given to it exist.

    Everything is mounted nosuid; nodev but for devices; read-only unless writable; noexec unless read-only. Until it is
    entered, the process goes on in the old one, but without a `STAND`.

    Args:
        script: Where it is written.
        places: Path without symbolic links to place, parents first.
        links: Symbolic links to make, to their targets.
        user_namespace: Descriptor of a namespace through which to map the policy's places, or -1.

    Returns:
        Its descriptor.

    Raises:
        OSError: a place is missing.
    """
    script.call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    script.call("sethostname", b"proxima", 7)
    trees = _clones(script, places, user_namespace)
    script.call("mount", b"proxima", STAND.encode(), b"tmpfs", _SMALL, b"size=1m,nr_inodes=4096,mode=755", about=STAND)
    root = script.opens("openat", AT_FDCWD, STAND.encode(), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _attach(script, root, trees, links)
    return root


def add_places(
    script: Script, root: int, places: Mapping[str, Place], links: Mapping[str, str], user_namespace: int
) -> None:
    """Show more places in a new root directory, none of which has one beneath it that is shown already.

    Raises:
        OSError: a place is missing.
    """
    _attach(script, root, _clones(script, places, user_namespace), links)


def enter_root(script: Script, root: int, scratch: str, scratch_bytes: int, owner: int) -> None:
    """Make a new root directory the root directory, for good, and let go of the old one.

    Args:
        script: Where it is written.
        root: Its descriptor, used up.
        scratch: The directory that the worker has for itself: a file system in memory.
        scratch_bytes: How much it holds.
        owner: Whose it is.
    """
    script.call("umask", 0o022)
    _make_target(script, root, scratch[1:], is_directory=True)
    script.call("umask", _UMASK)
    script.call("fchdir", root)
    inodes = min(scratch_bytes // 4096 + 16, MAX_ENTRIES)
    options = f"size={scratch_bytes},nr_inodes={inodes},mode=700" + f",uid={owner},gid={owner}" * (owner > 0)
    script.call("mount", b"proxima", os.fsencode(scratch[1:]), b"tmpfs", _SMALL, options.encode(), about=scratch)
    _set_flags(script, root, 0, _RDONLY)
    script.close(root)
    script.call("pivot_root", b".", b".")
    script.call("umount2", b".", _MNT_DETACH)
    script.call("chdir", b"/")


def _clones(script: Script, places: Mapping[str, Place], user_namespace: int) -> dict[str, tuple[int, bool]]:
    """Path to the descriptor of a detached copy of the mounts there, and whether it is a directory."""
    return {path: (_clone(script, path, place, user_namespace), os.path.isdir(path)) for path, place in places.items()}


def _clone(script: Script, path: str, place: Place, user_namespace: int) -> int:
    """A detached copy of the mounts at a path with the place's flags."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
    source = script.open_without_links(path)
    tree = script.opens("open_tree", source, b"", flags, about=path)
    script.close(source)
    inside = 0 if place.device else _NODEV | (_NOEXEC if place.writable else _RDONLY)
    _set_flags(script, tree, _AT_RECURSIVE, _NOSUID | inside)
    if place.owned and user_namespace >= 0:
        # A file system without mapped mounts shows its own ids; the lock checks that the worker can reach it.
        script.call(
            "mount_setattr",
            tree,
            b"",
            _AT_EMPTY_PATH,
            _MOUNT_ATTR.pack(_IDMAP, 0, 0, user_namespace),
            _MOUNT_ATTR.size,
            wanted=(0, -errno.EINVAL, -errno.EOPNOTSUPP),
            about=path,
        )
    return tree


def _set_flags(script: Script, tree: int, recursive: int, flags: int) -> None:
    attributes = _MOUNT_ATTR.pack(flags, 0, 0, 0)
    script.call("mount_setattr", tree, b"", _AT_EMPTY_PATH | recursive, attributes, _MOUNT_ATTR.size)


def _attach(script: Script, root: int, trees: Mapping[str, tuple[int, bool]], links: Mapping[str, str]) -> None:
    script.call("umask", 0o022)  # a worker of root is another user and must get through the directories made here
    for path, (tree, is_directory) in trees.items():
        name = path[1:]
        _make_target(script, root, name, is_directory=is_directory)
        script.call("move_mount", tree, b"", root, os.fsencode(name), _MOVE_MOUNT_FROM_EMPTY_PATH, about=path)
        script.close(tree)
    for link, target in links.items():
        _make_target(script, root, os.path.dirname(link[1:]), is_directory=True)
        there = (0, -errno.EEXIST)
        script.call("symlinkat", os.fsencode(target), root, os.fsencode(link[1:]), wanted=there, about=link)
    script.call("umask", _UMASK)


def _make_target(script: Script, root: int, name: str, *, is_directory: bool) -> None:
    """What to mount on, unless it is there, as beneath another place it is."""
    parts = name.split("/") if name else []
    there = (0, -errno.EEXIST)
    for count in range(1, len(parts) + is_directory):
        path = "/".join(parts[:count])
        script.call("mkdirat", root, os.fsencode(path), 0o755, wanted=there, about=f"/{path}")
    if not is_directory:
        script.call("mknodat", root, os.fsencode(name), stat.S_IFREG | 0o444, 0, wanted=there, about=f"/{name}")


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
