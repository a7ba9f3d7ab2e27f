"""Rows that are judged outside the worker: what runs before the lock, what the kernel reads, what stays afterwards.

Each returns what got through, or raises `Stopped`. A `control_` does the same where nothing holds it, in a child.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Stopped(Exception):
    """The attempt failed, and why."""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# The moments before the lock.


def import_time_code(arena: Any) -> str:
    body = f"try: stolen = open({arena.host.key!r}).read()\nexcept OSError as error: stolen = ''\n"
    arena.plugin("early", body + "def act(arguments): return stolen")
    if stolen := arena.call("early"):
        return str(stolen)
    raise Stopped("it was imported after the lock")


def control_import_time_code(arena: Any) -> str:
    path = Path(arena.host.workspace) / "early.py"
    path.write_text(f"stolen = open({arena.host.key!r}).read()\n")
    sys.path.insert(0, str(path.parent))
    import early

    return str(early.stolen)


_THREAD = """
import json, os, sys, threading
sys.path[:0] = json.loads(sys.argv[2])
from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import landlock
from proxima.sandbox.linux.lock import lock
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import SandboxPolicy, runtime_paths
key, how, scratch = sys.argv[1], sys.argv[3], sys.argv[4]
go, got = threading.Event(), []
def steal():
    go.wait()
    try: got.append(open(key).read())
    except OSError as error: got.append("")
thread = threading.Thread(target=steal, daemon=True)
thread.start()
try:
    if how == "landlock alone":
        call("prctl", 38, 1, 0, 0, 0)
        landlock.restrict({}, version=landlock.abi())
    else:
        parent = os.getppid()
        lock(SandboxPolicy(plugin="x", tier=how, scratch=scratch, read=runtime_paths()), [1, 2], parent_pid=parent)
except LockError as error:
    print("refused", error.step)
    os._exit(0)
go.set()
thread.join()
print("stolen" if got[0] else "nothing")
"""


def _thread(arena: Any, how: str) -> str:
    paths = json.dumps([each for each in sys.path if each])
    words = [sys.executable, "-c", _THREAD, arena.host.key, paths, how, arena.host.scratch]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    return done.stdout.strip() or done.stderr


def thread_before_the_lock(arena: Any) -> str:
    said = _thread(arena, arena.tier)
    if said == "refused single thread":
        raise Stopped(said)
    return said


def control_thread_before_the_lock(arena: Any) -> str:
    said = _thread(arena, "landlock alone")
    if said != "stolen":
        raise Stopped(said)
    return said


def _lay_traps(arena: Any) -> tuple[Path, dict[str, str]]:
    traps, marks = arena.root / "traps", arena.root / "marks"
    traps.mkdir()
    marks.mkdir()
    mark = "import os, sys; open({!r} + '/' + {!r} + '-' + str(os.getppid()), 'w').close()\n"
    for name in ("sitecustomize", "usercustomize", "numpy", "msgpack", "encodings_x"):
        (traps / f"{name}.py").write_text(mark.format(str(marks), name))
    (traps / "trap.pth").write_text(mark.format(str(marks), "pth"))
    environment = {"PYTHONPATH": str(traps), "PYTHONSTARTUP": str(traps / "numpy.py"), "PYTHONINSPECT": "",
                   "PYTHONUSERBASE": str(traps), "LD_PRELOAD": "", "LD_LIBRARY_PATH": str(traps)}  # fmt: skip
    return marks, environment


def startup_files_and_variables(arena: Any) -> list[str]:
    marks, environment = _lay_traps(arena)
    before, cwd = dict(os.environ), os.getcwd()
    os.environ.update(environment)
    os.chdir(arena.root / "traps")
    try:
        arena.supervisor.zygote._discard()  # the next worker starts a new one, in this environment
        arena.end("other")
        arena.call("other")
        worker = arena.supervisor.running("other")
        arena.host.other_scratch, arena.host.other_pid = worker.policy.scratch, worker.pid
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(cwd)
    if ran := [each.name for each in marks.iterdir()]:
        return ran
    raise Stopped("none of them ran")


def control_startup_files_and_variables(arena: Any) -> list[str]:
    marks, environment = _lay_traps(arena)
    os.chdir(arena.root / "traps")
    subprocess.run([sys.executable, "-c", "import numpy"], env={**os.environ, **environment}, timeout=30)
    return [each.name for each in marks.iterdir()] or [][0]


def plugin_in_a_host_packages_place(arena: Any) -> str:
    """A package named numpy, and one named as the kernel, in the plugin's own directory."""
    for name in ("numpy", "msgpack", "proxima_sdk", "json"):
        package = Path(arena.host.plugin) / name
        package.mkdir()
        (package / "__init__.py").write_text("evil = True\n")
        if arena.as_root:
            package.chmod(0o755)
    try:
        arena.plugin(
            "shadow",
            "import numpy, msgpack, json as j\n"
            "def act(arguments): return str([hasattr(each, 'evil') for each in (numpy, msgpack, j)])",
        )
        said = arena.call("shadow")
    finally:
        for name in ("numpy", "msgpack", "proxima_sdk", "json"):
            (Path(arena.host.plugin) / name / "__init__.py").unlink()
            for each in (Path(arena.host.plugin) / name).glob("**/*.pyc"):
                each.unlink()
            for each in (Path(arena.host.plugin) / name).glob("*"):
                each.rmdir()
            (Path(arena.host.plugin) / name).rmdir()
    if "True" in said:
        return str(said)
    raise Stopped("the host's packages go first")


def control_plugin_in_a_host_packages_place(arena: Any) -> str:
    package = Path(arena.host.plugin) / "msgpack"
    package.mkdir()
    (package / "__init__.py").write_text("evil = True\n")
    words = [sys.executable, "-c", "import msgpack; print(msgpack.evil)"]
    path = os.pathsep.join([arena.host.plugin, *filter(None, sys.path)])
    return subprocess.run(
        words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    ).stdout


# What the kernel reads.


def manifest_that_is_no_file(arena: Any) -> list[str]:
    """A manifest that is a pipe, a link to a secret, endless, or nested without end; and metadata of the same kind."""
    os.mkfifo(arena.plugin("pipe") / "fifo")
    for name in ("pipe", "link", "endless", "nested"):
        package = arena.plugin(name)
        path = package / "proxima-plugin.json"
        path.unlink()
        if name == "pipe":
            os.mkfifo(path)
        elif name == "link":
            path.symlink_to(arena.host.key)
        elif name == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    arena.kernel.registry.__dict__.pop("records", None)
    began = time.monotonic()
    problems = []
    for name in ("pipe", "link", "endless", "nested"):
        record = arena.kernel.registry.get(name)
        error = str(record.error() or "")
        if not error or "secret" in error:
            problems.append(f"{name}: {record.state} {error}")
    if time.monotonic() - began > 5:
        problems.append("it took too long")
    if problems:
        return problems
    raise Stopped("each is a broken plugin, and nothing was shown")


def control_manifest_that_is_no_file(arena: Any) -> str:
    path = Path(arena.host.workspace) / "manifest"
    path.symlink_to(arena.host.key)
    try:
        return str(json.loads(path.read_text()))
    except ValueError as error:
        return str(error.args) + path.read_text()


def two_plugins_of_one_name(arena: Any) -> str:
    """Another distribution that claims a trusted plugin's id must not run in its place, nor with its permissions."""
    arena.plugin("trusted", "def act(arguments): return 'trusted'", permissions=("secrets:ESCAPE",))
    from proxima_sdk.manifest.compile import compiled_text
    from proxima_sdk.manifest.model import check_manifest

    manifest = arena.shop.manifest("trusted2", type="tool", permissions=["secrets:ESCAPE"])
    tool = {"name": "trusted", "class": "plug_trusted2.Act", "description": "x"}
    manifest |= {"name": "trusted", "entry_points": {"tools": [tool]}}
    arena.shop.lay_out(
        "trusted2", distribution="a-thief", compiled=compiled_text(check_manifest(manifest, source="trusted")),
        points="[proxima.plugins]\ntrusted = plug_trusted2:plugin\n",
    )  # fmt: skip
    body = """
def act(arguments):
    import gc
    from proxima.sandbox.rpc import Peer
    (peer,) = [each for each in gc.get_objects() if isinstance(each, Peer)]
    return peer.call("secrets.get", ("ESCAPE",))
"""
    from proxima.errors import ProximaError

    code = (Path(arena.host.plugin) / "plug_trusted" / "__init__.py").read_text().replace('return "trusted"', "")
    thief = Path(arena.host.plugin) / "plug_trusted2"
    (thief / "__init__.py").write_text(code.replace("class Act:", body + "\nclass Act:"))
    if arena.as_root:
        for path in (thief, *Path(arena.host.plugin).glob("a_thief-*")):
            path.chmod(0o755)
    arena.kernel.registry.__dict__.pop("records", None)
    try:
        said = arena.call("trusted")
        if said == "secret":
            return "it was given the other one's secret"
    except ProximaError as error:
        said = str(error)
    finally:
        for path in (*Path(arena.host.plugin).glob("a_thief-*/*"), *Path(arena.host.plugin).glob("a_thief-*")):
            path.rmdir() if path.is_dir() else path.unlink()
        arena.kernel.registry.__dict__.pop("records", None)
        arena.end("trusted")
    raise Stopped(said)


def settings_of_a_workspace(arena: Any) -> str:
    """A worker may write the workspace; settings that it leaves there must not free it from the sandbox."""
    from proxima.kernel import Kernel
    from proxima.sandbox.isolation import place_of

    os.chdir(arena.host.workspace)
    Path("proxima.toml").write_text(
        '[isolation]\ndefault = "in-process"\nhostile = "in-process"\nallow_tier_c = true\n'
    )
    before = os.environ.pop("PROXIMA_SETTING__ISOLATION__DEFAULT", None)
    try:
        with Kernel(paths=arena.kernel.paths) as kernel:
            kernel.registry.path = [arena.host.plugin]
            record = kernel.registry.get("hostile")
            trusting = place_of(record, kernel.isolation._settings)
    finally:
        if before is not None:
            os.environ["PROXIMA_SETTING__ISOLATION__DEFAULT"] = before
        Path("proxima.toml").unlink()
        os.chdir(f"{arena.base}/cwd")
    if trusting != "worker":
        return trusting
    raise Stopped("a workspace's settings say nothing about isolation")


def grants_that_are_too_broad(arena: Any) -> list[str]:
    from proxima.errors import UsageError
    from proxima.permissions import Permission
    from proxima.sandbox.policy import Limits, compile_policy

    through = []
    link = f"{arena.host.workspace}/to-data"
    if not os.path.lexists(link):
        os.symlink(arena.kernel.paths.data, link)
    for text in (
        "file_read:/", "file_read:/etc", "file_write:/tmp", "file_read:/proc/1", "file_read:/home", "file_read:/root",
        f"file_read:{arena.kernel.paths.data}", f"file_write:{link}", f"file_write:{arena.kernel.paths.config}",
        f"file_read:{os.path.dirname(arena.kernel.paths.data)}", f"file_write:{arena.host.plugin}",
        f"file_write:{sys.prefix}", "file_read:/run", "file_read:/dev", f"file_write:{arena.host.workspace}/../proxima",
        f"file_read:{os.path.expanduser('~')}", f"file_read:{os.path.expanduser('~/.ssh')}",
    ):  # fmt: skip
        try:
            policy = compile_policy(
                "x", [Permission.parse(text)], import_paths=[arena.host.plugin], scratch=arena.host.scratch,
                workspace=arena.host.workspace, paths=arena.kernel.paths, limits=Limits(), tier=arena.tier, threads=1,
            )  # fmt: skip
        except UsageError:
            continue
        real = os.path.realpath(text.partition(":")[2])
        if real in policy.read + policy.write:
            through.append(text)
    os.unlink(link)
    if through:
        return through
    raise Stopped("each was refused")


def control_grants_that_are_too_broad(arena: Any) -> list[str]:
    return os.listdir("/etc")


def file_swapped_for_a_link(arena: Any) -> str:
    """A file in the workspace becomes a link to a secret again and again while the kernel opens it for the plugin."""
    from proxima.errors import ProximaError
    from proxima.sandbox.filebroker import FileBroker

    broker = FileBroker(arena.kernel.permissions)
    path = f"{arena.host.workspace}/swapped"
    refused = opened = 0
    why = ""
    with Swapping(path, arena.host.key):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                descriptor = broker.open("hostile", path)
            except (ProximaError, OSError) as error:
                refused, why = refused + 1, str(error)
                continue
            opened += 1
            with os.fdopen(descriptor) as file:
                if (got := file.read()) != "harmless":
                    return got
    if not opened or not refused:
        raise RuntimeError(f"this tried nothing: {opened} opened, {refused} refused: {why}")
    raise Stopped(f"{opened} opened, {refused} refused, never the secret")


def control_file_swapped_for_a_link(arena: Any) -> str:
    path = f"{arena.host.workspace}/swapped"
    with Swapping(path, arena.host.key):
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                if os.path.realpath(path) == path:
                    got = Path(path).read_text()
                    if got != "harmless":
                        return got
            except OSError:
                continue
    raise Stopped("the race was never won")


class Swapping:
    def __init__(self, path: str, target: str) -> None:
        words = (
            "import os, sys\npath, target = sys.argv[1:]\n"
            "while True:\n"
            "    open(path + '.f', 'w').write('harmless'); os.replace(path + '.f', path)\n"
            "    for _ in range(200): os.stat(path)\n"
            "    os.symlink(target, path + '.l'); os.replace(path + '.l', path)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", words, path, target], stderr=subprocess.DEVNULL
        )
        while not os.path.lexists(path):
            time.sleep(0.005)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def act_in_anothers_name(arena: Any) -> list[str]:
    """A plugin that was granted a secret, and one that was not and says it is the first."""
    arena.plugin("rich", permissions=("secrets:ESCAPE",))
    body = """
def act(arguments):
    import gc
    from proxima.sandbox.rpc import Peer
    (peer,) = [each for each in gc.get_objects() if isinstance(each, Peer)]
    peer._plugin = "rich"
    got = []
    for arguments in (("ESCAPE",), ("ESCAPE", "rich"), ("rich", "ESCAPE"), {"plugin": "rich", "name": "ESCAPE"}):
        try: got.append(peer.call("secrets.get", arguments))
        except Exception as error: pass
    return json.dumps(got)
"""
    arena.plugin("poor", body)
    from proxima.errors import ProximaError

    try:
        got = json.loads(arena.call("poor"))
    except ProximaError as error:
        raise Stopped(str(error)) from error
    if got:
        return list(got)
    raise Stopped("the kernel goes by the channel that a request came by")


def escapes_for_a_terminal(arena: Any) -> str:
    """What a plugin says where the command line shows it: errors, output, and its answers."""
    from proxima.cli.output import clean
    from proxima.errors import ProximaError

    arena.plugin(
        "painter",
        "def act(arguments):\n    print('\\x1b]0;x\\x07\\x1b[2J', flush=True)\n"
        "    raise ValueError('\\x1b[2J\\x9b2J\\u202e')",
    )
    try:
        arena.call("painter")
        raise RuntimeError("it did not raise")
    except ProximaError as error:
        shown = clean(str(error))
    shop = arena.shop.proxima("plugin", "list")
    text = shown + shop.stdout + shop.stderr
    if any(not (c.isprintable() or c == "\n") for c in text):
        return repr(text)
    raise Stopped("escaped where it is shown")


def control_escapes_for_a_terminal(arena: Any) -> str:
    text = str(ValueError("\x1b[2J"))
    return text if not text.isprintable() else [][0]


def buffer_changed_after_the_check(arena: Any) -> str:
    body = """
import numpy
def act(arguments):
    from proxima.sandbox.shm import MappedBuffers
    import gc
    def scribble():
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            for each in gc.get_objects():
                if isinstance(each, MappedBuffers):
                    for buffer in list(each._buffers.values()):
                        buffer.memory[:8192] = b"\\x41" * 8192
            time.sleep(0)
    threading.Thread(target=scribble, daemon=True).start()
    return ToolResult("x", data=numpy.zeros(1 << 18))
"""
    arena.plugin("scribbler", body)
    array = arena.tool("scribbler").call({}).data
    before = array.copy()
    time.sleep(0.3)
    if (array != before).any():
        return "changed under the kernel"
    raise Stopped("the kernel has a copy of its own")


def control_buffer_changed_after_the_check(arena: Any) -> str:
    memory = _memory()
    child = os.fork()
    if child == 0:
        memory[0] = 65
        os._exit(0)
    checked = memory[0]
    os.waitpid(child, 0)
    return f"{checked} became {memory[0]}" if memory[0] != 0 else [][0]


def _memory() -> mmap.mmap:
    descriptor = os.memfd_create("x")
    os.ftruncate(descriptor, 4096)
    return mmap.mmap(descriptor, 4096)


def control_naive_length(arena: Any) -> int:
    with mmap.mmap(-1, 3 << 30) as memory:
        return len(memory)


def control_naive_patience(arena: Any) -> str:
    left, right = socket.socketpair()
    right.settimeout(0.2)
    threading.Thread(target=lambda: [left.send(b"x") or time.sleep(0.1) for _ in range(8)], daemon=True).start()
    began = time.monotonic()
    for _ in range(8):
        right.recv(1)  # each is in time, all together are not
    return f"waited {time.monotonic() - began:.1f} s with a limit of 0.2 s"


def control_naive_pickle(arena: Any) -> object:
    marker = f"{arena.host.scratch}/pickled"
    pickle.loads(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    return os.stat(marker).st_size == 0


def control_naive_descriptors(arena: Any) -> int:
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0] * 100)
    return len(socket.recv_fds(right, 1, 100)[1])


def control_naive_buffer(arena: Any) -> str:
    """Who maps what a stranger sends dies when the stranger cuts it."""
    path = f"{arena.host.scratch}/buffer"
    Path(path).write_bytes(bytes(8192))
    child = os.fork()
    if child == 0:
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8192) as memory:
            os.truncate(path, 0)
            ctypes.string_at(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "SIGBUS" if status == -signal.SIGBUS else [][0]


# What a plugin takes from the host beside data, and what it leaves behind.


def _quota(arena: Any, name: str, body: str, **limits: Any) -> str:
    from proxima.errors import ProximaError

    arena.limits = {"scratch_bytes": 16 << 20, "wall_seconds": 4.0, **limits}
    arena.plugin(name, body)
    try:
        said = arena.call(name)
    except ProximaError as error:
        arena.end(name)
        if getattr(error, "limit", "") == "scratch_bytes":
            raise Stopped(str(error)) from error
        return f"ended for another reason: {error}"
    finally:
        arena.limits = {}
    arena.end(name)
    return said


def disk_beyond_the_quota_in_unlinked_files(arena: Any) -> str:
    return _quota(
        arena, "hoarder",
        "def act(arguments):\n    kept = []\n    for n in range(8):\n"
        "        kept.append(open(f'f{n}', 'wb')); os.unlink(f'f{n}')\n"
        "        kept[-1].write(bytes(8 << 20)); kept[-1].flush()\n    time.sleep(2)\n    return 'held 64 MiB of 16'",
    )  # fmt: skip


def disk_beyond_the_quota_in_many_files(arena: Any) -> str:
    return _quota(
        arena, "strewer",
        "def act(arguments):\n    for n in range(8000):\n        open(f'{n}', 'w').close()\n"
        "    time.sleep(2)\n    return 'made 8000 files'",
    )  # fmt: skip


def disk_beyond_the_quota_where_it_cannot_be_seen(arena: Any) -> str:
    return _quota(
        arena, "hider",
        "def act(arguments):\n    os.mkdir('d')\n    with open('d/f', 'wb') as f: f.write(bytes(64 << 20))\n"
        "    os.mkdir('e', 0); os.rename('d', 'e/d') if os.access('e', 2) else None\n"
        "    time.sleep(2)\n    return 'hid 64 MiB'",
    )  # fmt: skip


def control_disk(arena: Any) -> int:
    files = []
    for n in range(8):
        files.append(open(f"f{n}", "wb"))  # noqa: SIM115
        os.unlink(f"f{n}")
        files[-1].truncate(8 << 20)
    return len(files)


def signals_that_fill_the_users_queue(arena: Any) -> str:
    """Real-time signals that wait count for the user: whoever has too many keeps the user's programs from any."""
    body = """
def act(arguments):
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for _ in range(5000): signal.pthread_kill(threading.get_ident(), signal.SIGRTMIN + 1)
    except BlockingIOError: pass
    time.sleep(0.5)
    return 'sent'
"""
    arena.plugin("pusher", body)
    before = int(_status(os.getpid(), "SigQ").split("/")[0])
    tool = arena.tool("pusher")
    thread = threading.Thread(target=tool.call, args=({},))
    thread.start()
    held, pid = 0, arena.supervisor.running("pusher").pid
    while thread.is_alive():  # what waits is a thread's own and goes with it
        held = max(held, int(_status(pid, "SigQ").split("/")[0]) - before)
        time.sleep(0.01)
    arena.end("pusher")
    if held > 1500:
        return f"{held} wait"
    raise Stopped(f"{held} wait")


def control_signals_that_fill_the_users_queue(arena: Any) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for _ in range(5000):
        os.kill(os.getpid(), signal.SIGRTMIN + 1)
    held = int(_status(os.getpid(), "SigQ").split("/")[0])
    return f"{held} wait" if held > 1500 else [][0]


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise KeyError(name)


def descriptors_that_keep_the_kernel_from_passing_any(arena: Any) -> str:
    """Descriptors in flight count for the user too: four plugins hold what they may, then a fifth is to start."""
    import resource

    from proxima.errors import ProximaError

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    body = """
import array, socket
def act(arguments):
    global pairs
    pairs = [socket.socketpair() for _ in range(20)]
    held = 0
    for left, right in pairs:
        try:
            while held < 2000:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))
                left.sendmsg([b"x"], [rights], socket.MSG_DONTWAIT)
                held += 250
        except OSError: continue
    return str(held)
"""
    names = [f"holder{n}" for n in range(4)]
    for name in names:
        arena.plugin(name, body)
    arena.plugin("fifth", "def act(arguments): return 'started'")
    held = [int(arena.call(name)) for name in names]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # what most users have
    try:
        arena.call("fifth")
    except (ProximaError, OSError) as error:
        return f"{held} in flight, and no other plugin starts: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for name in names:
            arena.end(name)
    raise Stopped(f"{held} in flight")


def control_descriptors(arena: Any) -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    pairs = [socket.socketpair() for _ in range(8)]
    for left, _ in pairs:
        left.setblocking(False)
        socket.send_fds(left, [b"x"], [0] * 250)
    return 2000


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
    return "followed" if not (outside / "kept").exists() else [][0]


def scratch_that_cannot_be_removed(arena: Any) -> str:
    body = """
def act(arguments):
    for name in (b'\\xff\\xfe', b'new\\nline', b'-rf', b'x' * 255): open(name, 'w').close()
    os.mkdir('closed'); os.mkdir('closed/in'); open('closed/in/f', 'w').close()
    os.mkdir('none', 0)
    for _ in range(1200): os.mkdir('d'); os.chdir('d')
    return 'x'
"""
    arena.plugin("digger", body)
    arena.call("digger")
    scratch = arena.supervisor.running("digger").policy.scratch
    arena.end("digger")
    if os.path.lexists(scratch):
        return f"{scratch} stays"
    raise Stopped("all of it is gone")


def control_scratch_that_cannot_be_removed(arena: Any) -> str:
    import shutil

    top = f"{arena.host.scratch}/deep"
    os.mkdir(top)
    os.chdir(top)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(arena.host.scratch)
    try:
        shutil.rmtree(top)
    except (OSError, RecursionError) as error:
        return f"{type(error).__name__}: it stays"
    raise Stopped("this Python's rmtree copes")


def process_that_outlives_the_plugin(arena: Any) -> str:
    body = """
def act(arguments):
    import signal
    for each in range(1, 65):
        try: signal.signal(each, signal.SIG_IGN)
        except (OSError, ValueError): pass
    for _ in range(20): threading.Thread(target=time.sleep, args=(60,)).start()
    return 'x'
"""
    arena.plugin("stayer", body)
    arena.call("stayer")
    worker = arena.supervisor.running("stayer")
    pids = {worker.pid, worker.process.pid}
    arena.end("stayer")
    deadline = time.monotonic() + 1
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left := [pid for pid in pids if not gone(pid)]:
        return f"{left} still run"
    raise Stopped("every process is gone")


def control_process_that_outlives_the_plugin(arena: Any) -> str:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        child = os.fork()
        if child == 0:
            time.sleep(5)
            os._exit(0)
        os.write(writing, struct.pack("i", child))
        os._exit(0)
    os.waitpid(middle, 0)
    (child,) = struct.unpack("i", os.read(reading, 4))
    alive = not gone(child)
    os.kill(child, signal.SIGKILL)
    return "outlives" if alive else [][0]


def daemon_of_a_plugin_that_runs_programs(arena: Any) -> str:
    """With `subprocess` granted: a program that leaves its session is ended with the worker all the same."""
    arena.limits = {"processes": 8}
    arena.plugin(
        "daemon",
        "def act(arguments):\n    import subprocess\n"
        "    return str(subprocess.Popen(['/bin/sh', '-c', 'setsid sleep 47 & exit 0']).wait())",
        permissions=("subprocess",),
    )
    said = arena.call("daemon")
    worker = arena.supervisor.running("daemon")
    waiting = worker.process.pid
    inside: list[int] = []
    deadline = time.monotonic() + 2
    while not inside and time.monotonic() < deadline:
        inside = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _sleeps(pid)]
    if not inside:
        raise RuntimeError(f"this tried nothing: no such process; {said}")
    arena.end("daemon")
    deadline = time.monotonic() + 1
    while not all(map(gone, [waiting, *inside])) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left := [pid for pid in inside if not gone(pid)]:
        return f"{left} still run"
    raise Stopped("ended with its process namespace")


def _sleeps(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x0047\x00"
    except OSError:
        return False


def core_file(arena: Any) -> str:
    from proxima.errors import ProximaError

    arena.plugin(
        "crasher", "def act(arguments):\n    if arguments.get('crash'): ctypes.string_at(0)\n    return os.getcwd()"
    )
    tool = arena.tool("crasher")
    worker = arena.supervisor.running("crasher")
    limit = Path(f"/proc/{worker.pid}/limits").read_text() if arena.as_root else ""
    try:
        tool.call({"crash": True})
        raise RuntimeError("it did not crash")
    except ProximaError as error:
        said = str(error)
    found = [str(path) for place in (arena.root / "cwd", Path(arena.host.workspace)) for path in place.glob("core*")]
    cores = [line for line in limit.splitlines() if line.startswith("Max core") and line.split()[4:6] != ["0", "0"]]
    if found or cores:
        return f"{found} {cores}"
    raise Stopped(said)


def control_core_file(arena: Any) -> int:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        raise Stopped("this host allows no core files at all")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    return hard


def flag_of_a_shared_pipe(arena: Any) -> str:
    """A worker sets flags on its output; those of the kernel's end, which is another description, must not change."""
    arena.plugin(
        "flagger",
        "def act(arguments):\n    import fcntl\n    for fd in (1, 2):\n"
        "        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\n    return 'x'",
    )
    arena.call("flagger")
    arena.end("flagger")
    flags = fcntl.fcntl(0, fcntl.F_GETFL) | fcntl.fcntl(2, fcntl.F_GETFL)
    if flags & os.O_NONBLOCK:
        return "the kernel's own streams became non-blocking"
    raise Stopped("the worker has pipes of its own")


def control_flag_of_a_shared_pipe(arena: Any) -> str:
    _reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.set_blocking(writing, False)
        os._exit(0)
    os.waitpid(child, 0)
    return "the parent's descriptor became non-blocking" if not os.get_blocking(writing) else [][0]


def record_that_fills_the_disk(arena: Any) -> str:
    """Every denial is recorded; a plugin asks for what it is denied, by long names, as fast as it can."""
    body = """
def act(arguments):
    import gc
    from proxima.sandbox.rpc import Peer
    (peer,) = [each for each in gc.get_objects() if isinstance(each, Peer)]
    asked, end = 0, time.monotonic() + 1.5
    while asked < 1500 and time.monotonic() < end:
        try: peer.call_for_fds("files.open", (f"/{asked}" + "/long" * 700, "r"), 1, returns=None)
        except Exception: asked += 1
    return str(asked)
"""
    arena.plugin("grumbler", body)
    before = _record_size(arena)
    asked = int(arena.call("grumbler"))
    arena.end("grumbler")
    grown = _record_size(arena) - before
    if grown > 1 << 20:
        return f"{asked} denials made the record {grown:,} bytes larger"
    raise Stopped(f"{asked} denials, {grown:,} bytes")


def memory_of_the_kernel_by_large_requests(arena: Any) -> str:
    """Sixty requests of 60 MiB each at once, which the kernel must hold until each is answered."""
    import resource

    from proxima.errors import ProximaError

    body = """
def act(arguments):
    import gc, struct
    from proxima.sandbox.rpc import Peer
    (peer,) = [each for each in gc.get_objects() if isinstance(each, Peer)]
    peer._fail = lambda *_, **__: None  # its own reader knows nothing of these calls
    peer._over.set = lambda: None
    type(peer._channel).shutdown = type(peer._channel).close = lambda self: None
    size = 60 << 20
    text = b"A" * size
    for number in range(1000, 1060):
        head = b"\\x95\\x01\\xcd" + struct.pack(">H", number)
        head += b"\\xabsecrets.get\\x91\\xdb" + struct.pack(">I", size)
        for part in (struct.pack("<I", len(head) + size + 1), head, text, b"\\xc0"):
            peer._channel._socket.sendall(part)
    return "sent"
"""
    arena.plugin("feeder", body)
    arena.limits = {"wall_seconds": 3.0}
    arena.tool("feeder")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        said = arena.call("feeder")
    except ProximaError as error:
        said = str(error)
    arena.end("feeder")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    if grown > 1024:
        return f"{grown} MiB; {said}"
    raise Stopped(f"{grown} MiB; {said}")


def _record_size(arena: Any) -> int:
    return sum(path.stat().st_size for path in Path(arena.kernel.paths.data).glob("*.sqlite*"))


def lock_that_stops_the_package_installer(arena: Any) -> str:
    """A read lock on a file of the environment would keep those waiting who lock it to write."""
    descriptor = os.open(f"{arena.host.plugin}/data", os.O_RDWR)
    arena.plugin(
        "locker",
        f"def act(arguments):\n    import fcntl\n    global f\n"
        f"    f = open({arena.host.plugin + '/data'!r})\n    fcntl.flock(f, fcntl.LOCK_EX)\n"
        f"    return 'x'",
    )
    try:
        arena.call("locker")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "a plugin holds a lock on a file that it may only read"
    finally:
        os.close(descriptor)
        arena.end("locker")
    raise Stopped("the lock was not held")


def control_lock(arena: Any) -> None:
    fcntl.flock(os.open(f"{arena.host.plugin}/data", os.O_RDONLY), fcntl.LOCK_EX)


def worker_that_looks_like_the_zygote(arena: Any) -> str:
    """A worker that is inspected by a process of the same user: its memory must not be open to it."""
    worker = arena.supervisor.running("other")
    if arena.as_root:
        raise Stopped("root may look into everything; plugins are not root")
    try:
        os.close(os.open(f"/proc/{worker.pid}/mem", os.O_RDWR))
    except OSError as error:
        raise Stopped(str(error)) from error
    return "open"


def control_worker_that_looks_like_the_zygote(arena: Any) -> None:
    os.close(os.open("/proc/self/mem", os.O_RDWR))
