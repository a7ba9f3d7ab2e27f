"""The network inside a worker: Python's own sockets, connected by the kernel.

`install` changes `socket.socket` and `socket.getaddrinfo` in this process, so that `socket.create_connection`,
`http.client`, `urllib`, `requests`, `httpx` and `asyncio` work as they are, and TLS stays between the plugin and the
site. None of this is what holds the plugin: the lock denies `socket()` and `connect()` to all that it tries itself.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from proxima.errors import UnavailableError

Ask = Callable[[str, tuple[object, ...]], int]
"""Asks the kernel: a method and its arguments, for a file descriptor, which belongs to the caller."""

_INTERNET = (-1, socket.AF_INET, socket.AF_INET6)
_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0)
_STREAM = (socket.SOCK_STREAM, socket.SOCK_STREAM | _FLAGS)
_ONLY_TCP = "a plugin's sockets are TCP connections; no permission allows others"
_NO_LISTENING = "a plugin cannot listen or choose its own address; no permission allows it"
_SERVICES = {"http": 80, "https": 443, None: 0, "": 0}


def install(ask: Ask) -> None:
    """Have this process's sockets connect through the kernel, for good.

    A socket that is not connected yet is one end of a pair nobody holds the other end of; connecting puts the socket
    that the kernel made in its place. Names are not resolved here: `getaddrinfo` answers with the name itself, which
    the kernel resolves when it connects. Denials raise `PermissionDeniedError`, a `PermissionError`, whose message
    names the permission; what cannot be reached raises `OSError`.
    """
    original = socket.socket
    made, connected_to, set_option = original.__init__, original.connect, original.setsockopt
    bound, closed = original.bind, original._real_close  # type: ignore[attr-defined]
    waiting: WeakKeyDictionary[socket.socket, list[tuple[Any, ...]]] = WeakKeyDictionary()
    placing = threading.Lock()

    def __init__(  # noqa: N807
        self: socket.socket,
        family: int = -1,
        type: int = -1,  # noqa: A002
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        if fileno is not None or family not in _INTERNET:
            made(self, family, type, proto, fileno)
            return
        if type not in (-1, *_STREAM) or proto not in (-1, 0, socket.IPPROTO_TCP):
            raise PermissionError(errno.EPERM, _ONLY_TCP)
        _teach_asyncio(connect)
        near, far = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        far.close()
        family = socket.AF_INET if family == -1 else family
        made(self, family, socket.SOCK_STREAM, max(proto, 0), near.detach())
        self.settimeout(0 if type != -1 and type & _FLAGS else socket.getdefaulttimeout())
        waiting[self] = []

    def connect(self: socket.socket, address: Any) -> None:
        if self not in waiting:
            connected_to(self, address)
            return
        host, port = address[:2]
        connection = _ask(ask, host, port, self.gettimeout() or None)
        with placing:  # another thread may close it meanwhile, and its number be taken
            options = waiting.pop(self, None)
            if options is None or self.fileno() < 0:
                os.close(connection)
                raise OSError(errno.EBADF, "the socket was closed while it connected")
            os.dup2(connection, self.fileno(), inheritable=False)
        os.close(connection)
        self.settimeout(self.gettimeout())
        for option in options:
            set_option(self, *option)

    def connect_ex(self: socket.socket, address: Any) -> int:
        try:
            connect(self, address)
        except OSError as error:
            return error.errno or errno.EPERM
        return 0

    def setsockopt(self: socket.socket, *option: Any) -> None:
        if self in waiting:
            waiting[self].append(option)
        else:
            set_option(self, *option)

    def bind(self: socket.socket, address: Any) -> None:
        if self in waiting:
            raise PermissionError(
                errno.EPERM, "a plugin cannot listen or choose its own address; no permission allows it"
            )
        bound(self, address)

    def _real_close(self: socket.socket, *arguments: Any) -> None:
        with placing:
            if waiting.pop(self, None) is None and self.family in _INTERNET:
                with suppress(OSError):  # the other side was first
                    # The kernel holds a duplicate, so closing alone would not tell the other side.
                    self.shutdown(socket.SHUT_RDWR)
            closed(self, *arguments)

    for replacement in (__init__, connect, connect_ex, setsockopt, bind, _real_close):
        setattr(original, replacement.__name__, replacement)
    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = gethostbyname


def getaddrinfo(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[Any, ...]]:
    """One row for a TCP connection, with the name where its address would stand; see `install`."""
    if not host or flags & socket.AI_PASSIVE:
        raise socket.gaierror(socket.EAI_NONAME, _NO_LISTENING)
    if type not in (0, socket.SOCK_STREAM) or proto not in (0, socket.IPPROTO_TCP):
        raise socket.gaierror(
            socket.EAI_SOCKTYPE, "a plugin's sockets are TCP connections; no permission allows others"
        )
    name, number = _name(host), _number(port)
    if family == socket.AF_INET6:
        return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, number, 0, 0))]
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, number))]


def gethostbyname(hostname: str) -> str:
    """An IPv4 address as it is; a name is not resolved here."""
    try:
        socket.inet_pton(socket.AF_INET, hostname)
    except OSError:
        why = f"{hostname}: a plugin does not resolve names; connect by the name and the kernel resolves it"
        raise socket.gaierror(socket.EAI_NONAME, why) from None
    return hostname


def _ask(ask: Ask, host: Any, port: Any, seconds: float | None) -> int:
    try:
        return ask("network.connect", (_name(host), _number(port), seconds))
    except OSError:
        raise  # PermissionDeniedError and DeadlineExceededError are the builtin errors too
    except UnavailableError as error:
        raise OSError(errno.EHOSTUNREACH, str(error)) from error


def _name(host: Any) -> str:
    if isinstance(host, (bytes, bytearray)):
        return host.decode("ascii", "backslashreplace")
    text = str(host)
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{text!r} is not a host name: {error}") from None


def _number(port: Any) -> int:
    if isinstance(port, bytes):
        port = port.decode("ascii", "replace")
    if port in _SERVICES:
        return _SERVICES[port]
    try:
        return int(port)
    except ValueError:
        raise socket.gaierror(socket.EAI_SERVICE, f"{port!r} is not a port; write its number") from None


def _teach_asyncio(connect: Callable[[socket.socket, Any], None]) -> None:
    """Have event loops connect in a thread; without this they would stand still until the kernel answers."""
    events = sys.modules.get("asyncio.selector_events")
    if events is None or events.BaseSelectorEventLoop.sock_connect.__module__ == __name__:
        return

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        await self.run_in_executor(None, connect, sock, address)

    events.BaseSelectorEventLoop.sock_connect = sock_connect
