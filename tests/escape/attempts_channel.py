"""What a plugin says to the kernel: requests to the brokers, and bytes that are no message. Plugin's side.

A control has no kernel to ask; there, what a trusting broker would do is done in its place.
"""

from __future__ import annotations

import array
import gc
import os
import socket
import struct
import threading
import time
from typing import Any


def peer() -> Any:
    from proxima.sandbox.rpc import Peer

    return next((each for each in gc.get_objects() if isinstance(each, Peer)), None)


def open_file(path: str, mode: str = "r") -> bytes:
    if (kernel := peer()) is None:
        with open(path.split("\0")[0], mode) as file:
            return file.read().encode() if mode == "r" else b"opened"
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


def ask_for_a_directory_as_a_device(host: Any) -> bytes:
    return open_file("/dev/zero", "r+")


def ask_to_write_settings(host: Any) -> bytes:
    return open_file(host.settings, "a")


def ask_to_write_the_kernels_code(host: Any) -> bytes:
    import proxima.errors

    return open_file(proxima.errors.__file__, "a")


def ask_for_a_secret(host: Any) -> str:
    kernel = peer()
    return os.environ["PROXIMA_SECRET_ESCAPE"] if kernel is None else kernel.call("secrets.get", ("ESCAPE",))


def ask_for_a_secret_by_an_odd_name(host: Any) -> list[str]:
    """Names that a careless lookup would take for an environment variable, a wildcard or another's permission."""
    kernel = peer()
    if kernel is None:
        return [os.environ["PROXIMA_SECRET_ESCAPE"]]
    got, last = [], None
    for name in (
        "*",
        "",
        "ESCAPE\0",
        "ESCAPE ",
        "escape",
        "../ESCAPE",
        "ESCAPE:x",
        "\nESCAPE",
        "ÉSCAPE",
        "ESCAPE" * 999,
    ):
        try:
            got.append(kernel.call("secrets.get", (name,)))
        except Exception as error:  # noqa: BLE001 - each name meets its own refusal; the last one is told
            last = error
    if not got and last is not None:
        raise last
    return got


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
    """The host itself, spelt in each way that some parser takes for something else."""
    kernel = peer()
    reached, last = [], None
    for name in SPELLINGS:
        if name.startswith("169") and kernel is None:
            continue  # nobody's control should ask a cloud for its keys
        try:
            if kernel is None:
                socket.create_connection((name, host.tcp), timeout=1).close()
            else:
                kernel.call_for_fds("network.connect", (name, host.tcp, 1.0), 1, returns=None)
            reached.append(name)
        except Exception as error:  # noqa: BLE001 - each spelling meets its own refusal; the last one is told
            last = error
    if not reached and last is not None:
        raise last
    return reached


def connect_elsewhere_than_granted(host: Any) -> list[str]:
    """`network:localhost:PORT` is granted; another port, another name and another address are not."""
    kernel = peer()
    if kernel is None:
        socket.create_connection(("127.0.0.1", host.tcp), timeout=1).close()
        return ["127.0.0.1"]
    _, (descriptor,) = kernel.call_for_fds("network.connect", ("localhost", host.granted, 1.0), 1, returns=None)
    os.close(descriptor)
    reached, last = [], None
    for name, port in (
        ("localhost", host.tcp),
        ("127.0.0.1", host.granted),
        ("localhost", -1),
        ("localhost", 65536 + host.tcp),
    ):
        try:
            kernel.call_for_fds("network.connect", (name, port, 1.0), 1, returns=None)
            reached.append(f"{name}:{port}")
        except Exception as error:  # noqa: BLE001 - each meets its own refusal; the last one is told
            last = error
    if not reached and last is not None:
        raise last
    return reached


def aim_a_granted_socket_elsewhere(host: Any) -> list[str]:
    """Use the connected socket that the kernel passed to reach another port."""
    kernel = peer()
    target = struct.pack("<HH4s8x", socket.AF_INET, socket.htons(host.tcp), socket.inet_aton("127.0.0.1"))
    if kernel is None:
        plain = socket.create_connection(("127.0.0.1", host.granted), timeout=1)
        descriptor = plain.fileno()
    else:
        _, (descriptor,) = kernel.call_for_fds("network.connect", ("localhost", host.granted, 1.0), 1, returns=None)
    from proxima.sandbox.linux.syscalls import call

    done, last = [], None
    for name, attempt in (
        ("disconnect", lambda: call("connect", descriptor, bytes(16), 16)),
        ("connect", lambda: call("connect", descriptor, target, 16)),
        ("fast open", lambda: call("sendto", descriptor, b"x", 1, 0x20000000, target, 16)),
        ("listen", lambda: call("listen", descriptor, 1)),
        ("bind to device", lambda: call("setsockopt", descriptor, 1, 25, b"lo\0", 3)),
        ("repair", lambda: call("setsockopt", descriptor, 6, 19, struct.pack("i", 1), 4)),
        ("other protocol", lambda: call("setsockopt", descriptor, 6, 31, b"tls\0", 4)),
    ):
        try:
            attempt()
            done.append(name)
        except OSError as error:
            last = error
    if not done and last is not None:
        raise last
    return done


def call_what_is_not_served(host: Any) -> list[str]:
    """Methods that only the kernel may ask for, or nobody."""
    kernel = peer()
    answered, last = [], None
    for method in (
        "load",
        "call",
        "plan",
        "run",
        "tell",
        "spawn",
        "reap",
        "grant",
        "permissions.grant",
        "__init__",
        "",
        "serve",
    ):
        try:
            kernel.call(method, {}, deadline=time.monotonic() + 2)
            answered.append(method)
        except Exception as error:  # noqa: BLE001 - each meets its own refusal; the last one is told
            last = error
    if not answered and last is not None:
        raise last
    return answered


def borrow_all_memory(host: Any) -> int:
    """Lease shared buffers until the kernel says no; how much that was, if it is more than it should lend."""
    kernel = peer()
    held = 0
    while held < 64 << 30:
        kernel._exchange("$lease", 1 << 30, None, time.monotonic() + 5)
        held += 1 << 30
        if held > 8 << 30:
            return held
    return held


def raw() -> int:
    return peer()._channel.fileno()


def send(*message: object) -> None:
    import msgpack

    send_bytes(msgpack.packb(list(message)))


def send_bytes(data: bytes) -> None:
    os.write(raw(), struct.pack("<I", len(data)) + data)
    time.sleep(5)


def answer(value: object) -> None:
    """Answer call 2, the first after `load`, which is the one that is being served."""
    send(2, 2, {"$": "ToolResult", "text": "x", "data": value, "failed": False}, None, 0)


def of_array(dtype: object, shape: object, data: bytes) -> None:
    answer({"$": "array", "d": dtype, "s": shape, "b": data})


def wire_three_gib(host: Any) -> None:
    os.write(raw(), struct.pack("<I", 3 << 30))
    time.sleep(5)


def wire_array_header_of_4_gi(host: Any) -> None:
    send_bytes(b"\xdd\xff\xff\xff\xff")


def wire_million_empty_lists(host: Any) -> None:
    kernel = peer()
    kernel._channel._socket.sendall(
        struct.pack("<I", 5 + (2 << 20)) + b"\xdd" + struct.pack(">I", 2 << 20) + b"\x90" * (2 << 20)
    )
    time.sleep(5)


def wire_slow(host: Any) -> None:
    for byte in struct.pack("<I", 400) + bytes(400):
        os.write(raw(), bytes([byte]))
        time.sleep(0.05)


def wire_pickle(host: Any) -> None:
    send_bytes(b"cos\nsystem\n(S'true'\ntR.")


def wire_extension(host: Any) -> None:
    send_bytes(b"\xc7\x00\x05")


def wire_timestamp(host: Any) -> None:
    send_bytes(b"\xd6\xff\x00\x00\x00\x01")


def wire_deep(host: Any) -> None:
    send_bytes(b"\x91" * 100_000 + b"\xc0")


def wire_hundred_descriptors(host: Any) -> None:
    spare = os.open("/dev/null", os.O_RDONLY)
    message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [spare] * 100))]
    socket.socket(fileno=os.dup(raw())).sendmsg([struct.pack("<I", 1) + b"\xc0"], message)
    time.sleep(5)


def wire_one_descriptor(host: Any) -> None:
    """One descriptor, of a file in the scratch directory, as if it were a shared buffer."""
    mine = os.open("mine", os.O_CREAT | os.O_RDWR)
    message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [mine]))]
    socket.socket(fileno=os.dup(raw())).sendmsg([struct.pack("<I", 1) + b"\xc0"], message)
    time.sleep(5)


def wire_array_of_pointers(host: Any) -> None:
    of_array("|O", [1], b"\x41" * 8)


def wire_array_of_records(host: Any) -> None:
    of_array([["a", "<f8"]], [1], bytes(8))


def wire_array_of_text(host: Any) -> None:
    of_array("<U2", [1], b"\xff" * 8)


def wire_negative_shape(host: Any) -> None:
    of_array("<f8", [-1, -1], bytes(8))


def wire_shape_that_overflows(host: Any) -> None:
    of_array("<f8", [1 << 32, 1 << 32, 0], b"")


def wire_shape_of_truth(host: Any) -> None:
    of_array("<f8", [True], bytes(8))


def wire_forty_dimensions(host: Any) -> None:
    of_array("<f8", [1] * 70, bytes(8))


def wire_truncated_array(host: Any) -> None:
    of_array("<c16", [1 << 20], bytes(16))


def wire_class_of_the_kernel(host: Any) -> None:
    answer({"$": "Kernel", "paths": None})


def wire_class_by_module(host: Any) -> None:
    answer({"$": "os.system", "command": "true"})


def wire_private_field(host: Any) -> None:
    send(2, 2, {"$": "ToolResult", "text": "x", "data": None, "failed": False, "__class__": "x"}, None, 0)


def wire_circuit_that_points_outside(host: Any) -> None:
    from proxima.contracts.circuit import Circuit

    good = Circuit.builder(1, 1).h(0).measure(0, 0).build().to_bytes()
    answer({"$": "Circuit", "v": good.replace(b"\x01", b"\xff")})


def wire_result_of_another_type(host: Any) -> None:
    send(2, 2, "text alone", None, 0)


def wire_huge_integer(host: Any) -> None:
    answer({"$": "int", "b": b"\xff" * (1 << 20)})


def wire_buffer_beyond_its_end(host: Any) -> None:
    answer_in = {"$": "array", "d": "<f8", "s": [1 << 17], "o": (1 << 20) - 8}
    kernel = peer()
    _, ref, _ = kernel._exchange("$lease", 1 << 20, None, time.monotonic() + 5)
    send(2, 2, {"$": "ToolResult", "text": "x", "data": answer_in, "failed": False}, [*list(ref)[:2], False], 0)


def wire_buffer_never_lent(host: Any) -> None:
    send(2, 2, "x", [7, 1 << 20, False], 0)


def wire_free_twice(host: Any) -> None:
    send(6, 3)


def wire_answer_twice(host: Any) -> None:
    import msgpack

    data = msgpack.packb([2, 2, {"$": "ToolResult", "text": "x", "data": None, "failed": False}, None, 0])
    os.write(raw(), 2 * (struct.pack("<I", len(data)) + data))
    time.sleep(5)


def wire_answer_for_another_call(host: Any) -> None:
    send(2, 999_999, "x", None, 0)


def wire_call_of_a_truth_value(host: Any) -> None:
    send(2, True, "x", None, 0)


def wire_unknown_kind(host: Any) -> None:
    send(42, 2)


def wire_kind_that_is_a_list(host: Any) -> None:
    send([1], 2)


def keep_open(kernel: Any) -> None:
    """The worker's own reader knows nothing of these calls, and must not end the conversation at their answers."""
    kernel._fail = lambda *_, **__: None
    kernel._over.set = lambda: None
    type(kernel._channel).shutdown = lambda self: None
    type(kernel._channel).close = lambda self: None


def wire_request_without_end(host: Any) -> None:
    """More requests at once than may be."""
    import msgpack

    frames = b"".join(
        struct.pack("<I", len(data)) + data
        for data in (msgpack.packb([1, n, "results.list", [10, None], None]) for n in range(5000))
    )
    kernel = peer()
    keep_open(kernel)
    kernel._channel._socket.sendall(frames)
    time.sleep(5)


def wire_flood_of_progress(host: Any) -> None:
    import msgpack

    data = msgpack.packb([4, 2, 0.5, "x" * 900])
    frames = (struct.pack("<I", len(data)) + data) * 200
    for _ in range(100):
        peer()._channel._socket.sendall(frames)
    time.sleep(5)


def wire_progress_that_is_no_number(host: Any) -> None:
    send(4, 2, float("nan"), "x")


def wire_error_that_exits(host: Any) -> None:
    """An error of a class that would end the kernel, or that a name could find by accident."""
    send(3, 2, "SystemExit", "leaving", None, {}, "")


def wire_error_of_a_private_name(host: Any) -> None:
    send(3, 2, "__builtins__", "x" * 100_000, None, {}, "")


def wire_error_with_a_place(host: Any) -> None:
    send(3, 2, "CircuitSyntaxError", "x", None, {"path": "x", "line": "y", "column": 1, "token": "t"}, "")


def wire_text_that_is_not_utf8(host: Any) -> None:
    send_bytes(b"\x95\x02\x02\xa4\xff\xfe\xfd\xfc\xc0\x00")


def wire_end_in_the_middle(host: Any) -> None:
    os.write(raw(), struct.pack("<I", 1000) + b"x")
    os._exit(0)


def wire_two_threads_at_once(host: Any) -> None:
    """Frames that are cut into each other."""
    data = struct.pack("<I", 64) + bytes(64)
    threads = [threading.Thread(target=os.write, args=(raw(), data[: 10 + n])) for n in range(8)]
    for each in threads:
        each.start()
    time.sleep(5)


def shared_buffer() -> int:
    """A descriptor of a buffer that the kernel lent; a control makes one as a careless kernel would."""
    from proxima.sandbox.shm import MappedBuffers

    kernel = peer()
    if kernel is None:
        made = os.memfd_create("buffer", os.MFD_ALLOW_SEALING)
        os.ftruncate(made, 1 << 20)
        return made
    kept: list[int] = []
    original = MappedBuffers.add

    def keep(self: Any, index: int, size: int, descriptor: int) -> Any:
        kept.append(os.dup(descriptor))
        return original(self, index, size, descriptor)

    MappedBuffers.add = keep  # type: ignore[method-assign]
    kernel._exchange("$lease", 1 << 20, None, time.monotonic() + 5)
    return kept[0]


def shrink_a_shared_buffer(host: Any) -> None:
    os.ftruncate(shared_buffer(), 0)


def grow_a_shared_buffer(host: Any) -> None:
    os.ftruncate(shared_buffer(), 4 << 30)


def seal_a_shared_buffer(host: Any) -> None:
    import fcntl

    fcntl.fcntl(shared_buffer(), fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
