"""What one plugin's process may touch: permissions turned into paths, hosts and limits, as pure data.

The kernel compiles a policy, and from that the lock of a worker (`proxima.sandbox.linux.lock`), which never sees it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, get_args

from proxima.errors import UsageError

if TYPE_CHECKING:
    from proxima.paths import Paths
    from proxima.permissions.grammar import Permission

Tier = Literal["A", "B", "C"]

MAX_PATHS = 1000
MAX_ENTRIES = 100_000
"""The most entries that a scratch directory may have."""
_MAX_PATH = 4096
_MAX_INTEGER = 1 << 62

# Granting one of these would grant what lies beneath: other people's files, sockets, devices, processes.
_NEVER = ("/", "/boot", "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr", "/var", "/var/tmp")
_NEVER_BENEATH = ("/proc", "/sys", "/dev", "/run", "/var/run")
_NEVER_WRITTEN = ("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/sbin", "/usr")
# fmt: off
_SECRETS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pgpass", ".git-credentials", ".npmrc",
    ".pypirc", ".password-store", ".mozilla", ".config/gh", ".config/gcloud", ".config/google-chrome",
    ".config/chromium", ".local/share/keyrings", ".local/share/kwalletd", ".bash_history", ".zsh_history",
    ".python_history",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one plugin may use up.

    Attributes:
        memory_bytes: Address space.
        cpu_seconds: Processor time of all its threads together.
        wall_seconds: Time of one call; the kernel's watch, not the lock's.
        open_files: Descriptors.
        file_bytes: Size of one file.
        scratch_bytes: Size of the scratch directory: at tier A of a file system in memory; else the kernel's watch.
        processes: Processes it may start beside its own; threads are not processes.
    """

    memory_bytes: int = 8 << 30
    cpu_seconds: int = 3600
    wall_seconds: float = 3600
    open_files: int = 256
    file_bytes: int = 1 << 30
    scratch_bytes: int = 2 << 30
    processes: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kinds = (int, float) if each.name == "wall_seconds" else (int,)
            least = 0 if each.name == "processes" else 1e-3 if each.name == "wall_seconds" else 1
            if type(value) not in kinds or not least <= value <= _MAX_INTEGER:
                raise UsageError(f"limit {each.name}: {value!r} is not a number from {least} to 2^62")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPolicy:
    """What one worker may do; everything not named is refused.

    Attributes:
        plugin: The plugin's id.
        tier: A: namespaces and B. B: Landlock, seccomp and limits. C: a separate process, which is no boundary.
        read: Absolute files and directories, without symbolic links in them, that the worker may read.
        write: Those it may also write.
        covered: Those in what it may write that it may not, and need not read.
        import_paths: Directories that join `sys.path` after the lock; readable.
        scratch: Its private directory: working directory, `HOME` and `TMPDIR`; readable and writable.
        network: What it may ask the kernel to connect to, as the permission grammar writes it; an empty string is
            any public host. The worker itself has no sockets.
        subprocess: Whether it may start programs; tier A only.
        gpu: Whether it may use graphics devices, whose drivers are outside the promise.
        limits: What it may use up.
        threads: The number of threads that numerical libraries are told to use.
    """

    plugin: str
    tier: Tier
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    import_paths: tuple[str, ...] = ()
    scratch: str
    network: tuple[str, ...] = ()
    subprocess: bool = False
    gpu: bool = False
    limits: Limits = field(default_factory=Limits)
    threads: int = 1

    def __post_init__(self) -> None:
        if type(self.plugin) is not str or not self.plugin.isprintable() or not 0 < len(self.plugin) <= 200:
            raise UsageError(f"sandbox policy: {self.plugin!r} is not a plugin id")
        if self.tier not in get_args(Tier):
            raise UsageError(f"sandbox policy: there is no tier {self.tier!r}")
        for name in ("read", "write", "covered", "import_paths", "network"):
            value = getattr(self, name)
            if type(value) is not tuple or len(value) > MAX_PATHS or any(type(each) is not str for each in value):
                raise UsageError(f"sandbox policy: {name} is not a tuple of at most {MAX_PATHS} texts")
        for path in (*self.read, *self.covered, *self.import_paths):
            _check_path(path, written=False)
        for path in (*self.write, self.scratch):
            _check_path(path, written=True)
        for path in self.write:
            if any(is_beneath(each, path) for each in self.import_paths):
                raise UsageError(f"sandbox policy: {path} would let the plugin write what it imports")
        for name in ("subprocess", "gpu"):
            if type(getattr(self, name)) is not bool:
                raise UsageError(f"sandbox policy: {name} is not true or false")
        if self.subprocess and self.tier != "A":
            raise UsageError(
                f"plugin {self.plugin} runs programs, which needs isolation tier A; this is tier {self.tier}",
                hint="Run `proxima doctor` to see what this host lacks, or revoke `subprocess`.",
            )
        if type(self.limits) is not Limits:
            raise UsageError("sandbox policy: limits is not a Limits")
        if type(self.threads) is not int or not 1 <= self.threads <= 4096:
            raise UsageError(f"sandbox policy: threads: {self.threads!r} is not a number from 1 to 4096")

    @property
    def keeps_files(self) -> bool:
        """Whether the worker may not remove files: at tier B, where only what a directory shows can be measured.

        One that may write to the user's own directories is not held to a quota there, and may.
        """
        return self.tier == "B" and not self.write


def compile_policy(
    plugin: str,
    granted: Iterable[Permission],
    *,
    import_paths: Sequence[str],
    scratch: str,
    workspace: str | None,
    paths: Paths,
    limits: Limits,
    tier: Tier,
    threads: int,
) -> SandboxPolicy:
    """Turn what a plugin was granted into its policy.

    `file_read:all` and `file_write:all` open no path here: Landlock has no way to leave out the home directory's
    secrets, so such a plugin asks the kernel for each file. A path that is not there is left out.

    Args:
        plugin: The plugin's id.
        granted: Its permissions.
        import_paths: Where its code and its dependencies lie; symbolic links are followed.
        scratch: Its private directory, which exists.
        workspace: The directory that `file_read:workspace` means, or None.
        paths: Proxima's own directories, which are never granted.
        limits: What it may use up.
        tier: What this host enforces.
        threads: How many threads numerical libraries may use.

    Raises:
        UsageError: a permission asks for a place that is never granted.
    """
    read: set[str] = set()
    write: set[str] = set()
    covered: set[str] = set()
    network: list[str] = []
    kinds: set[str] = set()
    for permission in granted:
        kinds.add(permission.kind)
        if permission.kind == "network":
            network.append(permission.value)
        elif permission.kind in ("file_read", "file_write") and permission.value != "all":
            try:
                scoped = permission.within(workspace).value
                place = os.path.realpath(scoped)
            except ValueError as error:  # a null character, or one that no file system has
                raise UsageError(f"plugin {plugin}: {permission!s:.200}: not a path: {error}", plugin=plugin) from None
            if scoped == "workspace":
                raise UsageError(
                    f"plugin {plugin}: {permission}: there is no workspace that may be granted",
                    hint="Run Proxima in a directory below your home directory.",
                    plugin=plugin,
                )
            if not os.path.isabs(scoped):
                raise UsageError(f"plugin {plugin}: {permission}: not an absolute path", plugin=plugin)
            refuse_sensitive(place, str(permission), paths)
            if not os.path.exists(place):
                continue
            if permission.kind == "file_write":
                write.add(place)
                covered.update(_code_beneath(place, str(permission), tier))
            else:
                read.add(place)
    return SandboxPolicy(
        plugin=plugin,
        tier=tier,
        read=tuple(sorted({*runtime_paths(), *read})),
        write=tuple(sorted(write)),
        covered=tuple(sorted(covered)),
        import_paths=tuple(dict.fromkeys(os.path.realpath(path) for path in import_paths if os.path.exists(path))),
        scratch=os.path.realpath(scratch),
        network=tuple(sorted(set(network))),
        subprocess="subprocess" in kinds,
        gpu="gpu" in kinds,
        limits=limits,
        threads=threads,
    )


def refuse_sensitive(place: str, text: str, paths: Paths) -> None:
    """Refuse a place that is, contains or lies in what no plugin is ever granted.

    Args:
        place: Absolute, without symbolic links.
        text: The permission, for the message.
        paths: Proxima's own directories.

    Raises:
        UsageError: it is one.
    """
    from proxima.paths import user_home

    home = os.path.realpath(user_home())
    own = [os.path.realpath(each) for each in (paths.config, paths.data, paths.state, paths.cache)]
    secrets = [os.path.realpath(os.path.join(home, name)) for name in _SECRETS]
    for hidden in (home, *own, *secrets):
        if is_beneath(hidden, place):
            raise UsageError(
                f"permission {text!r}: {place} is or contains {hidden}, which is never granted",
                hint="Name a directory further down.",
            )
    for hidden in (*own, *secrets):
        if is_beneath(place, hidden):
            raise UsageError(f"permission {text!r}: {place} is in {hidden}, which is never granted")


def refuse_file(place: str, text: str, paths: Paths, *, written: bool) -> None:
    """Refuse a file that no permission opens, `file_read:all` and `file_write:all` included.

    Raises:
        UsageError: it is a secret, Proxima's own, the system's view of itself, or code that Proxima imports.
    """
    refuse_sensitive(place, text, paths)
    hidden = [each for each in ("/proc", "/sys", "/dev") if is_beneath(place, each)]
    hidden += [each for each in _imported() if written and is_beneath(place, each)]
    if hidden:
        raise UsageError(f"permission {text!r}: {place} is in {hidden[0]}, which is never granted")


def runtime_paths() -> tuple[str, ...]:
    """What every worker reads to run at all: the standard library, numpy, msgpack and Proxima's contracts."""
    import importlib.util
    import sysconfig

    found = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    for name in ("proxima", "proxima_sdk", "numpy", "msgpack"):
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            found += [place, f"{place}.libs"]  # shared libraries that a wheel brings lie beside its package
    library = sysconfig.get_config_var("LIBDIR")
    # A conda or standalone Python keeps the libraries that extension modules link against in its own prefix.
    if library and not is_beneath(library, "/usr") and os.path.basename(library) == "lib":
        found.append(library)
    real = sorted({os.path.realpath(path) for path in found if path and os.path.exists(path)})
    return tuple(path for path in real if not any(is_beneath(path, other) for other in real if other != path))


def _code_beneath(place: str, text: str, tier: Tier) -> set[str]:
    """The kernel's own code in a place that may be written, to be laid over it read-only.

    Who can write there runs in the kernel at its next start, by a `.pth` file for one. Tier A covers the directory
    with a read-only mount; a mount can only stand in for a direct child, because its parent could be renamed.

    Raises:
        UsageError: it cannot be covered.
    """
    within = {each for each in _imported() if is_beneath(each, place)}
    tops = {each for each in within if not any(is_beneath(each, other) for other in within if other != each)}
    for each in tops:
        if tier != "A" or os.path.dirname(each) != place:
            raise UsageError(
                f"permission {text!r}: {place} is or contains {each}, which Proxima itself imports from",
                hint="Keep the Python environment outside the directory that plugins may write.",
            )
    return tops


def _imported() -> set[str]:
    """Where the kernel's own code comes from."""
    return {os.path.realpath(each or os.curdir) for each in (*sys.path, sys.prefix, sys.exec_prefix, sys.base_prefix)}


def is_beneath(path: str, directory: str) -> bool:
    """Whether a normalised path is a directory or lies in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _check_path(path: str, *, written: bool) -> None:
    why = None
    if type(path) is not str or len(path) > _MAX_PATH or "\0" in path:
        why = "is not a path"
    elif not path.startswith("/") or path.startswith("//") or os.path.normpath(path) != path:
        why = "is not an absolute path in its shortest form"
    elif path in _NEVER or any(is_beneath(path, each) for each in _NEVER_BENEATH):
        why = "is never granted"
    elif written and any(is_beneath(path, each) for each in _NEVER_WRITTEN):
        why = "is never granted for writing"
    if why:
        raise UsageError(f"sandbox policy: {path!r} {why}")
