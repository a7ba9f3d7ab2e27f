"""Requests to the brokers: files, hosts, secrets, what is stored. Plugin's side.

A control has no kernel to ask; there, what a trusting broker would do is done in its place.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from functools import partial
from typing import Any

from conversation import every_one, peer


def open_file(path: str, mode: str = "r") -> bytes:
    if (kernel := peer()) is None:
        descriptor = os.open(path.split("\0")[0], {"r": os.O_RDONLY, "r+": os.O_RDWR, "a": os.O_WRONLY}[mode])
    else:
        _, (descriptor,) = kernel.call_for_fds("files.open", (path, mode), 1, returns=None)
    return os.read(descriptor, 100) if mode == "r" else b"opened"


def ask_for_a_key(host: Any) -> bytes:
    return open_file(host.key)


def ask_by_walking_up(host: Any) -> bytes:
    return open_file(f"{host.workspace}/../home/key")


def ask_through_a_link(host: Any) -> bytes:
    return open_file(f"{host.workspace}/link-to-key")


def ask_with_a_null_byte(host: Any) -> bytes:
    return open_file(f"{host.key}\0{host.workspace}/file")


def ask_for_the_kernels_environment(host: Any) -> bytes:
    return open_file("/proc/self/environ")


def ask_for_the_kernels_memory(host: Any) -> bytes:
    return open_file(f"/proc/{host.parent}/mem", "r+")


def ask_by_the_kernels_root(host: Any) -> bytes:
    return open_file(f"/proc/{host.parent}/root{host.key}")


def ask_for_a_device(host: Any) -> bytes:
    return open_file("/dev/zero", "r+")


def ask_for_a_pipe_in_the_workspace(host: Any) -> bytes:
    """The grant covers the name; what bears it would keep whoever opens it waiting, or act on being opened."""
    return open_file(f"{host.workspace}/pipe", "r+")


def ask_for_a_directory(host: Any) -> bytes:
    if peer() is None:
        return repr(os.listdir(host.workspace)).encode()
    return open_file(host.workspace)


def ask_to_write_settings(host: Any) -> bytes:
    return open_file(host.settings, "a")


def ask_to_write_the_kernels_code(host: Any) -> bytes:
    import proxima.errors

    return open_file(proxima.errors.__file__, "a")


def ask_for_a_secret(host: Any) -> str:
    kernel = peer()
    return os.environ["PROXIMA_SECRET_ESCAPE"] if kernel is None else kernel.call("secrets.get", ("ESCAPE",))


ODD_NAMES = (
    "*", "", "ESCAPE\0", "ESCAPE ", "escape", "../ESCAPE", "ESCAPE:x", "\nESCAPE", "ÉSCAPE", "ESCAPE" * 999,
    "MINE\0ESCAPE", "MINE/../ESCAPE", "MINE:ESCAPE", "MINE,ESCAPE", "MINE ESCAPE", "MINE*", "M%",
)  # fmt: skip


def ask_for_a_secret_by_an_odd_name(host: Any) -> list[str]:
    """`secrets:MINE` is granted; these are names that careless code would take for that, or for more than that."""
    kernel = peer()
    if kernel is None:
        return [os.environ["PROXIMA_SECRET_ESCAPE"]]
    if kernel.call("secrets.get", ("MINE",)) != "mine":
        raise RuntimeError("this tried nothing: not even the granted secret is given")
    asked = {name: partial(kernel.call, "secrets.get", (name,)) for name in ODD_NAMES}
    return every_one(asked, "PermissionDeniedError")


def ask_for_stored_results(host: Any) -> object:
    kernel = peer()
    return os.listdir(os.path.dirname(host.permissions)) if kernel is None else kernel.call("results.list", (10, None))


def ask_a_language_model(host: Any) -> object:
    return peer().call("llm.models", ("any",))


SPELLINGS = (
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "0x7f000001", "2130706433", "0177.0.0.1",
    "0.0.0.0", "::1", "[::1]", "::ffff:127.0.0.1", "localhost\0.example.org", "localhost\r\nHost: a", " localhost",
    "localhost%00", "a@localhost", "localhost/", "localhost:80", "①②⑦.⓪.⓪.①", "ⓛocalhost", "169.254.169.254", "", "*",
)  # fmt: skip


def connect_by_any_spelling(host: Any) -> list[str]:
    """The host itself, spelt as some parser takes for something else; `localhost` is granted, with one port."""
    kernel = peer()
    if kernel is None:  # and nobody's control should ask a cloud for its keys
        tried = {name: partial(_connect, name, host.tcp) for name in SPELLINGS if not name.startswith("169")}
        return every_one(tried, "ConnectionRefusedError", "OSError", "gaierror", "UnicodeError", "UnicodeEncodeError",
                         "ValueError")  # fmt: skip
    ports = {(name, port) for name in SPELLINGS for port in (host.tcp, host.granted)}
    same = {(name, host.granted) for name in ("localhost", "LOCALHOST")}
    asked = {f"{name}:{port}": partial(_ask_to_connect, kernel, name, port) for name, port in sorted(ports - same)}
    return every_one(asked, "PermissionDeniedError")


def _connect(name: str, port: int) -> None:
    socket.create_connection((name, port), timeout=1).close()


def _ask_to_connect(kernel: Any, name: str, port: int) -> int:
    _, (descriptor,) = kernel.call_for_fds("network.connect", (name, port, 1.0), 1, returns=None)
    return int(descriptor)


def connect_elsewhere_than_granted(host: Any) -> list[str]:
    """`network:localhost:PORT` is granted; another port, another name and another address are not."""
    kernel = peer()
    if kernel is None:
        _connect("127.0.0.1", host.tcp)
        return ["127.0.0.1"]
    os.close(_ask_to_connect(kernel, "localhost", host.granted))
    elsewhere = (
        ("localhost", host.tcp),
        ("127.0.0.1", host.granted),
        ("localhost", -1),
        ("localhost", 65536 + host.tcp),
    )
    asked = {f"{name}:{port}": partial(_ask_to_connect, kernel, name, port) for name, port in elsewhere}
    return every_one(asked, "PermissionDeniedError")


def aim_a_granted_socket_elsewhere(host: Any) -> list[str]:
    """Use the connected socket that the kernel passed to reach another port."""
    from proxima.sandbox.linux.syscalls import call

    kernel = peer()
    target = struct.pack("<HH4s8x", socket.AF_INET, socket.htons(host.tcp), socket.inet_aton("127.0.0.1"))
    if kernel is None:
        plain = socket.create_connection(("127.0.0.1", host.granted))
        descriptor = plain.fileno()
    else:
        descriptor = _ask_to_connect(kernel, "localhost", host.granted)
    ways = {
        "disconnect": lambda: call("connect", descriptor, bytes(16), 16),
        "connect": lambda: call("connect", descriptor, target, 16),
        "fast open": lambda: call("sendto", descriptor, b"x", 1, 0x20000000, target, 16),
        "listen": lambda: call("listen", descriptor, 1),
        "bind to device": lambda: call("setsockopt", descriptor, 1, 25, b"lo\0", 3),
        "repair": lambda: call("setsockopt", descriptor, 6, 19, struct.pack("i", 1), 4),
        "other protocol": lambda: call("setsockopt", descriptor, 6, 31, b"tls\0", 4),
    }
    return every_one(ways, "PermissionError", *(() if kernel else ("OSError", "FileNotFoundError")))


NOT_SERVED = (
    "load", "call", "plan", "run", "tell", "spawn", "reap", "grant", "permissions.grant", "__init__", "", "serve",
)  # fmt: skip


def call_what_is_not_served(host: Any) -> list[str]:
    """Methods that only the kernel may ask for, or nobody."""
    kernel = peer()
    asked = {name: partial(kernel.call, name, {}, deadline=time.monotonic() + 5) for name in NOT_SERVED}
    return every_one(asked, "NotFoundError")


def ask_whether_a_path_is_a_link(host: Any) -> str:
    """Two paths that are refused alike, but for what the refusal says of one that leads elsewhere."""
    if (kernel := peer()) is None:
        return os.readlink(f"{host.home}/link")
    said = []
    for name in ("link", "none"):
        try:
            kernel.call_for_fds("files.open", (f"{host.home}/{name}", "r"), 1, returns=None)
        except PermissionError as error:
            said.append(str(error).replace(name, "") + str(getattr(error, "hint", "")))
    if said[0] != said[1]:
        return " | ".join(said)
    raise PermissionError(errno.EPERM, "the same is said of both")
