"""Ways to a file, a device or a directory outside. Each returns what it got, or raises; plugin's side."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from typing import Any

from proxima.sandbox.linux.syscalls import call

AT_FDCWD = -100


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def open_by_openat2(host: Any) -> bytes:
    return read(call("openat2", AT_FDCWD, host.key.encode(), ctypes.create_string_buffer(24), 24))


def open_by_open_tree(host: Any) -> None:
    os.close(call("open_tree", AT_FDCWD, host.key.encode(), 0x80000))


def reopen_what_only_names_a_file(host: Any) -> bytes:
    named = os.open(host.key, os.O_PATH)
    return read(os.open(f"/proc/self/fd/{named}", os.O_RDONLY))


def open_from_a_named_directory(host: Any) -> bytes:
    home = os.open(host.home, os.O_PATH)
    return read(os.open("key", os.O_RDONLY, dir_fd=home))


def open_from_the_working_directory(host: Any) -> bytes:
    os.chdir(host.home)
    return read(os.open("key", os.O_RDONLY))


def list_by_a_named_directory(host: Any) -> list[str]:
    return os.listdir(host.home)


def learn_size_by_statx(host: Any) -> int:
    found = ctypes.create_string_buffer(256)
    call("statx", AT_FDCWD, host.key.encode(), 0, 0x7FF, found)
    return int(struct.unpack_from("Q", found, 40)[0])


def learn_existence_by_access(host: Any) -> None:
    call("faccessat", AT_FDCWD, host.key.encode(), 0)


def learn_existence_by_o_path(host: Any) -> None:
    os.close(os.open(host.key, os.O_PATH))


def learn_existence_by_chdir(host: Any) -> None:
    os.chdir(host.home)


def learn_where_a_link_leads(host: Any) -> str:
    return os.readlink(f"{host.home}/link")


def read_attributes(host: Any) -> list[str]:
    return os.listxattr(host.key)


def create_outside(host: Any) -> None:
    os.close(call("creat", f"{host.home}/created".encode(), 0o600))


def make_directory_outside(host: Any) -> None:
    os.mkdir(f"{host.home}/directory")


def remove_outside(host: Any) -> None:
    os.unlink(host.bait)


def move_in_from_outside(host: Any) -> None:
    os.rename(host.bait, f"{host.workspace}/bait")


def move_out_over_a_file(host: Any) -> None:
    with open(f"{host.workspace}/mine", "w") as file:
        file.write("mine")
    os.rename(f"{host.workspace}/mine", host.bait)


def exchange_with_outside(host: Any) -> None:
    with open(f"{host.workspace}/mine", "w") as file:
        file.write("mine")
    call("renameat2", AT_FDCWD, f"{host.workspace}/mine".encode(), AT_FDCWD, host.bait.encode(), 2)


def link_by_descriptor(host: Any) -> None:
    """Put a file of the host's under a name of one's own, by a descriptor that may be had of it."""
    named = os.open(f"{host.plugin}/data", os.O_PATH)
    call("linkat", AT_FDCWD, f"/proc/self/fd/{named}".encode(), AT_FDCWD, f"{host.workspace}/linked".encode(), 0x400)


def change_times_by_descriptor(host: Any) -> None:
    descriptor = os.open(f"{host.plugin}/data", os.O_RDONLY)
    os.utime(descriptor, (1, 1))


def make_setuid_by_descriptor(host: Any) -> None:
    with open(f"{host.workspace}/program", "w") as file:
        os.fchmod(file.fileno(), 0o6777)


def leave_a_whiteout(host: Any) -> None:
    with open(f"{host.workspace}/w", "w") as file:
        file.write("x")
    call("renameat2", AT_FDCWD, f"{host.workspace}/w".encode(), AT_FDCWD, f"{host.workspace}/v".encode(), 4)


def make_a_device(host: Any) -> None:
    os.mknod(f"{host.workspace}/zero", 0o20666, os.makedev(1, 5))


def bind_a_socket_in_the_workspace(host: Any) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{host.workspace}/socket")


def write_bytecode_of_the_plugin(host: Any) -> None:
    os.makedirs(f"{host.plugin}/__pycache__", exist_ok=True)
    os.close(os.open(f"{host.plugin}/__pycache__/module.cpython-311.pyc", os.O_CREAT | os.O_WRONLY))


def change_root(host: Any) -> None:
    os.chroot(host.home)


def make_a_file_system(host: Any) -> None:
    os.close(call("fsopen", b"tmpfs", 0))


def mount_over(host: Any) -> None:
    call("unshare", 0x20000)
    call("mount", b"x", host.workspace.encode(), b"tmpfs", 0, None)


def watch_everything(host: Any) -> None:
    os.close(call("fanotify_init", 0x200, 0))


def read_kernel_log(host: Any) -> int:
    return call("syslog", 10, None, 0)


def open_a_terminal(host: Any) -> None:
    os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))


def write_shared_memory_directory(host: Any) -> None:
    name = f"/dev/shm/proxima-escape-{os.getpid()}"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
    os.unlink(name)


def open_own_memory_file(host: Any) -> None:
    os.close(os.open("/proc/self/mem", os.O_RDWR))


def read_own_map(host: Any) -> bytes:
    return read(os.open("/proc/self/maps", os.O_RDONLY))


def read_starting_environment(host: Any) -> bytes:
    return read(os.open("/proc/self/environ", os.O_RDONLY))


def open_a_namespace_file(host: Any) -> None:
    os.close(os.open("/proc/self/ns/user", os.O_RDONLY))


def open_anothers_namespace_file(host: Any) -> None:
    os.close(os.open(f"/proc/{host.victim}/ns/user", os.O_RDONLY))


def open_anothers_descriptor(host: Any) -> None:
    os.close(os.open(f"/proc/{host.parent}/fd/0", os.O_RDONLY))


def read_connections_of_the_host(host: Any) -> bytes:
    return read(os.open("/proc/net/tcp", os.O_RDONLY))


def read_core_pattern(host: Any) -> bytes:
    return read(os.open("/proc/sys/kernel/core_pattern", os.O_RDONLY))


def write_processor_settings(host: Any) -> None:
    os.close(os.open(host.knob, os.O_WRONLY))


def read_the_record_of_permissions(host: Any) -> bytes:
    return read(os.open(host.permissions, os.O_RDONLY))


def grant_oneself(host: Any) -> None:
    os.close(os.open(host.permissions, os.O_RDWR))


def loosen_the_settings(host: Any) -> None:
    os.close(os.open(host.settings, os.O_RDWR))


def read_scratch_of_another(host: Any) -> bytes:
    return read(os.open(f"{host.other_scratch}/mine", os.O_RDONLY))


def write_scratch_of_another(host: Any) -> None:
    os.close(os.open(f"{host.other_scratch}/planted", os.O_CREAT | os.O_WRONLY))


def write_by_mapping(host: Any) -> None:
    """Write to a file of the plugin's own code where no call to write is seen."""
    descriptor = os.open(f"{host.plugin}/data", os.O_RDWR)
    with mmap.mmap(descriptor, 1) as memory:
        memory[0] = 121


def truncate_imported_code(host: Any) -> None:
    os.truncate(f"{host.plugin}/data", 0)


def hidden_temporary_file_that_runs_as_its_owner(host: Any) -> None:
    made = os.open(host.workspace, os.O_TMPFILE | os.O_WRONLY, 0o4755)
    mode = os.fstat(made).st_mode
    os.close(made)
    if not mode & 0o4000:
        raise OSError(errno.EPERM, "the bit was taken away")


def read_the_list_of_mounts(host: Any) -> bytes:
    return read(os.open("/proc/self/mountinfo", os.O_RDONLY))


def read_own_control_group(host: Any) -> bytes:
    return read(os.open("/proc/self/cgroup", os.O_RDONLY))


def read_facts_of_a_descriptor(host: Any) -> bytes:
    return read(os.open("/proc/self/fdinfo/0", os.O_RDONLY))


def read_the_symbols_of_the_kernel(host: Any) -> bytes:
    return read(os.open("/proc/kallsyms", os.O_RDONLY))


def list_processes(host: Any) -> list[str]:
    return os.listdir("/proc")


def make_others_be_killed_first(host: Any) -> None:
    """When memory runs out, Linux ends the process with the highest score."""
    with open("/proc/self/oom_score_adj", "r+") as file:
        file.write(file.read())
