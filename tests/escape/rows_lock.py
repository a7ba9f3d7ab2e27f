"""Rows of the design, 1 to 36, and further ones that the lock's own tests try too (`kernel/tests/lock_attempts.py`)."""

from __future__ import annotations

from row import (
    ABSENT,
    CLOSED,
    FILTER,
    HIDDEN,
    KILLED,
    READ_ONLY,
    UNSEEN,
    By,
    Row,
    by,
)


def _lock(name: str, stops: By = FILTER, **more: bool | str) -> Row:
    number, _, words = name.partition("_")
    number = number.removeprefix("r").lstrip("0")
    return Row(f"{number}-{words.replace('_', '-')}", "lock_attempts", name, stops, **more)  # type: ignore[arg-type]


LOCK = (
    _lock("r01_read_a_key", HIDDEN),
    _lock("r02_stat_a_key", UNSEEN),
    _lock("r03_follow_a_symlink", HIDDEN),
    _lock("r04_hardlink_a_key"),
    _lock("r05_walk_up", HIDDEN),
    _lock("r06_write_outside", HIDDEN),
    _lock("r07_chmod_a_key"),
    _lock("r07_touch_a_key"),
    _lock("r07_truncate_a_key"),
    _lock("r07_label_a_key"),
    _lock("r07_truncate_what_is_only_read"),
    _lock("r08_read_the_kernels_environment", HIDDEN),
    _lock("r09_open_the_kernels_memory", HIDDEN),
    _lock("r10_read_the_kernels_memory"),
    _lock("r11_attach_to_a_process"),
    _lock("r12_signal_a_process"),
    _lock("r12_signal_a_thread"),
    _lock("r12_signal_by_pidfd"),
    _lock("r12_signal_the_group"),
    _lock("r12_signal_by_socket_owner"),
    _lock("r12_queue_a_signal"),
    _lock("r13_connect_tcp"),
    _lock("r13_fast_open"),
    _lock("r13_mptcp"),
    _lock("r13_listen"),
    _lock("r13_fast_open_on_the_channel"),
    _lock("r14_send_udp"),
    _lock("r15_connect_a_unix_socket"),
    _lock("r15_send_from_a_socketpair"),
    _lock("r16_connect_an_abstract_socket"),
    _lock("r17_netlink"),
    _lock("r17_vsock"),
    _lock("r18_run_a_program"),
    _lock("r18_exec_in_place"),
    _lock("r19_fork"),
    _lock("r19_clone3", ABSENT),
    _lock("r19_clone_with_a_namespace"),
    _lock("r20_run_from_memory"),
    _lock("r21_io_uring", ABSENT),
    _lock("r22_new_user_namespace"),
    _lock("r22_enter_a_namespace", root_control=True),
    _lock("r23_userfaultfd"),
    _lock("r23_keyring"),
    _lock("r23_shared_memory_segment"),
    _lock("r23_message_queue"),
    _lock("r24_environment", by("KeyError: PROXIMA_TEST_SECRET")),  # environment built from nothing
    _lock("r25_inherited_descriptor", by("EBADF")),  # close_range
    _lock("r26_map_12_gib", by("ENOMEM")),  # RLIMIT_AS
    _lock("r27_forty_forks"),
    _lock("r28_open_600_files", by("EMFILE")),  # RLIMIT_NOFILE
    _lock("r28_raise_a_limit", by("ValueError: not allowed to raise maximum limit")),
    _lock("r29_file_of_4_gib", by("EFBIG")),  # RLIMIT_FSIZE
    _lock("r29_memory_file"),
    _lock("r30_drop_a_pth", READ_ONLY),
    _lock(
        "r31_patch_the_kernels_code", by("EROFS|EACCES", "EACCES"), root_control=True
    ),  # an ordinary user has not the mode
    _lock("r31_rename_imported_code", READ_ONLY),
    _lock("r32_limit_the_kernel"),
    _lock("r32_slow_the_kernel"),
    _lock("r33_pin_the_kernel"),
    _lock("r34_read_the_user_list", HIDDEN),
    _lock("r34_list_the_root", CLOSED),
    _lock("r34_read_a_command_line", HIDDEN),
    _lock("r36_call_by_the_32_bit_door", KILLED),
    _lock("x_open_by_handle"),
    _lock("x_watch_a_directory"),
    _lock("x_make_a_symlink"),
    _lock("x_rename_a_symlink", CLOSED),
    _lock("x_make_a_fifo"),
    _lock("x_take_a_descriptor"),
    _lock("x_compare_processes"),
    _lock("x_leave_the_root", HIDDEN),
    _lock("x_read_through_own_descriptors", HIDDEN),
    _lock("x_file_that_runs_as_its_owner"),
    _lock(
        "x_thousand_threads", by("EAGAIN: can't start new thread", ""), spoils=True
    ),  # RLIMIT_NPROC in a user namespace
    _lock("x_library_from_scratch", by("EPERM", "")),  # noexec mount; own memory may run anyway
    _lock("x_core_dump_settings"),
    _lock("x_ignore_the_parents_death"),
    _lock("x_new_session"),
    _lock("x_steal_input_of_a_terminal"),
    _lock("x_peer_process_descriptor"),
    _lock("x_attach_a_packet_filter"),
)
