"""Runs attempts, each in a process of its own that is locked first or, as a control, not: `locked_child.py SPEC`.

SPEC is JSON: `tier` (or null for the control), `uid` (0 stays), `attempts` (names in `lock_attempts`), `policy`
(fields to replace), `abi`. Prints JSON: attempt -> {"ok": ..} or {"error": .., "errno": ..} or {"status": ..}.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import lock_attempts

from proxima.sandbox.linux.lock import fork, lock
from proxima.sandbox.linux.syscalls import call
from proxima.sandbox.policy import Limits, SandboxPolicy, runtime_paths


def open_up() -> None:
    """As root, in a mount namespace of this process, let every user reach an interpreter in root's home directory."""
    closed = []
    for prefix in sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix)}):
        parts = prefix.split("/")
        above = ("/".join(parts[:depth]) for depth in range(2, len(parts) + 1))
        closed += [(each, prefix) for each in above if not os.stat(each).st_mode & 1]
    if not closed:
        return
    call("unshare", 0x20000)
    call("mount", None, b"/", None, 0x44000, None)
    for directory, prefix in closed:
        inside = [f"{prefix}/{each}" for each in os.listdir(prefix)] if directory == prefix else [prefix]
        show_only(directory, inside)
    os.chdir("/")


def become(uid: int) -> None:
    """Become an ordinary user."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    call("prctl", 4, 1, 0, 0, 0)  # changing the user had made /proc/self root's


def show_only(directory: str, places: list[str]) -> None:
    trees = [(place, call("open_tree", -100, place.encode(), 0x8001), os.path.isdir(place)) for place in places]
    call("mount", b"open", directory.encode(), b"tmpfs", 0, b"mode=755,size=1m")
    for place, tree, is_directory in trees:
        if is_directory:
            os.makedirs(place)
        else:
            open(place, "w").close()
        call("move_mount", tree, b"", -100, place.encode(), 4)
        os.close(tree)


def set_up(base: str, import_paths: list[str]) -> tuple[SimpleNamespace, list[Any]]:
    """The things on a host that a plugin might want."""
    host = SimpleNamespace(parent=os.getpid(), import_paths=import_paths)
    for name in ("home", "workspace", "scratch", "plugin"):
        setattr(host, name, f"{base}/{name}")
        os.mkdir(f"{base}/{name}", 0o700)
    host.key, host.spare_key = f"{host.home}/key", f"{host.home}/spare"
    contents = {host.key: "secret", host.spare_key: "secret", f"{host.plugin}/data": "x"}
    for path, text in {**contents, f"{host.plugin}/module.py": "ANSWER = 42\n"}.items():
        with open(path, "w") as file:
            file.write(text)
    os.symlink(host.key, f"{host.workspace}/link-to-key")
    host.open_secret = os.open(host.key, os.O_RDONLY)
    os.environ["PROXIMA_TEST_SECRET"] = "secret"
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen(64)
    udp.bind(("127.0.0.1", 0))
    host.tcp, host.udp = tcp.getsockname()[1], udp.getsockname()[1]
    host.unix, host.unix_datagram = f"{base}/stream.sock", f"{base}/datagram.sock"
    host.abstract = f"\0proxima-test-{os.getpid()}"
    sockets: list[Any] = [tcp, udp]
    for kind, name in (
        (socket.SOCK_STREAM, host.unix),
        (socket.SOCK_DGRAM, host.unix_datagram),
        (socket.SOCK_STREAM, host.abstract),
    ):
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(name)
        if kind == socket.SOCK_STREAM:
            server.listen(64)
        sockets.append(server)
    host.victim = os.fork()
    if host.victim == 0:
        os.setpgid(0, 0)
        time.sleep(120)
        os._exit(0)
    host.group = host.victim
    import ctypes

    buffer = ctypes.create_string_buffer(b"secret in memory")
    host.secret_address = ctypes.addressof(buffer)
    return host, [*sockets, buffer]


def run(name: str, host: SimpleNamespace, policy: SandboxPolicy, spec: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    began = time.perf_counter()
    birth = fork() if spec["tier"] == "A" else None
    child = os.fork() if birth is None else birth.pid
    if child == 0:
        try:
            if spec["tier"]:
                lock(policy, [writing, 2], parent_pid=host.parent, birth=birth, abi=spec.get("abi"))
            locked = time.perf_counter()
            function = getattr(lock_attempts, name)
            answer = {"ok": repr(function(host))}
            if spec["tier"]:
                answer["lock_ms"] = round((locked - began) * 1000, 2)
        except Exception as error:  # noqa: BLE001 - whatever an attempt meets is its outcome
            answer = {"error": f"{type(error).__name__}: {error}", "errno": getattr(error, "errno", None)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    if birth is not None:
        birth.close()
    if not select.select([reading], [], [], 60)[0]:
        os.kill(child, signal.SIGKILL)
    data = os.read(reading, 1 << 16)
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(data) if data else {"status": code}


def main() -> None:
    spec = json.loads(sys.argv[1])
    if os.geteuid() == 0 and (spec["uid"] or spec["tier"] == "B"):
        open_up()
    if spec["uid"]:
        become(spec["uid"])
    base = tempfile.mkdtemp(dir="/tmp", prefix="proxima-lock-")
    host, kept = set_up(base, spec.get("import_paths", []))
    if os.geteuid() == 0 and spec["tier"] == "B":  # the worker will be another user, without mapped mounts
        for path, mode in ((base, 0o711), (host.workspace, 0o777), (host.plugin, 0o755)):
            os.chmod(path, mode)
    try:
        policy = SandboxPolicy(
            plugin="attempts",
            tier=spec["tier"] or "B",
            read=(*runtime_paths(), host.workspace),
            write=(host.workspace,),
            import_paths=(host.plugin, *spec.get("import_paths", [])),
            scratch=host.scratch,
            threads=2,
        )
        changes = dict(spec.get("policy", {}))
        if "limits" in changes:
            changes["limits"] = Limits(**changes["limits"])
        policy = replace(policy, **changes)
        json.dump({name: run(name, host, policy, spec) for name in spec["attempts"]}, sys.stdout)
    finally:
        os.kill(host.victim, signal.SIGKILL)
        os.waitpid(host.victim, 0)
        del kept
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
