"""The host's disk: what a plugin fills, keeps locked, or leaves behind. Judged outside the worker."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

from outside import Stopped, through, tried, within

QUOTA = 4 << 20


def _beyond_the_quota(arena: Any, name: str, body: str) -> str:
    """Has a plugin take four times what it may, and hold it until somebody looks."""
    from proxima.errors import ProximaError

    arena.limits = {"scratch_bytes": QUOTA, "wall_seconds": 12.0}
    arena.plugin(name, f"def act(arguments):\n{body}    time.sleep(8)\n    return 'held'\n")
    try:
        said = arena.call(name)
    except ProximaError as error:
        # At its next look the kernel ends it, or the file system had no more to give.
        if getattr(error, "limit", "") == "scratch_bytes" or "scratch_bytes" in str(error):
            raise Stopped(str(error)) from error
        raise
    finally:
        arena.limits = {}
        arena.end(name)
    return said


def disk_beyond_the_quota_in_one_file(arena: Any) -> str:
    return _beyond_the_quota(arena, "heaper", f"    open('f', 'wb').write(bytes({4 * QUOTA}))\n")


def disk_beyond_the_quota_in_unlinked_files(arena: Any) -> str:
    body = (
        "    kept = []\n    for n in range(8):\n"
        "        kept.append(open(f'f{n}', 'wb')); os.unlink(f'f{n}')\n"
        f"        kept[-1].write(bytes({QUOTA // 2})); kept[-1].flush()\n"
    )
    return _beyond_the_quota(arena, "hoarder", body)


def disk_beyond_the_quota_in_many_files(arena: Any) -> str:
    body = f"    for n in range({4 * QUOTA // 4096}): open(f'{{n}}', 'w').close()\n"
    return _beyond_the_quota(arena, "strewer", body)


def disk_beyond_the_quota_where_it_cannot_be_seen(arena: Any) -> str:
    """In a directory that can be written to and not be listed, not by the kernel's user either."""
    body = f"    os.mkdir('d', 0o300)\n    open('d/f', 'wb').write(bytes({4 * QUOTA}))\n"
    return _beyond_the_quota(arena, "hider", body)


def disk_beyond_the_quota_too_deep_to_be_seen(arena: Any) -> str:
    """Below more directories than a path can name."""
    down = "    for _ in range(500): os.mkdir('directory'); os.chdir('directory')\n"
    body = f"{down}    open('f', 'wb').write(bytes({4 * QUOTA}))\n"
    return _beyond_the_quota(arena, "digger", body)


def control_disk(arena: Any) -> str:
    files = []
    for n in range(8):
        files.append(open(f"f{n}", "wb"))  # noqa: SIM115 - it is to stay open
        os.unlink(f"f{n}")
        files[-1].write(bytes(QUOTA // 2))
        files[-1].flush()
    return through(sum(os.fstat(file.fileno()).st_blocks * 512 for file in files) >= 4 * QUOTA, "nobody counts")


def record_that_fills_the_disk(arena: Any) -> str:
    """Every denial is recorded; a plugin asks for what it is denied, by long names, as fast as it can."""
    body = """
from conversation import peer
def act(arguments):
    kernel, asked, end = peer(), 0, time.monotonic() + 1.0
    while asked < 100 or (asked < 600 and time.monotonic() < end):
        try: kernel.call_for_fds("files.open", (f"/{asked}" + "/long" * 700, "r"), 1, returns=None)
        except PermissionError: asked += 1
    return str(asked)
"""
    arena.plugin("grumbler", body)
    asked = int(arena.call("grumbler"))
    arena.end("grumbler")
    rows = arena.kernel.permissions.audit.search(plugin="grumbler", limit=10_000)
    size = sum(len(str(row)) for row in rows)
    tried(asked >= 100 and rows, f"{asked} denials")
    if size > 256 << 10:
        return f"{asked} denials became {len(rows)} rows of {size:,} characters"
    raise Stopped(f"{asked} denials became {len(rows)} rows of {size:,} characters")


def link_followed_when_scratch_is_removed(arena: Any) -> str:
    """Links, however they got there, to a directory outside."""
    outside = arena.root / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "kept").touch()
    mode = outside.stat().st_mode
    arena.plugin("linker")
    arena.tool("linker")
    scratch = arena.supervisor.running("linker").policy.scratch
    os.mkdir(f"{scratch}/sub")
    for name in ("link", "sub/link", "sub/..\n", "sub/\udcff"):
        os.symlink(str(outside), f"{scratch}/{name}")
    os.symlink(str(outside / "kept"), f"{scratch}/file")
    arena.end("linker")
    if not (outside / "kept").exists() or outside.stat().st_mode != mode or os.path.lexists(scratch):
        return "followed, or left behind"
    raise Stopped("the links were removed, not followed")


def control_link_followed_when_scratch_is_removed(arena: Any) -> str:
    outside = arena.root / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    os.symlink(outside, f"{arena.host.scratch}/link")
    subprocess.run(["find", "-L", arena.host.scratch, "-type", "f", "-delete"], check=True)
    return through(not (outside / "kept").exists(), "followed")


def scratch_that_cannot_be_removed(arena: Any) -> str:
    """Odd names, closed directories, and a path longer than paths may be."""
    from proxima.errors import ProximaError

    body = """
def act(arguments):
    top = os.getcwd()
    for name in (b'\\xff\\xfe', b'new\\nline', b'-rf', b'x' * 255): open(name, 'w').close()
    os.mkdir('closed'); os.mkdir('closed/in'); open('closed/in/f', 'w').close()
    os.mkdir('none', 0)
    for _ in range(500): os.mkdir('directory'); os.chdir('directory')
    return str(len(set(os.listdir(top)) - {'.removed'}))
"""
    arena.plugin("burrower", body)
    tool = arena.tool("burrower")
    scratch = arena.supervisor.running("burrower").policy.scratch
    try:
        made = tool.call({}).text
    except ProximaError as error:  # the kernel looked meanwhile, and what it cannot see counts as too much
        tried(getattr(error, "limit", "") == "scratch_bytes" or "scratch_bytes" in str(error), str(error))
    else:
        tried(made == "7", f"it made {made} of 7 things")
    arena.end("burrower")
    if not within(5, lambda: not os.path.lexists(scratch)):
        return f"{scratch} stays"
    raise Stopped("all of it is gone")


def core_file(arena: Any) -> str:
    from proxima.errors import ProximaError

    arena.plugin("crasher", "def act(arguments): ctypes.string_at(0)")
    tool = arena.tool("crasher")
    worker = arena.supervisor.running("crasher")
    limits = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
    (limit,) = [line.split()[4:6] for line in limits if line.startswith("Max core")]
    try:
        tool.call({})
    except ProximaError as error:
        tried("SIGSEGV" in str(error), str(error))
        said = str(error)
    else:
        raise RuntimeError("it did not crash")
    found = [str(path) for place in (arena.root / "cwd", Path(arena.host.workspace)) for path in place.glob("core*")]
    if found or limit != ["0", "0"]:
        return f"{found} {limit}"
    raise Stopped(said)


def control_core_file(arena: Any) -> str:
    """A crash where cores are allowed, which this host's administrator may have forbidden to all."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20 if hard == resource.RLIM_INFINITY else hard, hard))
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    status = os.waitpid(child, 0)[1]
    return through(os.WCOREDUMP(status), "the crash left a core")


def lock_that_stops_the_package_installer(arena: Any) -> str:
    """A lock on a file that a plugin may only read keeps those waiting who lock it to write."""
    path = f"{arena.host.plugin}/data"
    body = (
        "import fcntl\ndef act(arguments):\n    global kept\n"
        f"    kept = open({path!r})\n    fcntl.flock(kept, fcntl.LOCK_EX)\n"
    )
    arena.plugin("locker", body)
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else has it
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    try:
        arena.call("locker")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "a plugin holds a lock on a file that it may only read"
    finally:
        os.close(descriptor)
        arena.end("locker")
    raise Stopped("the lock was not held")


def control_lock(arena: Any) -> str:
    path = f"{arena.host.plugin}/data"
    reader, writer = os.open(path, os.O_RDONLY), os.open(path, os.O_RDWR)
    fcntl.flock(reader, fcntl.LOCK_EX)
    try:
        fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "who only reads it keeps the writer out"
    raise Stopped("the lock was not held")
