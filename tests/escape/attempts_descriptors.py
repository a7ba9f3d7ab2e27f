"""Sockets, pipes and files in memory: what a descriptor could be made to reach. Plugin's side."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import struct
from typing import Any

from proxima.sandbox.linux.syscalls import call


def connect_by_the_call_itself(host: Any) -> None:
    descriptor = call("socket", 2, 1, 0)
    call("connect", descriptor, struct.pack("<HH4s8x", 2, socket.htons(host.tcp), bytes([127, 0, 0, 1])), 16)


def name_the_peer_of_the_channel(host: Any) -> int:
    left, _right = socket.socketpair()
    return int(struct.unpack("iii", left.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def pass_credentials(host: Any) -> None:
    left, _right = socket.socketpair()
    left.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def datagram_pair(host: Any) -> None:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        left, right = socket.socketpair(socket.AF_UNIX, kind)
        left.close()
        right.close()


def send_to_a_name_from_a_stream(host: Any) -> int:
    left, _right = socket.socketpair()
    try:
        return left.sendto(b"x", host.unix)
    except OSError as error:
        if error.errno in (errno.EISCONN, errno.EOPNOTSUPP):  # past the filter, if to no end
            return -1
        raise


def bind_a_pair_to_a_name(host: Any) -> None:
    left, _right = socket.socketpair()
    name = f"{host.workspace}/s".encode()
    call("bind", left.fileno(), b"\1\0" + name + b"\0", 3 + len(name))


def many_messages_at_once(host: Any) -> int:
    left, _right = socket.socketpair()
    return call("sendmmsg", left.fileno(), ctypes.create_string_buffer(64), 0, 0)


def notification_pipe(host: Any) -> None:
    ends = (ctypes.c_int * 2)()
    try:
        call("pipe2", ends, 0o200)
    except OSError as error:
        if error.errno in (errno.ENOPKG, errno.EINVAL):
            return  # past the filter; this kernel has none
        raise


def large_pipe(host: Any) -> None:
    reading, _writing = os.pipe()
    call("fcntl", reading, 1031, 1 << 20)


def memory_file(host: Any) -> None:
    os.close(os.memfd_create("x"))


def secret_memory(host: Any) -> None:
    try:
        os.close(call("memfd_secret", 0))
    except OSError as error:
        if host.locked or error.errno != errno.ENOSYS:
            raise


def zero_copy_into_a_pipe(host: Any) -> None:
    _reading, writing = os.pipe()
    data = ctypes.create_string_buffer(b"x", 8)
    call("vmsplice", writing, struct.pack("QQ", ctypes.addressof(data), 8), 1, 0)


def hold_descriptors_in_flight(host: Any) -> int:
    """Send descriptors that nobody receives, to have more than the limit; how many hold."""
    import array

    if not host.locked:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pairs = [socket.socketpair() for _ in range(20)]
    spare = os.open("/dev/null", os.O_RDONLY)
    held = 0
    for left, _right in pairs:
        try:
            while True:
                message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [spare] * 250))]
                left.sendmsg([b"x"], message, socket.MSG_DONTWAIT)
                held += 250
                if held >= 5000:
                    break
        except OSError:
            continue
    if held > 600:
        return held
    raise OSError(errno.ETOOMANYREFS, f"{held} hold")


def signals_on_readiness(host: Any) -> None:
    """Signals on readiness, from any descriptor to any process."""
    import fcntl

    left, _right = socket.socketpair()
    fcntl.fcntl(left, 15, struct.pack("ii", 1, host.victim))


def urgent_byte(host: Any) -> int:
    """Out-of-band data between unix sockets: rarely used code of the kernel that a renderer has escaped through."""
    left, _right = socket.socketpair()
    return left.send(b"x", socket.MSG_OOB)
