"""The lock: the calling process gives up, for good, everything that its policy does not name.

The order matters. Namespaces need rights that are dropped next; the identity changes before the limits that count by
user; Landlock binds only the calling thread, so no other may exist; seccomp comes last because it forbids the rest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import landlock, limits, namespaces, seccomp
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.linux.view import Place, base_places, beyond_base, places, system_places
from proxima.sandbox.policy import SandboxPolicy, Tier

MINIMUM_ABI = {"A": 6, "B": 1, "C": 0}

_CLONE_THREAD = 0x00010000
_LAST_DESCRIPTOR = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class LockReport:
    """What is in force once `lock` has returned.

    Attributes:
        tier: The policy's tier; a lock that cannot give it fails instead.
        landlock_abi: The Landlock version in use; 0 at tier C.
        landlock_rules: How many paths it lets through.
        filter_instructions: The length of the seccomp filter; 0 at tier C.
        steps: Each step, in order, to the milliseconds it took.
    """

    tier: Tier
    landlock_abi: int
    landlock_rules: int
    filter_instructions: int
    steps: Mapping[str, float] = field(default_factory=dict)


def fork() -> namespaces.Birth:
    """Fork a child that can be locked at tier A; see `namespaces.fork`.

    Raises:
        LockError: the step is "namespaces".
    """
    try:
        return namespaces.fork()
    except OSError as error:
        raise LockError("namespaces", str(error), hint=_hint("namespaces", error)) from error


@dataclass(frozen=True, slots=True)
class Ready:
    """A child at tier A that has done what is the same for almost every policy; see `make_ready`."""

    birth: namespaces.Birth
    root: namespaces.Root
    status: int

    @property
    def descriptors(self) -> tuple[int, int]:
        """What the rest of the lock uses up."""
        return self.root.descriptor, self.status


def make_ready(keep_fds: Sequence[int], *, parent_pid: int, birth: namespaces.Birth) -> Ready:
    """Do the first part of `lock` at tier A, before there is a policy; one that `view.beyond_base` takes may follow.

    Raises:
        LockError: as `lock` does.
    """
    steps = _Steps()
    with steps.step("descriptors"):
        _close_all_but(keep_fds, (birth.user_namespace,))
    status = _begin(steps, parent_pid, "A", birth)
    with steps.step("root directory"):
        root = namespaces.Root(*base_places(), birth.user_namespace)
    return Ready(birth, root, status)


def lock(
    policy: SandboxPolicy,
    keep_fds: Sequence[int],
    *,
    parent_pid: int,
    birth: namespaces.Birth | None = None,
    ready: Ready | None = None,
    abi: int | None = None,
    seen: Callable[[], object] | None = None,
) -> LockReport:
    """Lock this process, which must have one thread and be a child that nobody waits for by group.

    Whatever the process read before remains in its memory: start it from one that knows no secrets.

    Args:
        policy: What it may still do.
        keep_fds: Descriptors that stay open; no directories. 0, 1 and 2 become /dev/null if they are not among them.
        parent_pid: The process whose end ends this one, by its number there.
        birth: What `fork` gave this process; tier A needs it.
        ready: What `make_ready` gave it, in place of ``birth``.
        abi: The Landlock version to use, at most the kernel's; the kernel's if not given.
        seen: Called at tier A when the namespaces are as they will stay and other processes of this user may still
            look at them; returns when they have.

    Returns:
        What is in force.

    Raises:
        LockError: a step failed; the process must end, since it may be half locked.
    """
    steps = _Steps(policy.plugin)
    as_root = limits.is_root()
    birth = ready.birth if ready is not None else birth
    user_namespace = birth.user_namespace if birth is not None else -1
    with steps.step("descriptors"):
        _close_all_but(keep_fds, (user_namespace, *(ready.descriptors if ready is not None else ())))
    status = ready.status if ready is not None else _begin(steps, parent_pid, policy.tier, birth)
    with steps.step("environment"):
        _set_environment(
            policy.scratch, str(policy.threads), "/usr/local/bin:/usr/bin:/bin" if policy.subprocess else ""
        )
    with steps.step("view"):
        version = landlock.abi() if abi is None else abi
        if version < MINIMUM_ABI[policy.tier]:
            raise OSError(errno.ENOSYS, f"tier {policy.tier} needs Landlock {MINIMUM_ABI[policy.tier]}, not {version}")
        shown, _ = places(policy)
        # It may start more elsewhere, and this worker must not run out then.
        tasks = 2 * limits.tasks_on_host() + 1024 if policy.tier != "A" else 0
    if policy.tier == "A":
        with steps.step("root directory"):
            root = _root(policy, user_namespace) if ready is None else _extended(ready.root, policy)
            root.enter(policy.scratch, policy.limits.scratch_bytes)
        with steps.step("identity"):
            if as_root:
                namespaces.enter_user_namespace(user_namespace)
    elif as_root and policy.tier == "B":
        with steps.step("identity"):
            os.chown(policy.scratch, limits.UNPRIVILEGED, limits.UNPRIVILEGED, follow_symlinks=False)
            os.setgroups([])
            limits.become(limits.UNPRIVILEGED, limits.UNPRIVILEGED)
    if policy.tier == "A" and seen is not None:
        with steps.step("look from outside"):
            seen()
    with steps.step("capabilities"):
        limits.drop_capabilities()
        limits.set_dumpable(False)
        limits.die_with_parent(parent_pid, status)  # a new identity had cleared it
        os.close(status)
    with steps.step("limits"):
        limits.set_limits(policy, tasks)
    with steps.step("reach"):
        _require_reach(shown, as_root and policy.tier != "C")
        os.chdir(policy.scratch)
    if policy.tier == "C":
        return LockReport(policy.tier, 0, 0, 0, steps.took)
    with steps.step("single thread"):
        _require_one_thread()
    with steps.step("landlock"):
        rules = landlock.restrict({path: place.rights for path, place in shown.items()}, version=version)
    with steps.step("seccomp"):
        program = seccomp.program(
            platform.machine(),
            os.getpid(),
            subprocess=policy.subprocess,
            any_ioctl=policy.gpu,
            keep_files=policy.keeps_files,
        )
        seccomp.install(program)
    return LockReport(policy.tier, version, rules, len(program) // 8, steps.took)


class _Steps:
    """Names the step that fails, and times each.

    Args:
        plugin: Whose lock it is, where that is known.
    """

    def __init__(self, plugin: str | None = None) -> None:
        self._plugin = plugin
        self.took: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        except LockError:
            raise
        except (OSError, ValueError) as error:
            raise LockError(name, str(error), hint=_hint(name, error), plugin=self._plugin) from error
        self.took[name] = round((time.perf_counter() - began) * 1000, 3)


def _begin(steps: _Steps, parent_pid: int, tier: Tier, birth: namespaces.Birth | None) -> int:
    """A session of its own, and at tier A the ids; gives what `limits.die_with_parent` reads."""
    with steps.step("session"):
        if os.getsid(0) != os.getpid():
            os.setsid()
        status = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
        limits.die_with_parent(parent_pid, status)
        os.umask(0o077)
        os.chdir("/")  # nobody keeps a directory of the old root as the working directory
    with steps.step("single thread"):
        _require_one_thread()
    if tier == "A":
        with steps.step("namespaces"):
            if birth is None:
                raise OSError(errno.ECHILD, "the process was not forked into namespaces of its own")
            if not limits.is_root():
                namespaces.keep_ids(*birth.ids)
    return status


def _root(policy: SandboxPolicy, user_namespace: int) -> namespaces.Root:
    shown, links = places(policy)
    return namespaces.Root({path: shown[path] for path in shown if path != policy.scratch}, links, user_namespace)


def _extended(root: namespaces.Root, policy: SandboxPolicy) -> namespaces.Root:
    beyond = beyond_base(policy)
    if beyond is None:
        raise ValueError("this policy shows the system otherwise than this process has it")
    root.add({path: beyond[path] for path in beyond if path != policy.scratch}, places(policy)[1])
    return root


def prepare() -> None:
    """Do once, in the process that workers are forked from, what each lock would do again."""
    machine = platform.machine()
    for choice in (False, True):
        for network in (False, True):
            system_places(choice, network, False)
        seccomp.program(machine, 1, keep_files=choice)
    seccomp.program(machine, 1, subprocess=True)
    base_places()
    limits.prctl_of_libc()
    _set_environment("/", "1", "")  # most of it is every worker's
    landlock.abi()


def _close_all_but(keep: Sequence[int], for_now: Sequence[int]) -> None:
    """Close every other descriptor, but for those that the lock itself uses up, or -1."""
    for descriptor in keep:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, f"descriptor {descriptor} is a directory, from which files could be opened")
    first = 0
    for descriptor in sorted({*keep, *for_now} - {-1}):
        if descriptor > first:
            call("close_range", first, descriptor - 1, 0)
        first = descriptor + 1
    call("close_range", first, _LAST_DESCRIPTOR, 0)
    for standard in {0, 1, 2}.difference(keep):
        null = os.open(os.devnull, os.O_RDWR)
        if null != standard:
            os.dup2(null, standard)
            os.close(null)
        os.set_inheritable(standard, True)


def _set_environment(scratch: str, threads: str, path: str) -> None:
    wanted = {
        "USER": "proxima",
        "LOGNAME": "proxima",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": path,
        "HOME": scratch,
        "TMPDIR": scratch,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    there = dict(os.environ)
    for name in there.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if there.get(name) != value:
            os.environ[name] = value
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # it remembers the directory it found first


def _require_one_thread() -> None:
    try:
        count = len(os.listdir("/proc/self/task"))
    except FileNotFoundError:  # tier A has no /proc, but may unshare: nothing but that there be no other thread
        call("unshare", _CLONE_THREAD)
        return
    if count != 1:
        raise OSError(errno.EBUSY, f"this process has {count} threads")


def _require_reach(shown: Mapping[str, Place], as_root: bool) -> None:
    for path, place in shown.items():
        if place.owned and not os.access(path, os.R_OK | (os.W_OK if place.writable else 0)):
            who = f"the unprivileged user {limits.UNPRIVILEGED}, which a worker of root becomes," if as_root else "it"
            closed = limits.first_closed(path) if as_root else None
            raise LockError(
                "reach",
                f"{who} cannot {'write' if place.writable else 'read'} {path}"
                + (f": {closed} is closed to other users" if closed else ""),
                hint="Run Proxima as an ordinary user, or install Python, Proxima and plugins where every user may "
                "read them, such as below /opt or /usr/local."
                if as_root
                else "Check that it is there and who may read it.",
            )


def _hint(step: str, error: Exception) -> str | None:
    number = getattr(error, "errno", None)
    if step == "single thread" or (step == "namespaces" and number == errno.EINVAL):
        return "A thread was started before the lock, or the kernel lacks a kind of namespace."
    if step == "namespaces":
        return "This host does not allow namespaces any more; `proxima doctor` says why."
    if step == "identity":
        return "Run Proxima as an ordinary user, or let root keep CAP_SETUID, CAP_SETGID and CAP_CHOWN."
    if step in ("landlock", "seccomp", "view"):
        return "`proxima doctor` says what this host can enforce."
    return None
