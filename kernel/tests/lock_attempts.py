"""Ways out that a plugin could try. Each returns what it got, or raises; `locked_child.py` runs them in a lock.

The numbers in the names are the rows of the escape corpus.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from typing import Any

from proxima.sandbox.linux.syscalls import call

AT_FDCWD = -100


def r01_read_a_key(host: Any) -> str:
    with open(host.key) as file:
        return file.read()


def r02_stat_a_key(host: Any) -> int:
    return os.stat(host.key).st_size


def r03_follow_a_symlink(host: Any) -> str:
    with open(f"{host.workspace}/link-to-key") as file:
        return file.read()


def r04_hardlink_a_key(host: Any) -> None:
    os.link(host.key, f"{host.workspace}/hard")


def r05_walk_up(host: Any) -> str:
    with open(f"{host.workspace}/../home/key") as file:
        return file.read()


def r06_write_outside(host: Any) -> None:
    with open(f"{host.home}/dropped", "w") as file:
        file.write("x")


def r07_chmod_a_key(host: Any) -> None:
    os.chmod(host.key, 0o666)


def r07_touch_a_key(host: Any) -> None:
    os.utime(host.key, (1, 1))


def r07_truncate_a_key(host: Any) -> None:
    os.truncate(host.spare_key, 0)


def r07_label_a_key(host: Any) -> None:
    os.setxattr(host.key, "user.proxima", b"x")


def r07_truncate_what_is_only_read(host: Any) -> None:
    os.close(os.open(f"{host.plugin}/data", os.O_RDONLY | os.O_TRUNC))


def r08_read_the_kernels_environment(host: Any) -> int:
    with open(f"/proc/{host.parent}/environ", "rb") as file:
        return len(file.read()) + 1


def r09_open_the_kernels_memory(host: Any) -> None:
    os.close(os.open(f"/proc/{host.parent}/mem", os.O_RDWR))


def r10_read_the_kernels_memory(host: Any) -> int:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    mine = ctypes.create_string_buffer(16)
    local = Vector(ctypes.addressof(mine), 16)
    remote = Vector(host.secret_address, 16)
    return call("process_vm_readv", host.parent, local, 1, remote, 1, 0)


def r11_attach_to_a_process(host: Any) -> None:
    call("ptrace", 0x4206, host.victim, 0, 0)


def r12_signal_a_process(host: Any) -> None:
    os.kill(host.victim, signal.SIGCONT)


def r12_signal_a_thread(host: Any) -> None:
    call("tgkill", host.victim, host.victim, signal.SIGCONT)


def r12_signal_by_pidfd(host: Any) -> None:
    call("pidfd_send_signal", call("pidfd_open", host.victim, 0), signal.SIGCONT, None, 0)


def r12_signal_the_group(host: Any) -> None:
    os.kill(-host.group, 0)


def r12_signal_by_socket_owner(host: Any) -> None:
    import fcntl

    left, _right = socket.socketpair()
    fcntl.fcntl(left, fcntl.F_SETOWN, host.victim)


def r12_queue_a_signal(host: Any) -> None:
    info = ctypes.create_string_buffer(struct.pack("iii", signal.SIGCONT, 0, -1), 128)
    call("rt_sigqueueinfo", host.victim, signal.SIGCONT, info)


def r13_connect_tcp(host: Any) -> None:
    socket.create_connection(("127.0.0.1", host.tcp), timeout=2).close()


def r13_fast_open(host: Any) -> int:
    with socket.socket() as plain:
        return plain.sendto(b"stolen", 0x20000000, ("127.0.0.1", host.tcp))


def r13_mptcp(host: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as multi:
        multi.connect(("127.0.0.1", host.tcp))


def r13_listen(host: Any) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def r13_fast_open_on_the_channel(host: Any) -> None:
    left, _right = socket.socketpair()
    try:
        left.send(b"x", 0x20000000)
    except PermissionError:
        raise
    except OSError as error:  # the flag means nothing to a unix socket, but it got past the filter
        if error.errno != errno.EOPNOTSUPP:
            raise


def r14_send_udp(host: Any) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        return datagram.sendto(b"stolen", ("127.0.0.1", host.udp))


def r15_connect_a_unix_socket(host: Any) -> None:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(host.unix)


def r15_send_from_a_socketpair(host: Any) -> int:
    left, _right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return left.sendto(b"stolen", host.unix_datagram)


def r16_connect_an_abstract_socket(host: Any) -> None:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(host.abstract)


def r17_netlink(host: Any) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def r17_vsock(host: Any) -> None:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


def r18_run_a_program(host: Any) -> bytes:
    import subprocess

    return subprocess.run(["/bin/echo", "ran"], check=True, capture_output=True).stdout


def r18_exec_in_place(host: Any) -> None:
    try:
        os.execv("/nonexistent/program", ["x"])
    except FileNotFoundError:
        return  # it was the file that was missing, not the right


def r19_fork(host: Any) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def r19_clone3(host: Any) -> None:
    arguments = ctypes.create_string_buffer(88)
    struct.pack_into("Q", arguments, 32, signal.SIGCHLD)
    child = call("clone3", arguments, 88)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def r19_clone_with_a_namespace(host: Any) -> None:
    child = call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def r20_run_from_memory(host: Any) -> None:
    memory = call("memfd_create", b"x", 0)
    os.write(memory, b"not a program")
    try:
        call("execveat", memory, b"", None, None, 0x1000)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise


def r21_io_uring(host: Any) -> None:
    os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


def r22_new_user_namespace(host: Any) -> None:
    call("unshare", 0x10000000)


def r22_enter_a_namespace(host: Any) -> None:
    call("setns", call("pidfd_open", host.parent, 0), 0x04000000)


def r23_userfaultfd(host: Any) -> None:
    os.close(call("userfaultfd", 1))


def r23_keyring(host: Any) -> int:
    return call("keyctl", 0, -3, 1)


def r23_shared_memory_segment(host: Any) -> None:
    call("shmctl", call("shmget", 0, 4096, 0o1600), 0, None)


def r23_message_queue(host: Any) -> None:
    call("mq_unlink", b"none") if call("mq_open", b"none", os.O_CREAT | os.O_RDWR, 0o600, None) else None


def r24_environment(host: Any) -> str:
    return os.environ["PROXIMA_TEST_SECRET"]


def r25_inherited_descriptor(host: Any) -> bytes:
    for descriptor in range(256):  # by whatever number
        with contextlib.suppress(OSError):
            if (found := os.pread(descriptor, 16, 0)) == b"secret":
                return found
    raise OSError(errno.EBADF, "no descriptor gives it")


def r26_map_12_gib(host: Any) -> None:
    mmap.mmap(-1, 12 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000).close()


def r27_forty_forks(host: Any) -> None:
    for _ in range(40):
        r19_fork(host)


def r28_open_600_files(host: Any) -> None:
    opened: list[int] = []
    try:
        while len(opened) < 600:
            opened += [os.open("/dev/null", os.O_RDONLY)]
    finally:
        for each in opened:
            os.close(each)


def r28_raise_a_limit(host: Any) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))


def r29_file_of_4_gib(host: Any) -> None:
    with open(f"{host.workspace}/large", "wb") as file:
        file.truncate(4 << 30)


def r29_memory_file(host: Any) -> None:
    memory = call("memfd_create", b"x", 0)
    os.ftruncate(memory, 1 << 20)


def r30_drop_a_pth(host: Any) -> None:
    with open(f"{host.plugin}/evil.pth", "w") as file:
        file.write("import os")


def r31_patch_the_kernels_code(host: Any) -> None:
    import proxima.errors

    os.close(os.open(proxima.errors.__file__, os.O_RDWR))


def r31_rename_imported_code(host: Any) -> None:
    os.rename(f"{host.plugin}/module.py", f"{host.plugin}/other.py")
    os.rename(f"{host.plugin}/other.py", f"{host.plugin}/module.py")


def r32_limit_the_kernel(host: Any) -> None:
    call("prlimit64", host.victim, resource.RLIMIT_CORE, struct.pack("QQ", 0, 0), None)


def r32_slow_the_kernel(host: Any) -> None:
    os.setpriority(os.PRIO_PROCESS, host.victim, 19)


def r33_pin_the_kernel(host: Any) -> None:
    os.sched_setaffinity(host.victim, os.sched_getaffinity(host.victim))


def r34_read_the_user_list(host: Any) -> str:
    with open("/etc/passwd") as file:
        return file.read()[:10]


def r34_list_the_root(host: Any) -> list[str]:
    return os.listdir("/")


def r34_read_a_command_line(host: Any) -> bytes:
    with open(f"/proc/{host.parent}/cmdline", "rb") as file:
        return file.read()


def r36_call_by_the_32_bit_door(host: Any) -> int:
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    code = mmap.mmap(-1, 4096, private, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    got = function()
    if got != os.getpid():
        raise OSError(errno.ENOSYS, "the kernel has no 32-bit calls")
    return got


def x_open_by_handle(host: Any) -> None:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    call("name_to_handle_at", AT_FDCWD, host.key.encode(), handle, ctypes.create_string_buffer(8), 0)


def x_watch_a_directory(host: Any) -> None:
    call("inotify_add_watch", call("inotify_init1", 0), host.home.encode(), 0x100)


def x_make_a_symlink(host: Any) -> None:
    os.symlink("/etc/passwd", f"{host.workspace}/left-behind")


def x_rename_a_symlink(host: Any) -> None:
    """Put a link that is there already where somebody trusts a name."""
    os.rename(f"{host.workspace}/link-to-key", f"{host.workspace}/trusted")
    os.rename(f"{host.workspace}/trusted", f"{host.workspace}/link-to-key")


def x_make_a_fifo(host: Any) -> None:
    os.mkfifo(f"{host.workspace}/fifo")


def x_take_a_descriptor(host: Any) -> None:
    call("pidfd_getfd", call("pidfd_open", host.parent, 0), host.open_secret, 0)


def x_compare_processes(host: Any) -> None:
    call("kcmp", os.getpid(), host.victim, 1, 0, 0)


def x_leave_the_root(host: Any) -> str:
    os.chdir("/")
    for _ in range(20):
        os.chdir("..")
    with open(host.key.lstrip("/")) as file:
        return file.read()


def x_read_through_own_descriptors(host: Any) -> str:
    with open(f"/proc/self/root{host.key}") as file:
        return file.read()


def x_file_that_runs_as_its_owner(host: Any) -> None:
    made = os.open(f"{host.workspace}/setuid", os.O_CREAT | os.O_WRONLY, 0o4755)
    mode = os.fstat(made).st_mode
    os.close(made)
    if not mode & 0o4000:
        raise OSError(errno.EPERM, "the bit was taken away")


def x_thousand_threads(host: Any) -> int:
    threading.stack_size(64 << 10)
    gate = threading.Event()
    threads = []
    try:
        for _ in range(1000):
            threads.append(threading.Thread(target=gate.wait, daemon=True))
            threads[-1].start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, f"after {len(threads)}: {error}") from None
    finally:
        gate.set()
    return len(threads)


def x_library_from_scratch(host: Any) -> None:
    """Map a file that the worker wrote as code; only tier A refuses it, and memory of its own may run anyway."""
    with open(f"{host.scratch}/code.so", "wb") as file:
        file.write(b"\x90" * 4096)
    with open(f"{host.scratch}/code.so", "rb") as file:
        mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()


def x_core_dump_settings(host: Any) -> None:
    call("prctl", 4, 1, 0, 0, 0)


def x_ignore_the_parents_death(host: Any) -> None:
    call("prctl", 1, 0, 0, 0, 0)


def x_new_session(host: Any) -> None:
    call("setsid")


def x_steal_input_of_a_terminal(host: Any) -> None:
    left, _right = socket.socketpair()
    try:
        call("ioctl", left.fileno(), 0x5412, b"x")
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.EIO):
            raise


def x_peer_process_descriptor(host: Any) -> None:
    left, _right = socket.socketpair()
    os.close(struct.unpack("i", left.getsockopt(socket.SOL_SOCKET, 77, 4))[0])


def x_attach_a_packet_filter(host: Any) -> None:
    left, _right = socket.socketpair()
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF))
    left.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", 1, ctypes.addressof(code)))


def limit_of_processor_time(host: Any) -> None:
    while True:
        sum(range(10000))


def limit_of_memory(host: Any) -> None:
    bytearray(1 << 30)


# What must keep working.


def ok_write_and_rename_in_the_workspace(host: Any) -> str:
    os.makedirs(f"{host.workspace}/a/b", exist_ok=True)
    with open(f"{host.workspace}/a/b/file", "w") as file:
        file.write("mine")
    os.rename(f"{host.workspace}/a/b/file", f"{host.workspace}/a/file")
    with open(f"{host.workspace}/a/file") as file:
        return file.read()


def ok_temporary_file(host: Any) -> bool:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        return file.name.startswith(host.scratch)


def ok_threads(host: Any) -> int:
    found: list[int] = []
    threads = [threading.Thread(target=found.append, args=(i,)) for i in range(32)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return len(found)


def ok_import_from_the_plugin(host: Any) -> int:
    sys.path.insert(0, host.plugin)
    import module

    return int(module.ANSWER)


def ok_socketpair_and_select(host: Any) -> bytes:
    left, right = socket.socketpair()
    left.sendall(b"hello")
    select.select([right], [], [], 1)
    left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))
    return right.recv(5)


def ok_asyncio(host: Any) -> int:
    import asyncio

    async def add() -> int:
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(lambda: 42)

    return asyncio.run(add())


def ok_random_and_time(host: Any) -> int:
    import time

    time.sleep(0.001)
    return len(os.urandom(8))


def ok_numpy(host: Any) -> float:
    import numpy as np

    a = np.random.default_rng(1).normal(size=(200, 200))
    return float(np.linalg.norm(np.linalg.inv(a) @ a - np.eye(200)))


def ok_signal_oneself(host: Any) -> int:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    return os.getpid()


def _run_a_circuit(backend: Any) -> int:
    from proxima.contracts.backend import RunContext, RunRequest
    from proxima.contracts.circuit import Circuit

    builder = Circuit.builder(10, 10)
    builder.h(0)
    for qubit in range(9):
        builder.cx(qubit, qubit + 1)
    for qubit in range(10):
        builder.measure(qubit, qubit)
    plan = backend.plan(RunRequest(circuit=builder.build(), shots=100, seed=7))
    counts = backend.run(plan, RunContext(threads=2)).counts
    assert set(counts) == {"0" * 10, "1" * 10}, counts
    return sum(counts.values())


def engine_qsim(host: Any) -> int:
    sys.path[:0] = host.import_paths
    from proxima_backend_qsim.backend import QsimBackend

    return _run_a_circuit(QsimBackend())


def engine_aer(host: Any) -> int:
    sys.path[:0] = host.import_paths
    from proxima_backend_qiskit_aer.backend import QiskitAerBackend

    return _run_a_circuit(QiskitAerBackend())


def engine_aer_with_qiskit_and_openmp(host: Any) -> list[int]:
    """Qiskit's own front end, and enough qubits and threads for Aer's OpenMP to start threads."""
    sys.path[:0] = host.import_paths
    import qiskit
    from qiskit_aer import AerSimulator

    circuit = qiskit.QuantumCircuit(16)
    for qubit in range(16):
        circuit.h(qubit)
    circuit.measure_all()
    simulator = AerSimulator(method="statevector", max_parallel_threads=4, statevector_parallel_threshold=2)
    counts = simulator.run(qiskit.transpile(circuit, simulator), shots=50).result().get_counts()
    return [sum(counts.values()), len(os.environ["OMP_NUM_THREADS"])]


def engine_scipy(host: Any) -> float:
    sys.path[:0] = host.import_paths
    import numpy as np
    import scipy.linalg

    return float(scipy.linalg.svdvals(np.eye(64)).sum())
