"""The network broker: the kernel connects for a plugin and passes the connected socket."""

from __future__ import annotations

import ipaddress
import queue
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from proxima.errors import DeadlineExceededError, PermissionDeniedError, ResourceError, UnavailableError
from proxima.permissions import Permission, Permissions
from proxima.permissions.grammar import is_public_name
from proxima.sandbox.addresses import Address, may_stand_for

CONNECT_SECONDS = 30.0
MAX_OPEN = 64
MAX_PER_MINUTE = 600
MAX_RESOLVING = 8
MAX_HOST = 253


@dataclass(slots=True)
class _Plugin:
    """What one plugin has open and how fast it asks."""

    open: list[socket.socket] = field(default_factory=list)
    asked: deque[float] = field(default_factory=deque)
    pending: int = 0
    resolving: int = 0
    closed: bool = False


class NetworkBroker:
    """Connects to what a plugin was granted.

    A name is resolved once and the address that was checked is the one connected to, so an answer that changes (DNS
    rebinding) changes nothing. The kernel keeps a duplicate of each socket, to end the connection with the worker.

    Args:
        permissions: Asked for each connection.
        seconds: How long resolving and connecting may take together.
    """

    def __init__(self, permissions: Permissions, *, seconds: float = CONNECT_SECONDS) -> None:
        self._permissions = permissions
        self._seconds = seconds
        self._plugins: dict[str, _Plugin] = {}
        self._lock = threading.Lock()

    def open(self, plugin: str) -> None:
        """Start to serve a plugin, at the start of its worker; ends what an earlier worker left."""
        self.close(plugin)
        with self._lock:
            self._plugins[plugin] = _Plugin()

    def connect(
        self, plugin: str, host: str, port: int, *, seconds: float | None = None, run_id: str | None = None
    ) -> int:
        """Connect to a host over TCP.

        Args:
            plugin: Whose channel the request came by.
            host: A name or IPv4 address, spelt as in a permission; a name in capitals is the same name.
            port: From 1 to 65535.
            seconds: How long it may take, if less than the broker's own limit.
            run_id: The run it belongs to, if any.

        Returns:
            A connected, blocking socket's descriptor, which belongs to the caller.

        Raises:
            PermissionDeniedError: The host is not granted, is not spelt as in a permission, or its name leads to an
                address that the grant does not mean.
            UnavailableError: There is no such host, or nobody answers.
            DeadlineExceededError: It took too long.
            ResourceError: The plugin has too many connections open, or asks too often.
        """
        with self._lock:
            state = self._plugins.get(plugin)
            if state is None:
                raise PermissionDeniedError(f"{plugin} does not run, so nothing connects for it", plugin=plugin)
            self._admit(plugin, state)
            state.pending += 1
        try:
            connection = self._connect(plugin, state, host, port, seconds, run_id)
            with connection, self._lock:
                if state.closed:
                    message = f"{plugin} was stopped while it connected to {host}:{port}"
                    raise PermissionDeniedError(message, plugin=plugin)
                state.open.append(connection.dup())
                return connection.detach()
        finally:
            with self._lock:
                state.pending -= 1

    def close(self, plugin: str) -> None:
        """End all the plugin's connections, and those being made for it; at the end of its worker."""
        with self._lock:
            state = self._plugins.pop(plugin, _Plugin())
            state.closed = True
            ended, state.open = state.open, []
        for connection in ended:
            _end(connection)

    def _admit(self, plugin: str, state: _Plugin) -> None:
        now = time.monotonic()
        while state.asked and state.asked[0] < now - 60:
            state.asked.popleft()
        gone = [each for each in state.open if not _is_live(each)]
        state.open = [each for each in state.open if each not in gone]
        for connection in gone:
            connection.close()
        if len(state.open) + state.pending >= MAX_OPEN:
            raise ResourceError(
                f"{plugin} has {MAX_OPEN} connections open, which is all it may",
                hint="Close some first.",
                plugin=plugin,
            )
        if len(state.asked) >= MAX_PER_MINUTE:
            raise ResourceError(f"{plugin} asked for more than {MAX_PER_MINUTE} connections in a minute", plugin=plugin)
        state.asked.append(now)

    def _connect(
        self, plugin: str, state: _Plugin, host: str, port: int, seconds: float | None, run_id: str | None
    ) -> socket.socket:
        # The grammar refuses what is too long; the record need not hold all of it.
        asked = f"network:{host[: MAX_HOST + 1]}:{port}"
        target = f"{host[: MAX_HOST + 1]}:{port}"
        self._permissions.use(plugin, asked, target=target, run_id=run_id)
        permission = Permission.parse(asked)  # a host name parses the same each time
        name = permission.value.partition(":")[0]
        public = is_public_name(name)
        deadline = time.monotonic() + min(self._seconds, self._seconds if seconds is None else max(seconds, 0.0))
        found = self._resolve(plugin, state, name, port, deadline)
        addresses = [each for each in found if may_stand_for(name, public, each)]
        if not addresses:
            self._refuse(plugin, permission, target, found, run_id)
        return _connect_first(addresses, name, port, deadline)

    def _resolve(self, plugin: str, state: _Plugin, host: str, port: int, deadline: float) -> list[Address]:
        """All addresses of a host, in the resolver's order; `getaddrinfo` has no deadline, so a thread waits for it."""
        if host.rpartition(".")[2].isdigit():
            return [ipaddress.IPv4Address(host)]
        with self._lock:
            if state.resolving >= MAX_RESOLVING:
                raise ResourceError(f"{plugin} waits for {MAX_RESOLVING} names to be resolved already", plugin=plugin)
            state.resolving += 1
        answer: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answer.put(_addresses(host, port))
            except (OSError, ValueError) as error:
                answer.put(error if isinstance(error, OSError) else OSError(str(error)))
            finally:
                with self._lock:
                    state.resolving -= 1

        threading.Thread(target=look_up, name=f"resolve-{plugin}", daemon=True).start()
        try:
            found = answer.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            raise DeadlineExceededError(f"{host} was not resolved in time") from None
        if isinstance(found, OSError):
            raise UnavailableError(f"{host} cannot be resolved: {found.strerror or found}") from None
        return found

    def _refuse(
        self, plugin: str, permission: Permission, target: str, found: list[Address], run_id: str | None
    ) -> None:
        at = ", ".join(map(str, found[:4])) or "no address"
        self._permissions.block(plugin, permission, target=f"{target} at {at}", run_id=run_id)
        port = target.rpartition(":")[2]
        nearer = [each for each in found if isinstance(each, ipaddress.IPv4Address)]
        hint = f"It would need network:{nearer[0]}:{port}, which names the address." if nearer else None
        raise PermissionDeniedError(
            f"{plugin} was denied {permission}: the name leads to {at}, on this computer or its own network",
            hint=hint,
            plugin=plugin,
        )


def _addresses(host: str, port: int) -> list[Address]:
    # AI_ADDRCONFIG is left out: it hides ::1 and 127.0.0.1 on a machine without other addresses.
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = [ipaddress.ip_address(str(row[4][0])) for row in rows]
    return list(dict.fromkeys(found))


def _connect_first(addresses: list[Address], host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time left."""
    reason = "nobody answers"
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            return _connect_to(family, str(address), port, left / (len(addresses) - number))
        except OSError as error:
            reason = error.strerror or str(error)
    if time.monotonic() >= deadline:
        raise DeadlineExceededError(f"{host}:{port} did not answer in time")
    raise UnavailableError(f"cannot connect to {host}:{port}: {reason}")


def _connect_to(family: int, address: str, port: int, seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect((address, port))
        connection.setblocking(True)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_live(connection: socket.socket) -> bool:
    """Whether it is open in one direction at least: who says no more may still listen."""
    poll = select.poll()
    poll.register(connection, 0)
    return not poll.poll(0)  # what is not asked for is told all the same: a hang-up both ways, or an error


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side had ended it
    finally:
        connection.close()
