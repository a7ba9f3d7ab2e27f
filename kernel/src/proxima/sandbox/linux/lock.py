"""The lock: a process gives up, for good, everything that its policy does not name.

It is written here as programs for that process to run. The order matters. Namespaces need rights that are dropped next;
the identity changes before the limits that count by user; Landlock binds only the calling thread, so no other may
exist; seccomp comes last because it forbids the rest.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import landlock, limits, namespaces, seccomp
from proxima.sandbox.linux.script import Script, hint
from proxima.sandbox.linux.selftest import write_selftest
from proxima.sandbox.linux.syscalls import AT_FDCWD
from proxima.sandbox.linux.view import Place, base_places, beyond_base, places
from proxima.sandbox.policy import SandboxPolicy, Tier

MINIMUM_ABI = {"A": 6, "B": 1, "C": 0}

_AT_SYMLINK_NOFOLLOW = 0x100


class Holder(NamedTuple):
    """The process that is to be locked, as its scripts must know it before they are written.

    Attributes:
        keep: The descriptors that stay open; no directories. Standard ones that are not among them must be closed.
        pid: Its number in its own namespace.
        parent: The process whose end ends this one, by its number outside.
        ids: The user and group id of both.
        parent_descriptor: A process descriptor of the parent; -1 but at tier A.
        user_namespace: The descriptor of the one to enter, for a child of root at tier A; else -1.
        root: The descriptor of the new root directory, where `base` has run; else -1.
    """

    keep: tuple[int, ...]
    pid: int
    parent: int
    ids: tuple[int, int]
    parent_descriptor: int = -1
    user_namespace: int = -1
    root: int = -1

    @property
    def open(self) -> tuple[int, ...]:
        """Every descriptor that the scripts find."""
        lent = (self.parent_descriptor, self.user_namespace, self.root)
        return (*self.keep, *(each for each in lent if each >= 0))


# Where a worker has its descriptors beside the standard ones.
CHANNEL, PARENT, USER_NAMESPACE, ROOT = 3, 4, 5, 6


def worker_holder(tier: Tier, pid: int, zygote: int, *, waited: bool) -> Holder:
    """A worker, as it is when it begins to lock itself.

    Args:
        tier: Of its policy.
        pid: Its number, as the zygote sees it.
        zygote: The process that forks workers.
        waited: Whether it is the child that waited, or is to wait, for a policy.
    """
    keep, ids = (0, 1, 2, CHANNEL), (os.getuid(), os.getgid())
    if tier != "A":
        return Holder(keep, pid, zygote, ids)
    return Holder(keep, 1, zygote, ids, PARENT, USER_NAMESPACE if limits.is_root() else -1, ROOT if waited else -1)


class Lock(NamedTuple):
    """The two halves of a lock.

    Attributes:
        tier: What it gives.
        before: Up to where other processes of this user may still look at the namespaces, which stay as they are.
        after: The rest, with the self-test.
    """

    tier: Tier
    before: Script
    after: Script


def fork() -> namespaces.Birth:
    """Fork a child that can be locked at tier A; see `namespaces.fork`.

    Raises:
        LockError: the step is "namespaces".
    """
    try:
        return namespaces.fork()
    except OSError as error:
        raise LockError("namespaces", str(error), hint=hint("namespaces", error.errno)) from error


def write_base(holder: Holder) -> Script:
    """The first part of a lock at tier A, before there is a policy; one that `view.beyond_base` takes may follow.

    Args:
        holder: Its root directory is made here.

    Raises:
        LockError: a step cannot be taken on this host.
    """
    bare = holder._replace(root=-1)
    script = Script(None, bare.open)
    _begin(script, "A", bare)
    with script.step("root directory"):
        script.move(namespaces.new_root(script, *base_places(), holder.user_namespace), holder.root)
    return script


def write_lock(policy: SandboxPolicy, holder: Holder, *, abi: int | None = None, canary: str | None = None) -> Lock:
    """A lock for a process that has one thread and is a child that nobody waits for by group.

    Whatever the process read before remains in its memory: start it from one that knows no secrets.

    Args:
        policy: What it may still do.
        holder: The process.
        abi: The Landlock version to use, at most the kernel's; the kernel's if not given.
        canary: A file that the policy does not show, for the self-test; without it there is none.

    Raises:
        LockError: a step cannot be taken on this host.
    """
    script = Script(policy.plugin, holder.open)
    as_root = limits.is_root()
    if holder.root < 0:
        _begin(script, policy.tier, holder)
    else:
        with script.step("descriptors"):
            script.close_all_but(holder.open)
    with script.step("view"):
        version = landlock.abi() if abi is None else abi
        if version < MINIMUM_ABI[policy.tier]:
            raise OSError(errno.ENOSYS, f"tier {policy.tier} needs Landlock {MINIMUM_ABI[policy.tier]}, not {version}")
        shown, _ = places(policy)
        # It may start more elsewhere, and this worker must not run out then.
        tasks = 2 * limits.tasks_on_host() + 1024 if policy.tier != "A" else 0
    if policy.tier == "A":
        with script.step("root directory"):
            owner = limits.UNPRIVILEGED if holder.user_namespace >= 0 else 0
            namespaces.enter_root(
                script, _root(script, policy, holder), policy.scratch, policy.limits.scratch_bytes, owner
            )
        with script.step("identity"):
            if as_root:
                namespaces.enter_user_namespace(script, holder.user_namespace)
    elif as_root and policy.tier == "B":
        with script.step("identity"):
            who = limits.UNPRIVILEGED
            script.call("fchownat", AT_FDCWD, os.fsencode(policy.scratch), who, who, _AT_SYMLINK_NOFOLLOW)
            script.call("setgroups", 0, None)
            limits.become(script, who, who)
    before, script = script, Script(policy.plugin, script.descriptors)
    with script.step("capabilities"):
        limits.drop_capabilities(script, all_held=policy.tier == "A")
        limits.hide(script)
        limits.die_with_parent(script, holder.parent, pidfd=holder.parent_descriptor)  # a new identity had cleared it
        if holder.parent_descriptor >= 0:
            script.close(holder.parent_descriptor)
    with script.step("limits"):
        limits.set_limits(script, policy, tasks)
    with script.step("reach"):
        _require_reach(script, shown, as_root and policy.tier != "C")
        script.call("chdir", os.fsencode(policy.scratch))
    if policy.tier == "C":
        return Lock(policy.tier, before, script)
    if policy.tier == "A":  # elsewhere this call may be denied; who forked it or looks at it sees to that
        with script.step("single thread"):
            script.require_one_thread()
    with script.step("landlock"):
        rules = {path: place.rights for path, place in shown.items() if place.rights}  # the covered have none
        landlock.restrict(script, rules, version=version)
    with script.step("seccomp"):
        seccomp.install(
            script,
            seccomp.program(
                os.uname().machine,
                holder.pid,
                subprocess=policy.subprocess,
                any_ioctl=policy.gpu,
                keep_files=policy.keeps_files,
            ),
        )
    if canary is not None:
        write_selftest(script, policy, canary, holder.parent)
    return Lock(policy.tier, before, script)


def lock(
    policy: SandboxPolicy,
    keep_fds: Sequence[int],
    *,
    parent_pid: int,
    birth: namespaces.Birth | None = None,
    abi: int | None = None,
    canary: str | None = None,
    seen: Callable[[], object] | None = None,
) -> None:
    """Lock this very process, and have it test itself.

    Args:
        policy: What it may still do.
        keep_fds: Descriptors that stay open; no directories. 0, 1 and 2 become /dev/null if they are not among them.
        parent_pid: The process whose end ends this one, by its number there.
        birth: What `fork` gave this process; tier A needs it.
        abi: As for `write_lock`.
        canary: As for `write_lock`.
        seen: Called between the two halves; returns when others have looked.

    Raises:
        LockError: a step failed; the process must end, since it may be half locked.
    """
    if any(stat.S_ISDIR(os.fstat(descriptor).st_mode) for descriptor in keep_fds):
        raise LockError("descriptors", "one is a directory, from which files could be opened", plugin=policy.plugin)
    if len(os.listdir("/proc/self/task")) != 1:
        raise LockError("single thread", "this process has other threads", hint=hint("single thread", None))
    if policy.tier == "A" and birth is None:
        raise LockError("namespaces", "the process was not forked into namespaces of its own", plugin=policy.plugin)
    for standard in {0, 1, 2}.difference(keep_fds):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, standard)
        if null != standard:
            os.close(null)
    keep = tuple({0, 1, 2, *keep_fds})
    if birth is None:
        holder = Holder(keep, os.getpid(), parent_pid, (os.getuid(), os.getgid()))
    else:
        holder = Holder(keep, os.getpid(), parent_pid, birth.ids, birth.parent, birth.user_namespace)
    written = write_lock(policy, holder, abi=abi, canary=canary)
    set_environment(environment(policy))
    written.before.run()
    if seen is not None:
        seen()
    written.after.run()


def environment(policy: SandboxPolicy) -> dict[str, str]:
    """All of a worker's environment."""
    threads = str(policy.threads)
    return {
        "USER": "proxima",
        "LOGNAME": "proxima",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/local/bin:/usr/bin:/bin" if policy.subprocess else "",
        "HOME": policy.scratch,
        "TMPDIR": policy.scratch,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }


BARE = SandboxPolicy(plugin="none", tier="B", scratch="/tmp/none")
"""Stands for a policy where there is none yet."""


def set_environment(wanted: Mapping[str, str]) -> None:
    """Make the environment of this process what is wanted, and nothing else."""
    there = dict(os.environ)
    for name in there.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if there.get(name) != value:
            os.environ[name] = value
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # it remembers the directory it found first


def _begin(script: Script, tier: Tier, holder: Holder) -> None:
    """What comes first at every tier: a session of its own, and at tier A the ids."""
    with script.step("descriptors"):
        script.close_all_but(holder.open)
    with script.step("session"):
        script.call("setsid")
        limits.die_with_parent(script, holder.parent, pidfd=holder.parent_descriptor)
        script.call("umask", 0o077)
        script.call("chdir", b"/")  # nobody keeps a directory of the old root as the working directory
    if tier == "A":
        with script.step("single thread"):
            script.require_one_thread()
        with script.step("namespaces"):
            if not limits.is_root():
                namespaces.keep_ids(script, *holder.ids)


def _root(script: Script, policy: SandboxPolicy, holder: Holder) -> int:
    """A new root directory with what the policy shows, but for the scratch directory."""
    shown, links = places(policy)
    if holder.root < 0:
        beyond = {path: shown[path] for path in shown if path != policy.scratch}
        return namespaces.new_root(script, beyond, links, holder.user_namespace)
    more = beyond_base(policy)
    if more is None:
        raise ValueError("this policy shows the system otherwise than this process has it")
    beyond = {path: more[path] for path in more if path != policy.scratch}
    namespaces.add_places(script, holder.root, beyond, links, holder.user_namespace)
    return holder.root


def _require_reach(script: Script, shown: Mapping[str, Place], as_root: bool) -> None:
    for path, place in shown.items():
        if place.owned:
            mode = os.R_OK | (os.W_OK if place.writable else 0)
            refusal = partial(_out_of_reach, path, place, as_root)
            script.call("faccessat", AT_FDCWD, os.fsencode(path), mode, wanted=(0,), otherwise=refusal)


def _out_of_reach(path: str, place: Place, as_root: bool) -> LockError:
    who = f"the unprivileged user {limits.UNPRIVILEGED}, which a worker of root becomes," if as_root else "it"
    closed = limits.first_closed(path) if as_root else None
    return LockError(
        "reach",
        f"{who} cannot {'write' if place.writable else 'read'} {path}"
        + (f": {closed} is closed to other users" if closed else ""),
        hint="Run Proxima as an ordinary user, or install Python, Proxima and plugins where every user may "
        "read them, such as below /opt or /usr/local."
        if as_root
        else "Check that it is there and who may read it.",
    )
