"""The corpus: every way out that is tried, what it tries, and what decides that it fails."""

from __future__ import annotations

from dataclasses import dataclass

LANDLOCK, MOUNTS, FILTER, PIDS = "Landlock", "mount namespace", "seccomp", "process namespace"


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt.

    Attributes:
        id: Its number in the design where it has one there, and a word.
        title: What it tries.
        module: Where its function is.
        attempt: The function; that it returns means that it got through.
        decides: What stops it.
        side: inside: tried in the worker, which tells. wire: said to the kernel, which is watched. kernel: judged
            outside the worker.
        control: The function that does the same where nothing holds it; for inside the attempt itself.
        no_control: Why there is none.
        root_control: Only root can do it anyway, so that the control of an ordinary user cannot succeed.
        beyond_b: Tier B does not promise it.
        unpromised: No tier stops it; the test holds that this is still so.
        only_a: It needs a permission that only tier A grants.
        expected: How the kernel answers, for wire: names of errors.
    """

    id: str
    title: str
    module: str
    attempt: str
    decides: str
    side: str = "inside"
    control: str = ""
    no_control: str = ""
    root_control: bool = False
    beyond_b: bool = False
    only_a: bool = False
    unpromised: bool = False
    expected: tuple[str, ...] = ()

    @property
    def has_control(self) -> bool:
        return not self.no_control


def _lock(name: str, title: str, decides: str, **more: bool | str) -> Row:
    number, _, word = name.partition("_")
    number = number.removeprefix("r").lstrip("0") if number != "x" else "x"
    return Row(f"{number}-{word.replace('_', '-')}", title, "lock_attempts", name, decides, **more)  # type: ignore[arg-type]


def _path(name: str, decides: str, **more: bool | str) -> Row:
    word = name.replace("_", "-")
    return Row(f"p-{word}", name.replace("_", " "), "attempts_paths", name, decides, **more)  # type: ignore[arg-type]


def _call(name: str, decides: str = FILTER, **more: bool | str) -> Row:
    word = name.replace("_", "-")
    return Row(f"c-{word}", name.replace("_", " "), "attempts_calls", name, decides, **more)  # type: ignore[arg-type]


def _ask(name: str, decides: str, number: str = "b", **more: bool | str) -> Row:
    word = name.replace("_", "-")
    return Row(
        f"{number}-{word}",
        name.replace("_", " "),
        "attempts_channel",
        name,
        decides,
        **more,  # type: ignore[arg-type]
    )


NO_KERNEL = "without a kernel there is nobody to ask"
NO_READER = "an unlocked process has no channel; the reader is the thing that is tried"


def _wire(
    name: str, decides: str, *expected: str, number: str = "w", control: str = "", no_control: str = NO_READER
) -> Row:
    word, title = name.replace("_", "-"), f"send {name.replace('_', ' ')}"
    no_control = "" if control else no_control
    return Row(
        f"{number}-{word}", title, "attempts_channel", f"wire_{name}", decides, "wire", control, no_control,
        expected=expected or ("ProtocolError",),
    )  # fmt: skip


def _kernel(name: str, decides: str, *, number: str = "k", control: str = "same", **more: bool | str) -> Row:
    control = f"control_{name}" if control == "same" else control
    word, title = name.replace("_", "-"), name.replace("_", " ")
    return Row(
        f"{number}-{word}",
        title,
        "attempts_kernel",
        name,
        decides,
        "kernel",
        control,
        **more,  # type: ignore[arg-type]
    )


ROWS: tuple[Row, ...] = (
    # The rows of the design, 1 to 36, which the lock's own tests try too.
    _lock("r01_read_a_key", "read a private key", f"{LANDLOCK}, {MOUNTS}"),
    _lock("r02_stat_a_key", "learn that a file is there", MOUNTS, beyond_b=True),
    _lock("r03_follow_a_symlink", "read a key through a link in the workspace", LANDLOCK),
    _lock("r04_hardlink_a_key", "link a key into the workspace", f"{FILTER}, {LANDLOCK}"),
    _lock("r05_walk_up", "read a key by ../", f"{LANDLOCK}, {MOUNTS}"),
    _lock("r06_write_outside", "write outside the workspace", f"{LANDLOCK}, {MOUNTS}"),
    _lock("r07_chmod_a_key", "open a key to everybody", FILTER),
    _lock("r07_touch_a_key", "change a key's times", FILTER),
    _lock("r07_truncate_a_key", "empty a key", FILTER),
    _lock("r07_label_a_key", "set an attribute of a key", FILTER),
    _lock("r07_truncate_what_is_only_read", "empty a file that may be read, by opening it", f"{FILTER}, {LANDLOCK}"),
    _lock("r08_read_the_kernels_environment", "read the kernel's environment", f"{LANDLOCK}, no /proc"),
    _lock("r09_open_the_kernels_memory", "open the kernel's memory", f"{LANDLOCK}, no /proc"),
    _lock("r10_read_the_kernels_memory", "process_vm_readv of the kernel", FILTER),
    _lock("r11_attach_to_a_process", "trace a process", FILTER),
    _lock("r12_signal_a_process", "signal a process", f"{FILTER}, {LANDLOCK}, {PIDS}"),
    _lock("r12_signal_a_thread", "signal a thread", FILTER),
    _lock("r12_signal_by_pidfd", "signal by a process descriptor", FILTER),
    _lock("r12_signal_the_group", "signal a process group", FILTER),
    _lock("r12_signal_by_socket_owner", "signal as a socket's owner", FILTER),
    _lock("r12_queue_a_signal", "queue a signal", FILTER),
    _lock("r13_connect_tcp", "connect over TCP", f"{FILTER}; the broker asks the grants"),
    _lock("r13_fast_open", "13b: send by TCP fast open", FILTER),
    _lock("r13_mptcp", "13c: connect over multipath TCP", FILTER),
    _lock("r13_listen", "listen on TCP", FILTER),
    _lock("r13_fast_open_on_the_channel", "fast open flag on a pair", FILTER),
    _lock("r14_send_udp", "send a datagram", FILTER),
    _lock("r15_connect_a_unix_socket", "connect to a unix socket by path", FILTER),
    _lock("r15_send_from_a_socketpair", "send from a pair to a unix socket", FILTER),
    _lock("r16_connect_an_abstract_socket", "connect to an abstract unix socket (keyring, D-Bus)", FILTER),
    _lock("r17_netlink", "netlink socket", FILTER),
    _lock("r17_vsock", "vsock socket", FILTER),
    _lock("r18_run_a_program", "run a program", FILTER),
    _lock("r18_exec_in_place", "execute in place", FILTER),
    _lock("r19_fork", "fork", FILTER),
    _lock("r19_clone3", "clone3", FILTER),
    _lock("r19_clone_with_a_namespace", "clone with a namespace", FILTER),
    _lock("r20_run_from_memory", "run a program from memory", FILTER),
    _lock("r21_io_uring", "io_uring", FILTER),
    _lock("r22_new_user_namespace", "new user namespace", FILTER),
    _lock("r22_enter_a_namespace", "enter a namespace", FILTER, root_control=True),
    _lock("r23_userfaultfd", "userfaultfd", FILTER),
    _lock("r23_keyring", "the kernel's keyring", FILTER),
    _lock("r23_shared_memory_segment", "shared memory segment", FILTER),
    _lock("r23_message_queue", "message queue", FILTER),
    _lock("r24_environment", "read a secret from the environment", "environment built from nothing"),
    _lock("r25_inherited_descriptor", "read an inherited descriptor", "close_range"),
    _lock("r26_map_12_gib", "map 12 GiB", "RLIMIT_AS"),
    _lock("r27_forty_forks", "fork bomb", FILTER),
    _lock("r28_open_600_files", "open 600 files", "RLIMIT_NOFILE"),
    _lock("r28_raise_a_limit", "raise a limit", "hard limits"),
    _lock("r29_file_of_4_gib", "file of 4 GiB", "RLIMIT_FSIZE"),
    _lock("r29_memory_file", "file in memory", FILTER),
    _lock("r30_drop_a_pth", "drop a .pth where the kernel imports from", LANDLOCK),
    _lock("r31_patch_the_kernels_code", "patch the kernel's code", LANDLOCK, root_control=True),
    _lock("r31_rename_imported_code", "rename code that is imported", LANDLOCK),
    _lock("r32_limit_the_kernel", "lower another process's limits", FILTER),
    _lock("r32_slow_the_kernel", "lower another process's priority", FILTER),
    _lock("r33_pin_the_kernel", "pin another process", FILTER),
    _lock("r34_read_the_user_list", "read /etc/passwd", LANDLOCK),
    _lock("r34_list_the_root", "list /", LANDLOCK),
    _lock("r34_read_a_command_line", "read a command line", f"{LANDLOCK}, no /proc"),
    _kernel("thread_before_the_lock", "the lock refuses threads", number="35"),
    _lock("r36_call_by_the_32_bit_door", "call by int 0x80", "architecture check, which kills"),
    _kernel("import_time_code", "imported after the lock", number="37"),
    # Rows 38 to 44: what the kernel is sent.
    _ask("shrink_a_shared_buffer", "F_SEAL_SHRINK", "38"),
    _ask("grow_a_shared_buffer", "F_SEAL_GROW", "38"),
    _ask("seal_a_shared_buffer", "F_SEAL_SEAL", "38"),
    _kernel("buffer_changed_after_the_check", "copied out, then checked", number="39"),
    _wire("three_gib", "length cap", number="40", control="control_naive_length"),
    _wire("slow", "total deadline", "LimitError", number="41", control="control_naive_patience"),
    _wire("pickle", "no pickle anywhere", number="42", control="control_naive_pickle"),
    _wire("hundred_descriptors", "no room for any", number="43", control="control_naive_descriptors"),
    _wire("one_descriptor", "the kernel makes the buffers", number="44", control="control_naive_buffer"),
    # Designed, not tried, until now.
    _kernel("two_plugins_of_one_name", "one id, one distribution", number="d", control="",
            no_control="what is tried is the kernel's own choice"),
    _kernel("file_swapped_for_a_link", "openat2 without links", number="d"),
    _kernel("disk_beyond_the_quota_in_many_files", "an entry costs 4 KiB", number="d", control="control_disk"),
    _kernel("escapes_for_a_terminal", "escaped where shown", number="d"),
    _kernel("act_in_anothers_name", "identity is the channel's", number="d", control="", no_control=NO_KERNEL),
    # Of the lock's own tests, beyond the design.
    *(
        _lock(name, name[2:].replace("_", " "), decides, **more)  # type: ignore[arg-type]
        for name, decides, more in (
            ("x_open_by_handle", FILTER, {}),
            ("x_watch_a_directory", FILTER, {}),
            ("x_make_a_symlink", f"{FILTER}, {LANDLOCK}", {}),
            ("x_rename_a_symlink", LANDLOCK, {}),
            ("x_make_a_fifo", f"{FILTER}, {LANDLOCK}", {}),
            ("x_take_a_descriptor", FILTER, {}),
            ("x_compare_processes", FILTER, {}),
            ("x_leave_the_root", f"{LANDLOCK}, pivot_root", {}),
            ("x_read_through_own_descriptors", f"{LANDLOCK}, no /proc", {}),
            ("x_file_that_runs_as_its_owner", FILTER, {}),
            ("x_thousand_threads", "RLIMIT_NPROC in a user namespace", {"beyond_b": True}),
            ("x_library_from_scratch", "noexec mount; own memory may run anyway", {"beyond_b": True}),
            ("x_core_dump_settings", FILTER, {}),
            ("x_ignore_the_parents_death", FILTER, {}),
            ("x_new_session", FILTER, {}),
            ("x_steal_input_of_a_terminal", FILTER, {}),
            ("x_peer_process_descriptor", FILTER, {}),
            ("x_attach_a_packet_filter", FILTER, {}),
        )
    ),
    # Paths.
    _path("open_by_openat2", FILTER, no_control="the arguments ask for nothing; the call alone is tried"),
    _path("open_by_open_tree", FILTER),
    _path("reopen_what_only_names_a_file", f"{LANDLOCK}, no /proc"),
    _path("open_from_a_named_directory", LANDLOCK),
    _path("open_from_the_working_directory", LANDLOCK),
    _path("list_by_a_named_directory", LANDLOCK),
    _path("learn_size_by_statx", MOUNTS, beyond_b=True),
    _path("learn_existence_by_access", MOUNTS, beyond_b=True),
    _path("learn_existence_by_o_path", MOUNTS, beyond_b=True),
    _path("learn_existence_by_chdir", MOUNTS, beyond_b=True),
    _path("learn_where_a_link_leads", MOUNTS, beyond_b=True),
    _path("read_attributes", FILTER),
    _path("create_outside", FILTER),
    _path("make_directory_outside", LANDLOCK),
    _path("remove_outside", LANDLOCK),
    _path("move_in_from_outside", LANDLOCK),
    _path("move_out_over_a_file", LANDLOCK),
    _path("exchange_with_outside", LANDLOCK),
    _path("link_by_descriptor", FILTER),
    _path("change_times_by_descriptor", FILTER),
    _path("make_setuid_by_descriptor", FILTER),
    _path("leave_a_whiteout", FILTER),
    _path("make_a_device", FILTER, root_control=True),
    _path("bind_a_socket_in_the_workspace", FILTER),
    _path("write_bytecode_of_the_plugin", LANDLOCK),
    _path("change_root", FILTER, root_control=True),
    _path("make_a_file_system", FILTER, root_control=True),
    _path("mount_over", FILTER, root_control=True),
    _path("watch_everything", FILTER),
    _path("read_kernel_log", FILTER, root_control=True),
    _path("open_a_terminal", LANDLOCK),
    _path("write_shared_memory_directory", LANDLOCK),
    _path("open_own_memory_file", LANDLOCK),
    _path("read_own_map", LANDLOCK),
    _path("read_starting_environment", LANDLOCK),
    _path("open_a_namespace_file", "no /proc; nothing can be done with it", beyond_b=True),
    _path("open_anothers_namespace_file", f"{LANDLOCK}, no /proc"),
    _path("open_anothers_descriptor", f"{LANDLOCK}, no /proc"),
    _path("read_connections_of_the_host", LANDLOCK),
    _path("read_core_pattern", LANDLOCK),
    _path("write_processor_settings", LANDLOCK, root_control=True),
    _path("read_the_record_of_permissions", LANDLOCK),
    _path("grant_oneself", LANDLOCK),
    _path("loosen_the_settings", LANDLOCK),
    _path("read_scratch_of_another", LANDLOCK),
    _path("write_scratch_of_another", LANDLOCK),
    _path("write_by_mapping", LANDLOCK),
    _path("truncate_imported_code", FILTER),
    _path("hidden_temporary_file_that_runs_as_its_owner", FILTER),
    # Processes, descriptors, and whole families of calls.
    _call("every_other_system_call"),
    _call("every_prctl"),
    _call("every_fcntl"),
    _call("every_ioctl"),
    _call("every_socket_option"),
    _call("every_socket_family"),
    _call("connect_by_the_call_itself"),
    _call("name_the_peer_of_the_channel"),
    _call("pass_credentials"),
    _call("datagram_pair"),
    _call("send_to_a_name_from_a_stream"),
    _call("listen_on_a_pair"),
    _call("many_messages_at_once"),
    _call("notification_pipe"),
    _call("large_pipe"),
    _call("lock_a_mebibyte_of_memory", "RLIMIT_MEMLOCK"),
    _call("memory_file"),
    _call("secret_memory"),
    _call("zero_copy_into_a_pipe"),
    _call("group_of_a_process"),
    _call("session_of_a_process"),
    _call("priority_of_a_process"),
    _call("disk_priority_of_a_process"),
    _call("scheduler_of_a_process"),
    _call("scheduling_of_a_process"),
    _call("time_slice_of_a_process"),
    _call("pages_of_a_process"),
    _call("write_memory_of_a_process"),
    _call("descriptor_of_a_process"),
    _call("signal_a_task"),
    _call("signal_everybody"),
    _call("signal_own_group"),
    _call("signal_another_worker"),
    _call("lock_list_of_a_process"),
    _call("be_traced"),
    _call("processor_time_of_a_process", PIDS, beyond_b=True),
    _call("sleep_on_a_process_clock", PIDS, beyond_b=True),
    _call("existence_of_a_process_by_futex", PIDS, beyond_b=True),
    _call("be_somebody_else", FILTER, root_control=True),
    _call("set_groups", FILTER, root_control=True),
    _call("take_a_capability"),
    _call("filter_that_tells"),
    _call("a_lock_of_ones_own"),
    _call("load_into_the_kernel", FILTER, root_control=True),
    _call("count_events_of_the_host", FILTER, no_control="this host's processor has no counters to show"),
    _call("read_segments"),
    _call("turn_off_randomisation"),
    _call("timer_that_signals"),
    _call("raise_the_limit_of_core_files", "hard limits"),
    _call("call_by_the_x32_door", "number check, which kills", no_control="most kernels have no x32 calls"),
    _call("secret_in_own_memory", "the zygote starts with an empty environment"),
    _call("hold_descriptors_in_flight", "RLIMIT_NOFILE", no_control="its own limit, too, is that of the user"),
    _call("wait_for_all_children"),
    _call("leave_the_poll"),
    # The brokers.
    _ask("ask_for_a_key", "grants"),
    _ask("ask_by_walking_up", "grants"),
    _ask("ask_through_a_link", "grants, links followed first"),
    _ask("ask_with_a_null_byte", "grammar"),
    _ask("ask_for_the_kernels_environment", "grants"),
    _ask("ask_for_the_kernels_memory", "grants"),
    _ask("ask_by_the_kernels_root", "grants"),
    _ask("ask_for_a_directory_as_a_device", "grants"),
    _ask("ask_to_write_settings", "grants"),
    _ask("ask_to_write_the_kernels_code", "grants", root_control=True),
    _ask("ask_for_a_secret", "grants"),
    _ask("ask_for_a_secret_by_an_odd_name", "grammar"),
    _ask("ask_for_stored_results", "grants"),
    _ask("ask_a_language_model", "grants", no_control=NO_KERNEL),
    _ask("connect_by_any_spelling", "grammar, grants"),
    _ask("connect_elsewhere_than_granted", "grants"),
    _ask("aim_a_granted_socket_elsewhere", FILTER),
    _ask("call_what_is_not_served", "a closed table of methods", no_control=NO_KERNEL),
    _ask("borrow_all_memory", "the pool's limit", no_control=NO_KERNEL),
    # What the kernel is sent.
    _wire("array_header_of_4_gi", "objects counted first"),
    _wire("million_empty_lists", "objects counted first"),
    _wire("extension", "no extension types"),
    _wire("timestamp", "no extension types"),
    _wire("deep", "msgpack's depth"),
    _wire("array_of_pointers", "a closed list of dtypes"),
    _wire("array_of_records", "a closed list of dtypes"),
    _wire("array_of_text", "a closed list of dtypes"),
    _wire("negative_shape", "shape check"),
    _wire("shape_that_overflows", "shape check"),
    _wire("shape_of_truth", "shape check"),
    _wire("forty_dimensions", "shape check"),
    _wire("truncated_array", "length check"),
    _wire("class_of_the_kernel", "a closed list of types"),
    _wire("class_by_module", "a closed list of types"),
    _wire("private_field", "fields checked one by one"),
    _wire("circuit_that_points_outside", "the contract's own checks"),
    _wire("result_of_another_type", "annotation of the answer"),
    _wire("huge_integer", "length check"),
    _wire("buffer_beyond_its_end", "bounds check"),
    _wire("buffer_never_lent", "the pool knows its own"),
    _wire("free_twice", "the pool knows its own"),
    _wire("answer_twice", "a call has one answer"),
    _wire("answer_for_another_call", "a call has one answer"),
    _wire("call_of_a_truth_value", "type check"),
    _wire("unknown_kind", "a closed list of kinds"),
    _wire("kind_that_is_a_list", "type check"),
    _wire("request_without_end", "64 requests at once, wall time", "ProtocolError", "LimitError"),
    _wire("flood_of_progress", "a rate for progress"),
    _wire("progress_that_is_no_number", "type check"),
    _wire("error_that_exits", "the error tree alone", "ProtocolError", "PluginBrokenError"),
    _wire("error_of_a_private_name", "the error tree alone"),
    _wire("error_with_a_place", "type check"),
    _wire("text_that_is_not_utf8", "UTF-8 only"),
    _wire("end_in_the_middle", "a frame has an end", "ProtocolError", "CrashedError"),
    _wire("two_threads_at_once", "a frame has an end"),
    # Before the lock, what the kernel reads, and what stays.
    _kernel("startup_files_and_variables", "-I -S -B, empty environment"),
    _kernel("plugin_in_a_host_packages_place", "the finder goes first"),
    _kernel("manifest_that_is_no_file", "small regular files only"),
    _kernel("settings_of_a_workspace", "the user's settings alone", control="",
            no_control="what is tried is the kernel's own choice"),
    _kernel("grants_that_are_too_broad", "refused in the policy"),
    _kernel("disk_beyond_the_quota_in_unlinked_files", "quota watch", control="control_disk"),
    _kernel("disk_beyond_the_quota_where_it_cannot_be_seen", "quota watch", control="control_disk"),
    _kernel("signals_that_fill_the_users_queue", "RLIMIT_SIGPENDING"),
    _kernel("descriptors_that_keep_the_kernel_from_passing_any", "RLIMIT_NOFILE", control="control_descriptors"),
    _kernel("link_followed_when_scratch_is_removed", "links are removed, not followed"),
    _kernel("scratch_that_cannot_be_removed", "removed from the top", control="",
            no_control="newer Pythons' own removal copes as well"),
    _kernel("process_that_outlives_the_plugin", "SIGKILL, PDEATHSIG"),
    _kernel("daemon_of_a_plugin_that_runs_programs", PIDS, only_a=True,
            control="control_process_that_outlives_the_plugin"),
    _kernel("core_file", "RLIMIT_CORE"),
    _kernel("flag_of_a_shared_pipe", "pipes of its own"),
    _kernel("memory_of_the_kernel_by_large_requests", "few requests at once, and the frame's limit", control="",
            no_control="without a kernel nothing is asked of it"),
    _kernel("record_that_fills_the_disk", "a limit on what is recorded", control="",
            no_control="without a kernel nothing is recorded"),
    _kernel("lock_that_stops_the_package_installer", "nothing", control="control_lock", unpromised=True),
    _kernel("worker_that_looks_like_the_zygote", "not dumpable"),
)  # fmt: skip

OUTSIDE = {
    "an sdist's setup.py at installation": "nothing installs plugins yet; the marketplace will take wheels alone",
    "HTML in results and logs": "there is no page that shows them yet",
    "graphics devices": "their drivers are outside the promise; they need the permission gpu",
    "Spectre, timing, bugs of the Linux kernel": "outside the promise",
    "false results": "nothing can prevent them",
}
"""What is not tried, and why."""
