"""What the kernel reads and opens: manifests, settings, files that change, connections. Judged outside the worker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from outside import Stopped, through, tried


def manifest_that_is_no_file(arena: Any) -> list[str]:
    """A manifest that is a pipe, a link to a secret, endless, or nested without end."""
    names = ("pipe", "link", "endless", "nested")
    for name in names:
        path = arena.plugin(name) / "proxima-plugin.json"
        path.unlink()
        if name == "pipe":
            os.mkfifo(path)
        elif name == "link":
            path.symlink_to(arena.host.key)
        elif name == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    arena.look_again()
    began = time.monotonic()
    problems = []
    for name in names:
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
    """Who follows the link and quotes what it cannot parse shows the secret."""
    path = Path(arena.host.workspace) / "manifest"
    path.symlink_to(arena.host.key)
    try:
        shown = str(json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        shown = f"{error}: {error.doc}"
    return through("secret" in shown, shown)


def settings_of_a_workspace(arena: Any) -> str:
    """A worker may write the workspace; settings that it leaves there must not free it from the sandbox."""
    from proxima.kernel import Kernel
    from proxima.sandbox.isolation import place_of

    os.chdir(arena.host.workspace)
    text = '[isolation]\ndefault = "in-process"\nhostile = "in-process"\nallow_tier_c = true\n'
    Path("proxima.toml").write_text(text)
    before = os.environ.pop("PROXIMA_SETTING__ISOLATION__DEFAULT", None)
    try:
        with Kernel(paths=arena.kernel.paths) as kernel:
            kernel.registry.path = [arena.host.plugin]
            place = place_of(kernel.registry.get("hostile"), kernel.isolation._settings)
    finally:
        if before is not None:
            os.environ["PROXIMA_SETTING__ISOLATION__DEFAULT"] = before
        Path("proxima.toml").unlink()
        os.chdir(f"{arena.base}/cwd")
    if place != "worker":
        return str(place)
    raise Stopped("a workspace's settings say nothing about isolation")


def grants_that_are_too_broad(arena: Any) -> list[str]:
    link, good = f"{arena.host.workspace}/to-data", f"{arena.host.workspace}/data"
    os.symlink(arena.kernel.paths.data, link)
    os.mkdir(good)
    try:
        tried(_shown(arena, f"file_read:{good}"), "not even a good grant is compiled")
        return _too_broad(arena, link)
    finally:
        os.unlink(link)
        os.rmdir(good)


def _too_broad(arena: Any, link: str) -> list[str]:
    paths = arena.kernel.paths
    texts = (
        "file_read:/", "file_read:/etc", "file_write:/tmp", "file_read:/proc/1", "file_read:/home", "file_read:/root",
        f"file_read:{paths.data}", f"file_write:{link}", f"file_write:{paths.config}",
        f"file_read:{os.path.dirname(paths.data)}", f"file_write:{arena.host.plugin}",
        f"file_write:{sys.prefix}", "file_read:/run", "file_read:/dev", f"file_write:{arena.host.workspace}/../proxima",
        f"file_read:{os.path.expanduser('~')}", f"file_read:{os.path.expanduser('~/.ssh')}",
    )  # fmt: skip
    if through := [text for text in texts if _shown(arena, text)]:
        return through
    raise Stopped("each was refused")


def _shown(arena: Any, text: str) -> bool:
    """Whether a policy with this grant shows a worker its path."""
    from proxima.errors import UsageError
    from proxima.permissions import Permission
    from proxima.sandbox.policy import Limits, compile_policy

    try:
        policy = compile_policy(
            "x", [Permission.parse(text)], import_paths=[arena.host.plugin], scratch=arena.host.scratch,
            workspace=arena.host.workspace, paths=arena.kernel.paths, limits=Limits(), tier=arena.tier, threads=1,
        )  # fmt: skip
    except UsageError:
        return False
    return os.path.realpath(text.partition(":")[2]) in policy.read + policy.write


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
        end = time.monotonic() + 10
        while min(opened, refused) < 300 and time.monotonic() < end:
            try:
                descriptor = broker.open("hostile", path)
            except (ProximaError, OSError) as error:
                refused, why = refused + 1, str(error)
                continue
            opened += 1
            with os.fdopen(descriptor) as file:
                if (got := file.read()) != "harmless":
                    return got
    tried(min(opened, refused) >= 100, f"{opened} opened, {refused} refused: {why}")
    raise Stopped(f"{opened} opened, {refused} refused, never the secret")


def control_file_swapped_for_a_link(arena: Any) -> str:
    path = f"{arena.host.workspace}/swapped"
    with Swapping(path, arena.host.key):
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                if os.path.realpath(path) == path and (got := Path(path).read_text()) != "harmless":
                    return got
            except OSError:
                continue
    raise Stopped("the race was never won")


class Swapping:
    """A process that makes a path a file, then a link, then a file again, without end."""

    def __init__(self, path: str, target: str) -> None:
        words = (
            "import itertools, os, sys, time\npath, target = sys.argv[1:]\n"
            "for turn in itertools.count():\n"
            "    open(path + '.f', 'w').write('harmless'); os.replace(path + '.f', path)\n"
            "    for _ in range(200): os.stat(path)\n"
            "    if turn % 2: time.sleep(0.005)\n"  # for the broker to open it, on a busy machine too
            "    os.symlink(target, path + '.l'); os.replace(path + '.l', path)\n"
        )
        command = [sys.executable, "-I", "-S", "-c", words, path, target]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not os.path.lexists(path):
            time.sleep(0.005)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def directory_of_the_users_script(arena: Any) -> str:
    """Whoever calls the kernel from a script has its directory on `sys.path`; a plugin named as something in it."""
    script = arena.root / "project"
    (script / arena.shop.package("guest")).mkdir(parents=True)
    notes = script / "notes"
    notes.write_text("private")
    arena.let_everybody_read(script)
    body = (
        f"def act(arguments):\n    try: return open({str(notes)!r}).read()\n"
        "    except (FileNotFoundError, PermissionError) as error: return 'refused: ' + str(error)"
    )
    sys.path.insert(0, str(script))
    try:
        arena.plugin("guest", body)
        said = arena.call("guest")
    finally:
        sys.path.remove(str(script))
        arena.end("guest")
    return through(not said.startswith("refused: "), said)


def metadata_that_stop_every_command(arena: Any) -> list[str]:
    """Numbers, nesting and bytes in what is read of every plugin before any command."""
    package = arena.plugin("breaker")
    manifest, points = package / "proxima-plugin.json", next(package.parent.glob("breaker-*")) / "entry_points.txt"
    good, good_points = json.loads(manifest.read_text()), points.read_text()
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    stopped = []
    for word, change, text in (
        ("digits", {"fits": "python>=" + "9" * 5000}, good_points),
        ("depth", {"config_schema": {"a": {"default": deep}}}, good_points),
        ("null", {}, "[proxima.plugins]\nbreaker = a\0b:plugin\n"),
    ):
        manifest.write_text(json.dumps(good | change))
        points.write_text(text)
        for command in ("plugin list", "doctor"):
            done = arena.shop.proxima(*command.split())
            tried("breaker" in done.stdout, f"{word}: {command}: {done.stdout} {done.stderr}")
            if done.returncode not in (0, 1) or "Traceback" in done.stderr:  # 1: the doctor found something
                stopped.append(f"{word}: {command}: {done.stderr[-200:]}")
    arena.remove(package)
    arena.remove(points.parent)
    arena.look_again()
    if stopped:
        return stopped
    raise Stopped("each command answers")


def everything_but_secrets(arena: Any) -> list[str]:
    """With `file_read:all` and `file_write:all` granted: what is never granted stays out of reach all the same."""
    from proxima.errors import PermissionDeniedError
    from proxima.paths import user_home
    from proxima.sandbox.filebroker import FileBroker

    package = arena.plugin("librarian", permissions=("file_read:all", "file_write:all"))
    before = dict(os.environ)
    os.environ["HOME"] = f"{arena.base}/home"
    secret = Path(user_home(), ".ssh", "id")
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("secret")
    sys.path.append(str(package))  # as if the kernel imported from there
    broker = FileBroker(arena.kernel.permissions, arena.kernel.paths)
    opened = []
    try:
        os.close(broker.open("librarian", f"{arena.host.workspace}/file"))
        for path, mode in (
            *((str(secret), "r"), (f"{package}/code.pth", "w"), (arena.host.permissions, "r")),
            *(("/sys/fs/cgroup/cgroup.procs", "r"), ("/proc/self/environ", "r")),
        ):
            try:
                os.close(broker.open("librarian", path, mode))
                opened.append(f"{mode} {path}")
            except PermissionDeniedError as error:
                tried("no permission opens it" in str(error), str(error))
    finally:
        sys.path.remove(str(package))
        os.environ.clear()
        os.environ.update(before)
    if opened:
        return opened
    raise Stopped("each was refused, whatever was granted")


def half_closed_connection(arena: Any) -> str:
    """One that will say no more goes on listening, unless the kernel still knows of it when it ends the others."""
    from proxima.sandbox.netbroker import NetworkBroker

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        arena.plugin("caller", permissions=(f"network:localhost:{port}",))
        network = NetworkBroker(arena.kernel.permissions)
        network.open("caller")
        mine = socket.socket(fileno=network.connect("caller", "localhost", port))
        theirs, _ = server.accept()
        mine.shutdown(socket.SHUT_WR)
        tried(theirs.recv(1) == b"", "it was not closed on this side")
        socket.socket(fileno=network.connect("caller", "localhost", port)).close()  # it looks at the open ones then
        network.close("caller")
        try:
            theirs.send(b"secret")
            mine.settimeout(1)
            got = mine.recv(10)
        except ConnectionError as error:
            raise Stopped(str(error)) from error
        finally:
            mine.close()
            theirs.close()
    return through(got, f"it heard {got!r}")
