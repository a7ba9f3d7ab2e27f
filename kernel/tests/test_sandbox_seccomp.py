"""The seccomp filter: what its program decides, and what the kernel makes of it."""

from __future__ import annotations

import errno
import json
import os
import platform
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.sandbox.linux import seccomp
from proxima.sandbox.linux.bpf import ALLOW, KILL, Check, assemble, error
from proxima.sandbox.linux.syscalls import AUDIT_ARCH, COMMON_LAST, numbers

MACHINES = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
PID = 4242
EPERM, ENOSYS = error(errno.EPERM), error(errno.ENOSYS)


def decide(program: bytes, machine: str, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Runs a program as the kernel's classic BPF interpreter would."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, AUDIT_ARCH[machine], 0, *(word % 2**64 for word in words))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            at += k
        elif operation == 0x15:
            at += if_true if accumulator == k else if_false
        elif operation == 0x35:
            at += if_true if accumulator >= k else if_false
        elif operation == 0x06:
            return k
        else:
            raise AssertionError(f"instruction {operation:#x} is not one of the assembler's")


def ask(machine: str, name: str, *arguments: int, subprocess: bool = False) -> int:
    return decide(seccomp.program(machine, PID, subprocess=subprocess), machine, numbers(machine)[name], arguments)


@MACHINES
@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("clone", [(0x3D0F00,), (0x10400,)],
         [(17,), (0x10000,), (0,), (0x10010400,), (0x20010400,), (0x7E010400,), (0x4011,)]),
        ("close_range", [(3, 9, 0), (3, 9, 4)], [(3, 9, 2), (3, 9, 6)]),
        *(
            (f"clock_{name}", [(0,), (1,), (2,), (3,), (7,), (11,)], [(-6,), ((~PID << 3) | 2,), ((~1 << 3) | 2,)])
            for name in ("gettime", "getres", "nanosleep")
        ),
        ("kill", [(PID, 9)], [(0, 9), (-1, 9), (-PID, 9), (1, 9), (PID + 1, 0)]),
        ("tgkill", [(PID, PID, 6)], [(1, 1, 6)]),
        ("prlimit64", [(0, 7), (PID, 7)], [(1, 7), (-1, 7)]),
        ("sched_setaffinity", [(0,), (PID,)], [(1,)]),
        ("get_robust_list", [(0,)], [(1,)]),
        ("openat", [(-100, 0, 0), (-100, 0, 0o100, 0o644), (-100, 0, 2), (-100, 0, 0o1001), (-100, 0, 0, 0o4000)],
         [(-100, 0, 0o1000), (-100, 0, 3), (-100, 0, 0o101, 0o4755), (-100, 0, 0o20200002, 0o2755)]),
        ("mmap", [(0, 4096, 3, 0x22), (0, 4096, 3, 1), (0, 4096, 3, 0x20022)],
         [(0, 4096, 3, 0x40022), (0, 4096, 3, 0x21), (0, 4096, 3, 0x23), (0, 4096, 3, 0x40001)]),
        ("renameat2", [(-100, 0, -100, 0, 0), (-100, 0, -100, 0, 1)], [(-100, 0, -100, 0, 4)]),
        ("fcntl", [(3, 1030), (3, 4), (3, 6)], [(3, 8, 1), (3, 10, 9), (3, 15), (3, 1024), (3, 1026), (3, 1031)]),
        ("ioctl", [(0, 0x5401), (0, 0x5413)], [(0, 0x5412), (0, 0x8901), (0, 0x5410), (0, 0x541C), (0, 0xC0045401)]),
        ("prctl", [(15,), (16,)], [(1,), (4,), (22,), (23,), (24,), (38,), (47,), (0x59616D61,)]),
        ("socketpair", [(1, 1), (1, 0x80001), (1, 0x801)], [(1, 2), (1, 5), (2, 1), (16, 3)]),
        ("sendto", [(3, 1, 1, 0), (3, 1, 1, 0x4000)],
         [(3, 1, 1, 0x20000000), (3, 1, 1, 1), (3, 1, 1, 0, 1), (3, 1, 1, 0, 2**32), (3, 1, 1, 0, 2**40 + 1)]),
        ("sendmsg", [(3, 1, 0x4000)], [(3, 1, 0x20004000), (3, 1, 0x4001)]),
        ("setsockopt", [(3, 1, 9), (3, 6, 1)], [(3, 1, 26), (3, 1, 25), (3, 6, 31), (3, 0, 1), (3, 41, 26), (3, 6, 9)]),
        ("getsockopt", [(3, 1, 4)], [(3, 1, 77), (3, 1, 17), (3, 6, 35)]),
    ],
)  # fmt: skip
def test_arguments_decide(
    machine: str, name: str, allowed: list[tuple[int, ...]], refused: list[tuple[int, ...]]
) -> None:
    assert [ask(machine, name, *each) for each in allowed] == [ALLOW] * len(allowed)
    assert [ask(machine, name, *each) for each in refused] == [EPERM] * len(refused)


@MACHINES
def test_nothing_that_takes_a_path_a_process_or_starts_anything_is_plain(machine: str) -> None:
    table = numbers(machine)
    never = """
    execve execveat fork vfork ptrace process_vm_readv process_vm_writev kcmp pidfd_open pidfd_getfd pidfd_send_signal
    process_madvise process_mrelease move_pages migrate_pages setpriority ioprio_set sched_setscheduler sched_setattr
    rt_sigqueueinfo rt_tgsigqueueinfo tkill waitid setpgid setsid socket connect bind listen accept accept4 sendmmsg
    mount umount2 move_mount open_tree fsopen fsmount fsconfig fspick mount_setattr pivot_root chroot setns unshare
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utimensat utime utimes futimesat truncate setxattr
    lsetxattr fsetxattr removexattr link linkat symlink symlinkat mknod mknodat name_to_handle_at open_by_handle_at
    openat2 inotify_add_watch inotify_init1 fanotify_init fanotify_mark memfd_create memfd_secret userfaultfd bpf
    perf_event_open add_key request_key keyctl shmget shmat shmctl semget semop msgget msgsnd mq_open quotactl
    quotactl_fd swapon acct reboot kexec_load init_module finit_module delete_module iopl ioperm modify_ldt personality
    seccomp landlock_create_ruleset landlock_restrict_self capset setuid setgid setresuid setgroups setfsuid
    clock_settime adjtimex syslog sethostname vhangup lookup_dcookie statmount listmount lsm_set_self_attr splice tee
    vmsplice setrlimit io_setup creat
    """
    present = [name for name in never.split() if name in table]
    assert {name: ask(machine, name) for name in present} == dict.fromkeys(present, EPERM)


@MACHINES
def test_where_files_are_kept_they_can_be_moved_and_no_more(machine: str) -> None:
    program, table = seccomp.program(machine, PID, keep_files=True), numbers(machine)

    def kept(name: str, *arguments: int) -> int:
        return decide(program, machine, table[name], arguments)

    for name in {"unlink", "rename", "renameat"} & set(table):
        assert (ask(machine, name), kept(name)) == (ALLOW, EPERM)
    assert (ask(machine, "unlinkat", -100, 0, 0), kept("unlinkat", -100, 0, 0)) == (ALLOW, EPERM)
    assert kept("unlinkat", -100, 0, 0x200) == ALLOW  # a directory, which must be empty
    assert [kept("renameat2", -100, 0, -100, 0, flags) for flags in range(5)] == [EPERM, ALLOW, ALLOW, EPERM, EPERM]
    assert (ask(machine, "openat", -100, 0, 0o10000000), kept("openat", -100, 0, 0o10000000)) == (ALLOW, EPERM)
    assert kept("openat", -100, 0, 0o101, 0o600) == ALLOW


def test_every_name_on_the_lists_is_a_system_call() -> None:
    known = set(numbers("x86_64")) | set(numbers("aarch64"))
    assert set(f"{seccomp._PLAIN} {seccomp._REMOVING} {seccomp._PROCESSES} {seccomp._ABSENT}".split()) <= known


@pytest.mark.parametrize("pid", [1, 2, 300, 32768, 4194304])
def test_program_for_a_process_names_no_other(pid: int) -> None:
    program = seccomp.program("x86_64", pid)
    table = numbers("x86_64")
    assert decide(program, "x86_64", table["kill"], (pid, 9)) == ALLOW
    assert decide(program, "x86_64", table["kill"], (pid + 1, 9)) == EPERM
    assert decide(program, "x86_64", table["kill"], (seccomp._PID, 9)) == EPERM


@MACHINES
def test_calls_libc_replaces_and_calls_unknown_are_absent(machine: str) -> None:
    for name in ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"):
        assert ask(machine, name) == ENOSYS
    assert ask(machine, "fallocate") == error(errno.EOPNOTSUPP)
    program = seccomp.program(machine, PID)
    assert {decide(program, machine, number) for number in range(COMMON_LAST + 1, 600)} == {ENOSYS}


@MACHINES
def test_foreign_architectures_and_x32_kill(machine: str) -> None:
    program = seccomp.program(machine, PID)
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[machine]
    assert decide(program, other, numbers(machine)["read"]) == KILL
    assert {decide(program, machine, number | 0x40000000) for number in (0, 1, 57, 520)} == {KILL}
    assert decide(program, machine, -1) == KILL


def test_subprocess_adds_processes_and_no_namespaces() -> None:
    assert ask("x86_64", "execve", subprocess=True) == ALLOW
    assert ask("x86_64", "clone", 17, subprocess=True) == ALLOW
    assert ask("x86_64", "clone", 0x10000000 | 17, subprocess=True) == EPERM
    assert ask("x86_64", "execveat", subprocess=True) == EPERM
    assert ask("x86_64", "socket", subprocess=True) == EPERM


@given(
    st.dictionaries(st.integers(0, 500), st.sampled_from([ALLOW, EPERM, ENOSYS]), max_size=60),
    st.dictionaries(st.integers(0, 500), st.lists(st.integers(0, 7), min_size=1, max_size=4), max_size=30),
)
def test_program_decides_as_its_tables_say(verdicts: dict[int, int], values: dict[int, list[int]]) -> None:
    checks = {number: [[Check(2, tuple(each), 0xF)]] for number, each in values.items() if number not in verdicts}
    program = assemble(AUDIT_ARCH["x86_64"], verdicts, checks, otherwise=EPERM, beyond=(450, ENOSYS))
    for number in range(520):
        for argument in (0, 5, 0xF5):
            if number in verdicts:
                expected = verdicts[number]
            elif number in checks and (argument & 0xF) in values[number]:
                expected = ALLOW
            else:
                expected = EPERM if number in checks or number < 450 else ENOSYS
            assert decide(program, "x86_64", number, (0, 0, argument)) == expected


EVERY_CALL = """
import ctypes, json, os, platform, sys
from proxima.sandbox.linux import seccomp
from proxima.sandbox.linux.script import Script
libc = ctypes.CDLL(None, use_errno=True)
script = Script(None, ())
script.call("prctl", 38, 1, 0, 0, 0)
seccomp.install(script, seccomp.program(platform.machine(), os.getpid()))
script.run()
answers = {}
for number in json.loads(sys.argv[1]):
    answers[number] = ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6) < 0 else 0
print(json.dumps(answers))
"""


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="needs Linux on x86_64")
def test_the_kernel_refuses_every_call_that_is_not_on_the_list() -> None:
    program = seccomp.program("x86_64", PID)
    refused = {n: decide(program, "x86_64", n, (2**64 - 1,) * 6) & 0xFFFF for n in range(600)}
    # uretprobe and uprobe pass every filter and end whoever calls them from anywhere but a probe, with SIGILL.
    refused = {n: number for n, number in refused.items() if number and n not in (335, 336)}
    assert len(refused) > 400
    done = subprocess.run(
        [sys.executable, "-c", EVERY_CALL, json.dumps(list(refused))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    assert {int(n): number for n, number in json.loads(done.stdout).items()} == refused
